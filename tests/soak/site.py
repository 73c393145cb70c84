"""A site of a run's own: PostgreSQL as durable as in production, and granian on loopback. All of it is stopped."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import django
import psycopg
from django.core.management import call_command

from tests.databases import start_postgresql

_START_SECONDS = 60


def set_up(**options: object) -> int:
    """Start the database, migrate it and configure Django for the site; the port that the provider is to use."""
    port = _free_port()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="tests.soak.settings",
        SECRET_KEY="only-this-run-knows-this-key-which-is-long-enough",
        ISSUER=f"http://127.0.0.1:{port}",
        ALLOWED_HOSTS="127.0.0.1",
        SECURE_SSL_REDIRECT="false",
        DATABASE_URL=_durable(start_postgresql()),
        SOAK_OPTIONS=json.dumps(options),
    )
    django.setup()
    call_command("migrate", verbosity=0)
    return port


@contextmanager
def provider(port: int, *, workers: int) -> Iterator[None]:
    """The provider with so many worker processes, entered once it listens."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--workers",
        str(workers),
        "--blocking-threads",
        "1",
        "--log-level",
        "error",
        "--no-ws",
        "example_project.wsgi:application",
    ]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with suppress(ProcessLookupError):  # a worker that hangs, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def manage(*arguments: str) -> subprocess.Popen[str]:
    """A management command in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "django", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def request(
    port: int, method: str, path: str, *, patience: int = 10, **given: object
) -> tuple[int, dict[str, str], bytes]:
    """One request over a connection of its own, so that any worker may get it: status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request(method, path, **given)  # type: ignore[arg-type]  # body and headers
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def post(port: int, path: str, **fields: str) -> tuple[int, dict[str, object]]:
    """A form, and the JSON that answers it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, body = request(port, "POST", path, body=urlencode(fields), headers=headers)
    return status, json.loads(body)


def deadlocks() -> int:
    """How many PostgreSQL has had to break."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute("SELECT sum(deadlocks)::int FROM pg_stat_database").fetchone()[0]


def _durable(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = on")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    return url


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("The provider did not start.")
