"""Starting, watching and stopping the demo's servers."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType

from example_project.demo.directory import BASE_DIR
from example_project.demo.ports import LOOPBACK

READY_WITHIN = 60.0  # seconds; a cold disk is slow
STOPPED_WITHIN = 10.0


class Stopped(BaseException):
    """Somebody asked the demo to stop. No ``except Exception`` on the way may think otherwise."""


class Server:
    """One server in a process of its own; ``path`` is what it answers once it is ready."""

    def __init__(
        self,
        *,
        name: str,
        application: str,
        port: int,
        path: str,
        environment: Mapping[str, str],
        log_requests: bool,
    ) -> None:
        self.name = name
        self.port = port
        self.path = path
        command = [sys.executable, "-m", "example_project.demo.server", application, str(port)]
        # Its standard input ends when this process does. Its own session keeps the terminal's Ctrl-C from it.
        self.process = subprocess.Popen(  # noqa: S603  # the command is written here
            [*command, "--log-requests"] if log_requests else command,
            env=os.environ | environment,
            cwd=BASE_DIR,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def has_ended(self) -> bool:
        with undisturbed():
            return self.process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it answers its path without an error."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status < HTTPStatus.BAD_REQUEST
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def ask_to_stop(self) -> None:
        """Let it finish what it is doing, and end."""
        self.process.terminate()

    def wait_until_stopped(self) -> None:
        """Wait for its end; insist where it does not come."""
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wait_until_ready(servers: Sequence[Server]) -> None:
    """Wait until every server answers.

    Raises:
        RuntimeError: one ended, or does not answer.
    """
    deadline = time.monotonic() + READY_WITHIN
    for server in servers:
        while not server.is_ready():
            if server.has_ended or time.monotonic() > deadline:
                raise RuntimeError(f"The {server.name} did not start; its messages are above.")
            time.sleep(0.1)


def wait_until_one_ends(servers: Sequence[Server]) -> Server:
    """The first server that ends, which none does by itself."""
    while True:
        for server in servers:
            if server.has_ended:
                return server
        time.sleep(0.2)


@contextmanager
def stopping(servers: Sequence[Server]) -> Iterator[None]:
    """Stop the servers at the end, whatever ends it."""
    try:
        yield
    finally:
        with ignored_signals():
            for server in servers:
                server.ask_to_stop()
            for server in servers:
                server.wait_until_stopped()


@contextmanager
def signals_raise_stopped() -> Iterator[None]:
    """Make Ctrl-C, and a request to terminate, raise ``Stopped``."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals wait: one raised in the middle of ``poll()`` leaves its lock taken, and nothing ends the wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Let nothing interrupt a stop under way: an impatient second Ctrl-C would leave a server behind."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
