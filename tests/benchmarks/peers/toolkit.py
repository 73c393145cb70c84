"""django-oauth-toolkit, on the same Django, server and database."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tests.benchmarks.peers.base import Description, Peer, Place, Provider
from tests.benchmarks.peers.granian import served, set_up
from tests.benchmarks.peers.keys import rsa_key

_DATABASE = "toolkit"


@contextmanager
def _start(place: Place) -> Iterator[Provider]:
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.sites.toolkit",
        "BENCHMARK_DATABASE": place.postgresql.create(_DATABASE),
        "BENCHMARK_RSA_KEY": rsa_key(),
    }
    description = Description.parse(set_up("tests.benchmarks.sites.toolkit_setup", environment))
    application = "tests.benchmarks.sites.toolkit_wsgi:application"
    with served(application, place, database=_DATABASE, description=description, environment=environment) as provider:
        yield provider


def _version() -> str:
    return f"django-oauth-toolkit {version('django-oauth-toolkit')}, client secrets not hashed, same Django and server"


TOOLKIT = Peer(name="toolkit", title="django-oauth-toolkit", unavailable=str, start=_start, version=_version)
