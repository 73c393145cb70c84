"""What every peer tells of itself, so that one load fits them all."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.database import PostgreSql
from tests.benchmarks.load import Address
from tests.benchmarks.processes import Cores, Server

#: The person behind each connection has a browser of their own.
PEOPLE = 16

REDIRECT_URI = "https://app.example/callback"

#: A verifier and a challenge (RFC 7636 appendix B), the same in every request.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A registered client and what it asks for."""

    client_id: str
    secret: str
    scope: str
    extra: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Description:
    """How to speak with a provider that was set up.

    Attributes:
        paths: by endpoint.
        roles: its clients by what they are for; an operation whose role is missing is one it does not have.
        cookies: the Cookie header of each person's browser, signed in and, where that is asked, with consent.
    """

    paths: Mapping[str, str]
    roles: Mapping[str, Role]
    cookies: tuple[str, ...]

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> "Description":
        """From JSON, as the set-up of a peer prints it."""
        roles = {name: Role(**{"extra": {}, **role}) for name, role in members["roles"].items()}
        return cls(paths=members["paths"], roles=roles, cookies=tuple(members["cookies"]))

    @classmethod
    def parse(cls, text: str) -> "Description":
        """From the last line that a set-up printed."""
        return cls.read(json.loads(text.strip().splitlines()[-1]))


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A running peer.

    Attributes:
        database: the name of its database, or ``""`` where it keeps everything in memory.
    """

    address: Address
    server: Server
    description: Description
    database: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where peers run.

    Attributes:
        workers: processes of a Python peer, and ``threads`` in each of them; Node has one of its own kind.
        directory: for what they leave behind.
    """

    cores: Cores
    workers: int = 1
    threads: int = 1
    postgresql: PostgreSql
    directory: Path


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One way to answer the operations.

    Attributes:
        unavailable: why it cannot take part here, or ``""``.
        start: runs it until the block ends.
        version: what is measured, for the report.
    """

    name: str
    title: str
    unavailable: Callable[[], str]
    start: Callable[[Place], AbstractContextManager[Provider]]
    version: Callable[[], str]
