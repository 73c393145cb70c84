"""The load: keep-alive connections that each send their next request when the last one is answered.

One loop over ``epoll`` with requests that are bytes already and answers of which only the length is read: some
15 µs a request, so that it is never what is measured. The report says how busy it was.
"""

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

CONNECTIONS = 16

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_STALLED_SECONDS = 20.0

Address = tuple[str, int]


class Refused(Exception):
    """An answer was not what the operation promises: a measurement of refusals means nothing."""


class Feed(Protocol):
    """What each connection asks, and what it makes of the answer."""

    def next(self, connection: int) -> bytes | None:
        """The next request of a connection; ``None`` when there are no more."""

    def take(self, connection: int, answer: bytes) -> None:
        """Look at an answer.

        Raises:
            Refused: it is not the one that was asked for.
        """


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a load came to."""

    answers: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds if self.seconds else 0.0


def drive(
    address: Address, feed: Feed, *, seconds: float, limit: int | None = None, connections: int = CONNECTIONS
) -> Outcome:
    """Ask for ``seconds``, or ``limit`` times, or as long as ``feed`` lasts; every request sent is answered."""
    with _connected(address, connections) as sockets:
        begun, cpu = time.perf_counter(), time.process_time()
        answers = _Loop(sockets, feed, until=begun + seconds, limit=limit).run()
        return Outcome(answers=answers, seconds=time.perf_counter() - begun, cpu_seconds=time.process_time() - cpu)


class _Loop:
    def __init__(self, sockets: list[socket.socket], feed: Feed, *, until: float, limit: int | None) -> None:
        self.sockets = sockets
        self.feed = feed
        self.until = until
        self.left = limit if limit is not None else -1
        self.buffers = [b""] * len(sockets)
        self.by_descriptor = {connection.fileno(): number for number, connection in enumerate(sockets)}

    def run(self) -> int:
        """Until nothing is under way; the number of answers."""
        answers, poll = 0, select.epoll()
        for connection in self.sockets:
            poll.register(connection, select.EPOLLIN)
        under_way = sum(self._ask(number) for number in range(len(self.sockets)))
        while under_way:
            ready = poll.poll(_STALLED_SECONDS)
            if not ready:
                raise Refused(f"No answer for {_STALLED_SECONDS:.0f} seconds.")
            for descriptor, _ in ready:
                number = self.by_descriptor[descriptor]
                if self._receive(number):
                    answers += 1
                    under_way += self._ask(number) - 1
        poll.close()
        return answers

    def _ask(self, number: int) -> int:
        """Send the next request, if there is one; how many that were."""
        if self.left == 0 or time.perf_counter() >= self.until:
            return 0
        request = self.feed.next(number)
        if request is None:
            return 0
        self.left -= 1
        self.sockets[number].sendall(request)
        return 1

    def _receive(self, number: int) -> bool:
        """Read what has come; whether that completes the answer."""
        received = self.sockets[number].recv(1 << 17)
        if not received:
            raise Refused(f"The connection was closed after: {self.buffers[number][:500]!r}")
        answer = self.buffers[number] + received if self.buffers[number] else received
        if not _is_complete(answer):
            self.buffers[number] = answer
            return False
        self.buffers[number] = b""
        self.feed.take(number, answer)
        return True


def _is_complete(answer: bytes) -> bool:
    end = answer.find(_HEAD_END)
    if end < 0:
        return False
    if length := _LENGTH.search(answer, 0, end + 2):
        return len(answer) >= end + len(_HEAD_END) + int(length[1])
    return not _CHUNKED.search(answer, 0, end + 2) or answer.endswith(b"0\r\n\r\n")


@contextmanager
def _connected(address: Address, connections: int) -> Iterator[list[socket.socket]]:
    sockets = [socket.create_connection(address, timeout=_STALLED_SECONDS) for _ in range(connections)]
    try:
        for connection in sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sockets
    finally:
        for connection in sockets:
            connection.close()
