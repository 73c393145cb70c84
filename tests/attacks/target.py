"""What the attacks are aimed at: a client, a user who is signed in, and a way to send what no library would."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import Client as HttpClient

from identityserver import digests
from identityserver.models import AuthorizationCode, ClientSecret, Consent, Grant, RefreshToken
from identityserver.testing import RelyingParty
from identityserver.testing.relying_party import FORM, basic, challenge_of

CLIENT_ID = "app"
SECRET = "the secret that only the client knows"
REDIRECT_URI = "https://app.example/callback"
LOGGED_OUT_URI = "https://app.example/signed-out"
VERIFIER = "v" * 64
BASIC = basic(CLIENT_ID, SECRET)

#: What an answer that changes nothing may be (a 503 would be a fault of ours, not the sender's).
HARMLESS = {200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 413, 415, 429}
#: What nobody may be given by a request that is refused.
PRIZES = (Grant, AuthorizationCode, RefreshToken, Consent)


def asking(extra: str = "", /, **changes: Any) -> str:
    """The query of an authorization request that would be answered with a code, changed; ``None`` leaves one out."""
    good = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    kept = {name: value for name, value in {**good, **changes}.items() if value is not None}
    return "&".join(filter(None, [urlencode(kept), extra]))


class Target:
    """A provider with one client that needs no consent, and a browser in which somebody is signed in."""

    def __init__(self) -> None:
        self.app = RelyingParty(client_id=CLIENT_ID, scopes="openid profile email offline_access")
        ClientSecret.objects.create(client=self.app.row, digest=digests.digest(SECRET))
        self.user = get_user_model().objects.create_user("victim", email="victim@example.com", password="the password")
        self.http = HttpClient(raise_request_exception=False)
        self.http.force_login(self.user)
        self.before = self.prizes

    def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | str = b"",
        content_type: str = FORM,
        **environ: Any,
    ) -> HttpResponse:
        """Send these octets; ``environ`` are WSGI variables such as ``HTTP_AUTHORIZATION``."""
        return self.http.generic(method, path, body, content_type, QUERY_STRING=query, **environ)

    def send_form(self, path: str, form: str | bytes, **environ: Any) -> HttpResponse:
        """Send a form."""
        return self.send("POST", path, body=form, **environ)

    @contextmanager
    def attacked_with(self, attack: str) -> Iterator[None]:
        """Name the attack where an assertion within fails, and assert that it gave nothing."""
        try:
            yield
            self.gives_nothing()
        except AssertionError as error:
            error.add_note(f"The attack was: {attack[:200]!r}")
            raise

    @property
    def prizes(self) -> dict[str, int]:
        """How many of each there are."""
        return {model.__name__: model.objects.count() for model in PRIZES}

    def gives_nothing(self) -> None:
        """Assert that no grant, code, token or consent came of it."""
        assert self.prizes == self.before


def is_refused_as_json(response: HttpResponse, error: str | None = None) -> None:
    """Assert that a machine is refused in its own language."""
    assert response.status_code in HARMLESS - {200, 201, 204, 303, 304}, (response.status_code, response.content[:500])
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    members = json.loads(response.content)
    assert set(members) == {"error", "error_description"}
    assert error is None or members["error"] == error, members


def is_our_page(response: HttpResponse) -> None:
    """Assert that a person sees a page of ours, with its headers, and not Django's or the server's."""
    assert response.status_code in HARMLESS, (response.status_code, response.content[:500])
    assert 'class="brand"' in response.content.decode(), response.content[:500]
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert "Traceback" not in response.content.decode()


def stays_with_us(response: HttpResponse) -> None:
    """Assert that a person sees a page of ours, or is sent to one."""
    if response.status_code == 303:
        assert response["Location"].startswith(("/account/", "/connect/authorize/resume", "/device"))
    else:
        is_our_page(response)


def answer_to_client(response: HttpResponse) -> dict[str, str]:
    """What was sent to the client's registered redirect URI, which is nowhere else."""
    assert response.status_code == 303, (response.status_code, response.content[:500])
    parts = urlsplit(response["Location"])
    assert parts._replace(query="", fragment="").geturl() == REDIRECT_URI, response["Location"]
    return dict(parse_qsl(parts.query or parts.fragment, keep_blank_values=True))
