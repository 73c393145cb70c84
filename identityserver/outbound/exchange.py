"""One request and its answer, over a connection that goes where it was checked to go."""

import functools
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, Literal, cast

import urllib3
from urllib3.connection import HTTPConnection

from identityserver.outbound.addresses import Address
from identityserver.outbound.errors import ResponseRefused, TimedOut, Unreachable
from identityserver.outbound.target import Deadline, Target, checked_addresses, read_target

#: The longest that one exchange may take, from the look-up of the name to the last byte, in seconds.
LONGEST = 5.0
#: The largest body that is read, in bytes.
LARGEST_BODY = 64 * 1024

_LARGEST_ANSWER = LARGEST_BODY + 16 * 1024  # with its head, and the framing of its chunks


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An answer of any status: a redirect is one like any other. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    method: Literal["GET", "POST"] = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = LONGEST,
) -> Response:
    """One exchange with the server at ``url``, of ``timeout`` seconds in all and at most ``LONGEST``.

    Raises:
        OutboundError: the URL, an address of its host or the answer is refused, or does not come in time.
    """
    deadline = Deadline.within(min(timeout, LONGEST))
    target = read_target(url)
    addresses = checked_addresses(target, deadline)
    sent = {
        "User-Agent": "django-identityserver",
        **(headers or {}),
        "Host": target.authority,
        "Accept-Encoding": "identity",  # nothing is decompressed, so nothing can be a bomb
        "Connection": "close",
    }
    connection = _PinnedConnection(target, addresses, deadline)
    with _failures_told(target), _hung_up(connection), closing(connection):
        connection.request(method, target.resource, body, sent, preload_content=False, decode_content=False)
        with closing(connection.getresponse()) as response:
            return _read(response)


def _read(response: urllib3.HTTPResponse) -> Response:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ResponseRefused("The answer is encoded, though that was not asked for.")
    body = b""
    while part := response.read(LARGEST_BODY, decode_content=False):  # the last and empty read sees a cut
        body += part
        if len(body) > LARGEST_BODY:
            raise ResponseRefused(f"The answer is larger than {LARGEST_BODY} bytes.")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(status=response.status, headers=MappingProxyType(headers), body=body)


class _BoundedSocket(socket.socket):
    """A socket whose reads all end by one deadline and within one size, whatever the peer does."""

    deadline: Deadline
    received = 0

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(self.deadline.remaining())
        count = super().recv_into(buffer, nbytes or len(buffer), flags)
        self.received += count
        if self.received > _LARGEST_ANSWER:
            raise ResponseRefused(f"The answer is larger than {LARGEST_BODY} bytes.")
        return count


class _BoundedTLSSocket(_BoundedSocket, ssl.SSLSocket):
    """The same, through TLS."""


class _PinnedConnection(HTTPConnection):
    """A connection to one of the checked addresses, under the host's name, which is not looked up again."""

    def __init__(self, target: Target, addresses: Sequence[Address], deadline: Deadline) -> None:
        super().__init__(target.host, target.port)
        self.target = target
        self.addresses = addresses
        self.deadline = deadline
        self.opened: _BoundedSocket | None = None

    def connect(self) -> None:
        plain = self._connected()
        self.sock = self.opened = plain if self.target.scheme == "http" else self._secured(plain)

    def _connected(self) -> _BoundedSocket:
        """A connection to the first address that answers; each has its share of the time that is left."""
        failure = OSError("it has no address")
        for tried, address in enumerate(self.addresses):
            plain = _BoundedSocket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
            plain.deadline = self.deadline
            try:
                with _closed_on_failure(plain):
                    plain.settimeout(self.deadline.remaining() / (len(self.addresses) - tried))
                    plain.connect((str(address), self.target.port))
                    plain.settimeout(self.deadline.remaining())
                    return plain
            except OSError as error:
                failure = error
        raise failure

    def _secured(self, plain: _BoundedSocket) -> _BoundedTLSSocket:
        """TLS with the host's own name, in SNI and in the check of the certificate, whatever was dialled."""
        context = _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        with closing(plain):  # wrapped, it is empty; only one that could not be is closed here
            secured = cast("_BoundedTLSSocket", context.wrap_socket(plain, server_hostname=self.target.host))
        with _closed_on_failure(secured):  # of the time, which may be up by now
            secured.deadline = self.deadline
            secured.settimeout(self.deadline.remaining())
        return secured


@contextmanager
def _hung_up(connection: _PinnedConnection) -> Iterator[None]:
    """Close the socket itself at the end: an answer that breaks off leaves a reader that still holds on to it."""
    try:
        yield
    finally:
        if connection.opened is not None and (descriptor := connection.opened.detach()) >= 0:
            socket.close(descriptor)


@contextmanager
def _closed_on_failure(opened: socket.socket) -> Iterator[None]:
    """Leave no socket behind that nobody was given."""
    try:
        yield
    except BaseException:
        opened.close()
        raise


@functools.lru_cache(maxsize=2)
def _tls_context(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    """A verifying context for what the environment names. Reading the authorities takes milliseconds."""
    context = ssl.create_default_context()
    context.sslsocket_class = _BoundedTLSSocket
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def _failures_told(target: Target) -> Iterator[None]:
    """What the layers below raise, as an error of ours."""
    try:
        yield
    except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
        raise TimedOut(f"{target.host} did not answer in time.") from error
    except (ssl.SSLError, urllib3.exceptions.SSLError) as error:
        raise Unreachable(f"There is no trustworthy connection to {target.host}: {error}") from error
    except (HTTPException, urllib3.exceptions.HTTPError, ValueError) as error:  # -5 is no HTTPException
        raise ResponseRefused(f"{target.host} does not answer in HTTP: {error}") from error
    except OSError as error:
        raise Unreachable(f"{target.host} cannot be reached: {error}") from error
