"""The demo as a user starts it: a process of its own, whose words we read."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connection

ROOT = Path.cwd()
PATIENCE = 90  # seconds until the slowest of machines has started it


class Demo:
    """A running ``manage.py demo``."""

    def __init__(self, directory: Path, *arguments: str, database_url: str = "") -> None:
        environment = a_users_environment()
        environment |= {"DEMO_DIRECTORY": str(directory), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        if database_url:
            environment["DATABASE_URL"] = database_url
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def wait_until_ready(self) -> "Demo":
        """Read what it says up to its last line, and go on reading so that it never waits for us."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            self.said += line
            if "Stop with Ctrl-C" in line:
                watchdog.cancel()
                self.reader = threading.Thread(target=self.read_on, daemon=True)
                self.reader.start()
                return self
        watchdog.cancel()
        raise AssertionError(f"The demo did not start:\n{self.said}")

    def read_on(self) -> None:
        for line in self.process.stdout:
            self.said += line

    @property
    def relying_party(self) -> str:
        return re.search(r"http://127\.0\.0\.1:\d+", self.said)[0]

    @property
    def provider(self) -> str:
        return re.search(r"http://localhost:\d+", self.said)[0]

    @property
    def ports(self) -> list[int]:
        return [int(url.rpartition(":")[2]) for url in (self.provider, self.relying_party)]

    def password(self, username: str) -> str:
        """The password it printed, or ``""`` where it printed none."""
        printed = re.search(rf"^  {username} +(\S+)$", self.said, re.MULTILINE)
        return printed[1] if printed else ""

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self.reader.join(timeout=10)
        self.process.stdout.close()
        return status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Home:
    """Where demos keep what they make: a folder and, where it is not in there, a database."""

    directory: Path
    database_url: str

    @contextmanager
    def running_demo(self, *arguments: str) -> Iterator[Demo]:
        """A demo that serves, and that is stopped in the end."""
        demo = Demo(self.directory, *arguments, database_url=self.database_url)
        try:
            yield demo.wait_until_ready()
        finally:
            if demo.process.poll() is None:
                demo.stop()


@contextmanager
def new_home(directory: Path) -> Iterator[Home]:
    """A home on the kind of database that the suite runs on."""
    with database_url() as url:
        yield Home(directory=directory, database_url=url)


@contextmanager
def database_url() -> Iterator[str]:
    """A database of the demo's own on the suite's PostgreSQL, or ``""`` for its own SQLite."""
    if connection.vendor != "postgresql":
        yield ""
        return
    server, name = os.environ["IDENTITYSERVER_TEST_DATABASE"], f"demo_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}"')
        try:
            yield re.sub(r"/postgres(?=\?|$)", f"/{name}", server)
        finally:
            session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def a_users_environment() -> dict[str, str]:
    """The environment without what the suite, or Django's settings, would read in it."""
    read = {"SECRET_KEY", "DEBUG", "ISSUER", "DATABASE_URL", "DATABASE_POOL_SIZE", "CACHE_URL", "ALLOWED_HOSTS"}
    return {name: value for name, value in os.environ.items() if name not in read and not name.startswith("DJANGO_")}


def free_ports() -> tuple[str, ...]:
    """Arguments that let several demos run at once: two ports that are free now."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    return ("--port", str(ports[0]), "--relying-party-port", str(ports[1]))


def listens(port: int) -> bool:
    """Whether anybody answers at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
