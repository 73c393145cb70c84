"""This provider, twice: through Django's handler, and through its front."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.base import Description, Peer, Place, Provider
from tests.benchmarks.peers.granian import served, set_up

DATABASE = "ours"
_SETTINGS = "tests.benchmarks.sites.ours"


def description_file(place: Place) -> Path:
    """Where the description of the site is kept."""
    return place.directory / "ours.json"


def set_up_once(place: Place) -> str:
    """The description, made when it is first asked for: both ways in serve one site with one database."""
    kept = description_file(place)
    if not kept.exists():
        kept.write_text(set_up("tests.benchmarks.sites.ours_setup", _environment(place.postgresql.create(DATABASE))))
    return kept.read_text()


@contextmanager
def _start(application: str, place: Place) -> Iterator[Provider]:
    description = described(json.loads(set_up_once(place).strip().splitlines()[-1]))
    environment = _environment(place.postgresql.url(DATABASE))
    with served(application, place, database=DATABASE, description=description, environment=environment) as provider:
        yield provider


def described(members: Mapping[str, Any]) -> Description:
    """What a set-up says, without the clients that this commit cannot serve."""
    usable = {name: role for name, role in members["roles"].items() if name not in members["unusable"]}
    return Description.read({**members, "roles": usable})


def served_layered(place: Place) -> AbstractContextManager[Provider]:
    """The site by one thread, measuring itself by layer."""
    return _start("tests.benchmarks.sites.ours_layers:application", replace(place, workers=1, threads=1))


def _environment(url: str) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": _SETTINGS, "BENCHMARK_DATABASE": url}


def _version() -> str:
    return f"version {version('django-identityserver')}, Django {version('Django')}, granian {version('granian')}"


def _front_is_missing() -> str:
    return "" if find_spec("identityserver.front") else "identityserver.front is not built."


FRONT = Peer(
    name="ours",
    title="ours, front",
    unavailable=_front_is_missing,
    start=partial(_start, "tests.benchmarks.sites.ours_front:application"),
    version=_version,
)
HANDLER = Peer(
    name="ours_handler",
    title="ours, handler",
    unavailable=str,
    start=partial(_start, "tests.benchmarks.sites.ours_wsgi:application"),
    version=_version,
)
