"""The messages between application, provider and API, kept to be shown, with secrets masked."""

import base64
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

KEPT = 30  # messages in a session
LONG = 400  # characters of a value

# What must not be read over a shoulder. Of the rest, everything is shown.
SECRET = {
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "access_token",
    "refresh_token",
    "id_token",
    "id_token_hint",
}
SHOWN_HEADERS = ("Authorization", "Content-Type", "Accept", "WWW-Authenticate", "Retry-After", "Location")

Pairs = list[tuple[str, str]]

_messages: ContextVar[list[dict[str, Any]] | None] = ContextVar("messages", default=None)


def record_traffic(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that keeps the messages of a request in its session, the newest first."""

    def respond(request: HttpRequest) -> HttpResponse:
        token = _messages.set([])
        try:
            response = get_response(request)
            if _messages.get():
                request.session["traffic"] = traffic(request)
            return response
        finally:
            _messages.reset(token)

    return respond


def traffic(request: HttpRequest) -> list[dict[str, Any]]:
    """The messages to show, those of this very request included, the newest first."""
    return [*reversed(_messages.get() or []), *request.session.get("traffic", [])][:KEPT]


def record_response(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    """A hook of ``requests``: keep the request that was sent and the answer."""
    sent = response.request
    record(
        title=title_of(sent.url or ""),
        channel="back",
        line=f"{sent.method} {sent.url}",
        headers=headers(sent.headers),
        body=form(sent.body),
        status=f"{response.status_code} {response.reason}",
        response_headers=headers(response.headers),
        response_body=content(response),
    )


def record_redirect(title: str, url: str, *, arrived: bool = False) -> None:
    """Keep a message that went through the browser, by its URL: one we sent, or one that ``arrived``."""
    address, _, query = url.partition("?")
    record(title=title, channel="front", line=("← " if arrived else "→ ") + address, body=form(query))


def record(**message: Any) -> None:
    messages = _messages.get()
    if messages is not None:
        messages.append({"time": timezone.now().strftime("%H:%M:%S"), **message})


def title_of(url: str) -> str:
    """A name for a message by where it went."""
    path = urlsplit(url).path
    for ending, title in TITLES.items():
        if path.endswith(ending):
            return title
    return "API call"


TITLES = {
    "/.well-known/openid-configuration": "Discovery",
    "/jwks": "Keys",
    "/connect/token": "Token request",
    "/connect/deviceauthorization": "Device authorization request",
    "/connect/userinfo": "UserInfo request",
}


def headers(given: Mapping[str, Any]) -> Pairs:
    """The headers worth seeing; credentials masked. The mapping knows no case."""
    pairs = [(name, str(given[name])) for name in SHOWN_HEADERS if name in given]
    return [(name, masked_authorization(value) if name == "Authorization" else value) for name, value in pairs]


def masked_authorization(value: str) -> str:
    """``Basic field-notes:…`` or ``Bearer eyJ0…``."""
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() == "basic":
        return f"{scheme} {base64.b64decode(credentials).decode().partition(':')[0]}:••••••"
    return f"{scheme} {masked(credentials)}"


def masked(value: str) -> str:
    """The first characters of a secret, for recognition."""
    return f"{value[:6]}••••••"


def shortened(value: str) -> str:
    return value if len(value) <= LONG else f"{value[:LONG]}… ({len(value)} characters)"


def form(body: Any) -> Pairs:
    """The parameters of a form or a query, or a JSON text; secrets masked."""
    text = body.decode() if isinstance(body, bytes) else str(body or "")
    if text.startswith("{"):
        return [("JSON", text)]
    return [(name, masked(value) if name in SECRET else shortened(value)) for name, value in parse_qsl(text)]


def content(response: requests.Response) -> str:
    """The JSON of an answer, indented, secrets masked."""
    try:
        body = response.json()
    except ValueError:
        return shortened(response.text)
    return json.dumps(without_secrets(body), indent=2, ensure_ascii=False)


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: masked(entry) if name in SECRET and isinstance(entry, str) else without_secrets(entry)
            for name, entry in value.items()
        }
    return [without_secrets(entry) for entry in value] if isinstance(value, list) else value
