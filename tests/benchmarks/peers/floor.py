"""The floor of each operation, on the same granian, with copies of our tables, clients and people."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.peers import ours
from tests.benchmarks.peers.base import Description, Peer, Place, Provider
from tests.benchmarks.peers.granian import served
from tests.benchmarks.peers.keys import elliptic_key, rsa_key

_DATABASE = "floor"
_PATHS = {
    "authorization": "/authorize",
    "token": "/token",
    "userinfo": "/userinfo",
    "introspection": "/introspection",
    "discovery": "/discovery",
    "jwks": "/jwks",
}


@contextmanager
def _start(place: Place) -> Iterator[Provider]:
    text = ours.set_up_once(place)
    members = json.loads(text.strip().splitlines()[-1])
    cookies = [f"sid={sid}" for sid in members["sids"]]
    description = Description.read({"paths": _PATHS, "roles": members["roles"], "cookies": cookies})
    environment = {
        "BENCHMARK_DATABASE": place.postgresql.create(_DATABASE, like=ours.DATABASE),
        "BENCHMARK_DESCRIPTION": str(ours.description_file(place)),
        "BENCHMARK_EC_KEY": elliptic_key(),
        "BENCHMARK_RSA_KEY": rsa_key(),
    }
    application = "tests.benchmarks.sites.floor:application"
    with served(application, place, database=_DATABASE, description=description, environment=environment) as provider:
        yield provider


FLOOR = Peer(name="floor", title="floor", unavailable=str, start=_start, version=lambda: "psycopg on the same granian")
