"""A client that nobody set up, over HTTP: all that it is told of the provider comes from discovery (RFC 7591, 7592)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session

from identityserver import caching
from identityserver.models import InitialAccessToken
from tests.journeys.provider import Visitor

CALLBACK, MOVED = "https://app.example/callback", "https://app.example/moved"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def metadata(provider: str, settings: Any) -> dict[str, Any]:
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "initial_access_token"}
    caching.forget()
    return requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()


def sign_in(visitor: Visitor, metadata: dict[str, Any], information: dict[str, Any], secret: str | None) -> str:
    """Authlib signs alice in by what the registration told; her name at UserInfo is returned."""
    with OAuth2Session(
        information["client_id"],
        secret,
        token_endpoint=metadata["token_endpoint"],
        token_endpoint_auth_method=information["token_endpoint_auth_method"],
        code_challenge_method="S256",
        scope=information["scope"],
        redirect_uri=information["redirect_uris"][0],
    ) as session:
        verifier = generate_token(48)
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"], nonce=generate_token(20), code_verifier=verifier
        )
        answer = visitor.sent_from(url)
        assert dict(parse_qsl(urlsplit(answer).query))["iss"] == metadata["issuer"]
        session.fetch_token(authorization_response=answer, state=state, code_verifier=verifier)
        session.refresh_token()
        return str(session.get(metadata["userinfo_endpoint"]).json()["name"])


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_a_client_registers_signs_people_in_moves_and_leaves(
    visitor: Visitor, metadata: dict[str, Any], method: str
) -> None:
    token = InitialAccessToken.objects.issue(uses=1)[1]
    wanted = {
        "client_name": "Stranger",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": method,
    }
    bearer = {"Authorization": f"Bearer {token}"}
    created = requests.post(metadata["registration_endpoint"], json=wanted, headers=bearer, timeout=20)
    assert created.status_code == 201, created.text
    information = created.json()
    secret = information.pop("client_secret", None)
    assert sign_in(visitor, metadata, information, secret) == "Alice Adams"

    place = information.pop("registration_client_uri")
    bearer = {"Authorization": f"Bearer {information.pop('registration_access_token')}"}
    for ours in ("client_secret_expires_at", "client_id_issued_at"):
        information.pop(ours, None)
    moved = requests.put(place, json={**information, "redirect_uris": [MOVED]}, headers=bearer, timeout=20)
    assert moved.status_code == 200, moved.text
    assert sign_in(visitor, metadata, moved.json(), secret) == "Alice Adams"

    assert requests.delete(place, headers=bearer, timeout=20).status_code == 204
    assert requests.get(place, headers=bearer, timeout=20).status_code == 401
    with pytest.raises(AssertionError, match="not registered here"):
        sign_in(visitor, metadata, moved.json(), secret)
