"""Requests as bytes, and what is wanted of answers."""

import base64
import json
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from tests.benchmarks.load import Address, Refused
from tests.benchmarks.peers.base import CHALLENGE, REDIRECT_URI, VERIFIER, Provider, Role

SEE_OTHER = (b"302", b"303")
OK = (b"200",)


def get(address: Address, target: str, headers: Mapping[str, str]) -> bytes:
    """A GET request."""
    return _request("GET", address, target, headers, "")


def post(address: Address, target: str, headers: Mapping[str, str], form: Mapping[str, str]) -> bytes:
    """A POST of a form."""
    body = urlencode(form)
    typed = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body)), **headers}
    return _request("POST", address, target, typed, body)


def authorization(provider: Provider, role: Role, person: int) -> bytes:
    """The browser of ``person`` asks for a code."""
    asked = {
        "response_type": "code",
        "client_id": role.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": role.scope,
        "state": "af0ifjsldkj",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **role.extra,
    }
    target = f"{provider.description.paths['authorization']}?{urlencode(asked)}"
    return get(provider.address, target, {"Cookie": provider.description.cookies[person]})


def token(provider: Provider, role: Role, form: Mapping[str, str]) -> bytes:
    """A token request of an authenticated client."""
    return _authenticated(provider, "token", role, form)


def exchange(provider: Provider, role: Role, code: str) -> bytes:
    """The client redeems a code."""
    form = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    return token(provider, role, {"grant_type": "authorization_code", **form})


def introspection(provider: Provider, role: Role, value: str) -> bytes:
    """The client asks what a token is worth."""
    return _authenticated(provider, "introspection", role, {"token": value, "token_type_hint": "access_token"})


def bearer(provider: Provider, endpoint: str, value: str) -> bytes:
    """A request with an access token."""
    return get(provider.address, provider.description.paths[endpoint], {"Authorization": f"Bearer {value}"})


class Always:
    """Each connection asks the same all the time.

    Args:
        status: what the answer begins with, as three digits.
        holds: what a good answer holds somewhere.
    """

    def __init__(self, requests: Iterable[bytes], *, status: tuple[bytes, ...] = OK, holds: bytes) -> None:
        self.requests = list(requests)
        self.status = status
        self.holds = holds

    def next(self, connection: int) -> bytes:
        """The connection's request."""
        return self.requests[connection % len(self.requests)]

    def take(self, connection: int, answer: bytes) -> None:
        """Check it."""
        check(answer, self.status, self.holds)


class Once:
    """Each request is sent by whichever connection comes first, and its answer kept where ``keeps``."""

    def __init__(
        self, requests: Iterable[bytes], *, status: tuple[bytes, ...] = OK, holds: bytes, keeps: bool = False
    ) -> None:
        self.requests = deque(requests)
        self.status = status
        self.holds = holds
        self.keeps = keeps
        self.answers: list[bytes] = []

    def next(self, connection: int) -> bytes | None:
        """One that was not sent yet."""
        return self.requests.popleft() if self.requests else None

    def take(self, connection: int, answer: bytes) -> None:
        """Check it."""
        check(answer, self.status, self.holds)
        if self.keeps:
            self.answers.append(answer)


class Chains:
    """Each connection uses the refresh token that its last answer brought."""

    def __init__(self, provider: Provider, role: Role, first: Iterable[str]) -> None:
        self.provider = provider
        self.role = role
        self.tokens = list(first)

    def next(self, connection: int) -> bytes:
        """The connection's token in a request."""
        form = {"grant_type": "refresh_token", "refresh_token": self.tokens[connection]}
        return token(self.provider, self.role, form)

    def take(self, connection: int, answer: bytes) -> None:
        """The successor, which is another one."""
        check(answer, OK, b'"id_token"')
        successor = members(answer)["refresh_token"]
        if successor == self.tokens[connection]:
            raise Refused("The refresh token was not rotated.")
        self.tokens[connection] = successor


def check(answer: bytes, status: tuple[bytes, ...], holds: bytes) -> None:
    """Nothing but what was asked for.

    Raises:
        Refused: it is something else.
    """
    if answer[9:12] not in status or holds not in answer:
        raise Refused(answer[:1500].decode(errors="replace"))


def members(answer: bytes) -> dict[str, Any]:
    """The JSON object of an answer, whether it came in one piece or in chunks."""
    found: dict[str, Any] = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    return found


def code_of(answer: bytes) -> str:
    """The code in a redirect."""
    head = answer.decode("latin-1").split("\r\n")
    location = next(line for line in head if line.lower().startswith("location:"))
    return dict(parse_qsl(urlsplit(location.partition(":")[2].strip()).query))["code"]


def _authenticated(provider: Provider, endpoint: str, role: Role, form: Mapping[str, str]) -> bytes:
    joined = f"{quote_plus(role.client_id)}:{quote_plus(role.secret)}"
    headers = {"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}
    return post(provider.address, provider.description.paths[endpoint], headers, form)


def _request(method: str, address: Address, target: str, headers: Mapping[str, str], body: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {address[0]}:{address[1]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()
