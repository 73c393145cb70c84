"""What a URL leads to: read, allowed by the options, and looked up once."""

import queue
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from identityserver import uris
from identityserver.conf import options
from identityserver.outbound.addresses import Address, is_private, is_public
from identityserver.outbound.errors import AddressRefused, TimedOut, Unreachable, UrlRefused

_PORTS = {"https": 443, "http": 80}
_look_ups = threading.BoundedSemaphore(8)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock: the one of ``timezone.now()`` may jump, and stands still in tests."""

    at: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """The seconds left.

        Raises:
            TimedOut: there are none.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimedOut("There was no complete answer in time.")
        return seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A URL that may be fetched, if the addresses of its host may be reached."""

    scheme: str
    host: str
    port: int
    authority: str
    resource: str

    @property
    def may_be_private(self) -> bool:
        """Whether the option ``outbound_private_hosts`` names the host."""
        return self.host in options().outbound_private_hosts

    def allows(self, address: Address) -> bool:
        """Whether this host may be at ``address``. What travels in the clear stays on this machine."""
        if self.scheme == "http":
            return address.is_loopback
        return is_public(address) or (self.may_be_private and is_private(address))


def read_target(url: str) -> Target:
    """The parts of ``url``.

    Raises:
        UrlRefused: it is malformed, or its scheme or port is not allowed.
    """
    if problem := uris.web_uri_problem(url):
        raise UrlRefused(f"{url!r} is not fetched. {problem}")
    parts = urlsplit(url)
    target = Target(
        scheme=parts.scheme,
        host=(parts.hostname or "").rstrip("."),
        port=_PORTS[parts.scheme] if parts.port is None else parts.port,
        authority=parts.netloc,
        resource=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if target.scheme == "http" and not target.may_be_private:
        raise UrlRefused(f"{url!r} is not fetched. http is for hosts named in outbound_private_hosts.")
    if target.port not in options().outbound_ports:
        raise UrlRefused(f"{url!r} is not fetched. Port {target.port} is not among outbound_ports.")
    return target


def checked_addresses(target: Target, deadline: Deadline) -> Sequence[Address]:
    """The addresses of the host. All of them are allowed: a name with one that is not is not to be trusted.

    Raises:
        AddressRefused: one of them is not allowed.
        Unreachable, TimedOut: there is no answer from the resolver.
    """
    addresses = _literal(target.host) or _looked_up(target, deadline)
    for address in addresses:
        if not target.allows(address):
            raise AddressRefused(f"{target.host} is at {address}, where it is not reached.")
    return addresses


def _literal(host: str) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        return []


def _looked_up(target: Target, deadline: Deadline) -> list[Address]:
    """What the resolver knows, asked in a thread of its own: the call has no time limit and no way out."""
    if not _look_ups.acquire(timeout=deadline.remaining()):
        raise TimedOut(f"Too many names wait for the resolver; {target.host} was not looked up.")
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()
    threading.Thread(target=_look_up, args=(target, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.remaining())
    except queue.Empty:
        raise TimedOut(f"The resolver did not answer for {target.host} in time.") from None
    if isinstance(answer, OSError):
        raise Unreachable(f"{target.host} cannot be looked up: {answer}") from answer
    return answer


def _look_up(target: Target, answers: "queue.SimpleQueue[list[Address] | OSError]") -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        answers.put([ip_address(sockaddr[0]) for *_, sockaddr in found])
    except OSError as error:
        answers.put(error)
    finally:
        _look_ups.release()
