"""A WSGI application on granian: the same server, with as many workers and threads, for every Python peer."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.peers.base import Description, Place, Provider
from tests.benchmarks.processes import free_port, running

_ROOT = Path(__file__).parents[3]


@contextmanager
def served(
    application: str, place: Place, *, database: str, description: Description, environment: Mapping[str, str]
) -> Iterator[Provider]:
    """``application``, as ``package.module:attribute``, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws"]
    command += ["--workers", str(place.workers), "--blocking-threads", str(place.threads)]
    command += ["--host", "127.0.0.1", "--port", str(port), application]
    log = place.directory / f"{application.partition(':')[0]}.log"
    with running(
        command, core=place.cores.provider, port=port, environment=_in_project(environment), log=log
    ) as server:
        yield Provider(address=("127.0.0.1", port), server=server, description=description, database=database)


def set_up(module: str, environment: Mapping[str, str]) -> str:
    """What a set-up printed; it runs in a process of its own, since settings are a process's."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=_in_project(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def _in_project(environment: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT), **environment}
