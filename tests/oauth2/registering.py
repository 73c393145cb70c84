"""Words for registering clients: what a developer sends, and a relying party from what comes back."""

import json
import secrets
from typing import Any

from django.test import Client as HttpClient

from identityserver.models import Client, InitialAccessToken
from identityserver.testing import RelyingParty

REGISTER = "/connect/register"
CALLBACK = "https://app.example/callback"

#: The least that a web application has to say.
WEB = {"redirect_uris": [CALLBACK]}


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


def register(metadata: Any = WEB, token: str | None = None, *, content_type: str = "application/json", **extra: Any):
    """A registration request; what is no text is sent as JSON."""
    body = metadata if isinstance(metadata, (str, bytes)) else json.dumps(metadata)
    http = HttpClient(raise_request_exception=False)
    return http.generic("POST", REGISTER, body, content_type, headers=bearer(token), **extra)


def registered(metadata: Any = WEB, token: str | None = None) -> dict[str, Any]:
    """What a client is told that has registered."""
    response = register(metadata, token)
    assert response.status_code == 201, response.content
    return response.json()


def is_refused(response: Any, error: str, status: int = 400) -> str:
    """Assert that a request was refused in the words of RFC 7591 §3.2.2; the description is returned."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    members = response.json()
    assert members.keys() == {"error", "error_description"}
    assert members["error"] == error, members
    return members["error_description"]


def manage(method: str, information: dict[str, Any], body: Any = None, *, token: str | None = "", client_id: str = ""):
    """A request to the client configuration endpoint, by the client's own token unless another is given."""
    url = information["registration_client_uri"]
    if client_id:
        url = f"http://testserver{REGISTER}/{client_id}"
    presented = information["registration_access_token"] if token == "" else token
    sent = body if isinstance(body, (str, bytes)) else json.dumps(body) if body is not None else ""
    http = HttpClient(raise_request_exception=False)
    return http.generic(method, url, sent, "application/json", headers=bearer(presented))


def as_sent(information: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The body of an update: all that was registered, without what only the server says (RFC 7592 §2.2)."""
    ours = {
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
        "client_secret",
    }
    body = {name: value for name, value in information.items() if name not in ours}
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def initial_access_token(**fields: Any) -> str:
    return InitialAccessToken.objects.issue(**fields)[1]


def row_of(information: dict[str, Any]) -> Client:
    return Client.objects.get(client_id=information["client_id"])


class RegisteredParty(RelyingParty):
    """A relying party that knows of itself what its registration told it."""

    def __init__(self, information: dict[str, Any]) -> None:
        self.row = row_of(information)
        self.scope = information["scope"]
        self.offline_access = "offline_access" in self.scope
        self.secret = information.get("client_secret", "")
        self.http = HttpClient(raise_request_exception=False)
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(8)
        self.nonce = secrets.token_urlsafe(8)
