"""Authlib at introspection and revocation, over HTTP: as the client that has tokens, and as the API that gets them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import ResourceProtector
from authlib.oauth2.rfc6749.requests import OAuth2Request
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from identityserver.models import ApiResource, ApiSecret
from identityserver.testing import RelyingParty
from tests.journeys.provider import Visitor

CALLBACK = "https://app.example/callback"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def metadata(provider: str) -> dict[str, Any]:
    return requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()


@pytest.fixture(params=["jwt", "reference"])
def party(request: pytest.FixtureRequest, provider: str, api: ApiResource) -> RelyingParty:
    return RelyingParty(scopes="openid notes.read offline_access", access_token_type=request.param)


@pytest.fixture
def session(metadata: dict[str, Any], party: RelyingParty, visitor: Visitor) -> Iterator[OAuth2Session]:
    """Authlib's session for the client, with tokens that alice allowed it to have."""
    with OAuth2Session(
        party.client_id,
        party.secret,
        token_endpoint=metadata["token_endpoint"],
        code_challenge_method="S256",
        scope=party.scope,
        redirect_uri=CALLBACK,
    ) as session:
        url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=party.verifier)
        answer = visitor.sent_from(url)
        session.fetch_token(authorization_response=answer, state=state, code_verifier=party.verifier)
        yield session


class AskingValidator(IntrospectTokenValidator):
    """An API that asks about every token, as Authlib's manual has it."""

    def __init__(self, url: str, api: ApiResource) -> None:
        super().__init__()
        self.url = url
        self.credentials = (requests.utils.quote(api.name, safe=""), ApiSecret.generate(api)[1])

    def introspect_token(self, token_string: str) -> dict[str, Any]:
        response = requests.post(self.url, data={"token": token_string}, auth=self.credentials, timeout=20)
        response.raise_for_status()
        return response.json()


@pytest.fixture
def protector(metadata: dict[str, Any], api: ApiResource) -> Callable[..., Any]:
    """Judges a request with a bearer token as the API would."""
    resource_protector = ResourceProtector()
    resource_protector.register_token_validator(AskingValidator(metadata["introspection_endpoint"], api))

    def judge(token: str, scope: str = "notes.read") -> Any:
        request = OAuth2Request("GET", "https://api.example/notes", headers={"Authorization": f"Bearer {token}"})
        return resource_protector.validate_request([scope], request)

    return judge


class TestAClient:
    def test_asks_about_its_tokens_and_gives_them_back(self, metadata: dict[str, Any], session: OAuth2Session) -> None:
        """RFC 7662, then RFC 7009 with and without a hint."""
        token = session.token
        for hint in ("access_token", "refresh_token"):
            told = session.introspect_token(metadata["introspection_endpoint"], token[hint], token_type_hint=hint)
            assert told.json()["active"] is True
        done = session.revoke_token(metadata["revocation_endpoint"], token["access_token"], "access_token")
        assert (done.status_code, done.content) == (200, b"")
        told = session.introspect_token(metadata["introspection_endpoint"], token["access_token"])
        assert told.json() == {"active": False}
        assert session.get(metadata["userinfo_endpoint"]).status_code == 401
        assert session.revoke_token(metadata["revocation_endpoint"], token["refresh_token"]).status_code == 200
        told = session.introspect_token(metadata["introspection_endpoint"], token["refresh_token"])
        assert told.json() == {"active": False}


class TestAnApi:
    def test_takes_a_good_token_with_its_scope(
        self, session: OAuth2Session, protector: Callable[..., Any], party: RelyingParty
    ) -> None:
        token = protector(session.token["access_token"])
        assert (token["client_id"], token["scope"]) == (party.client_id, "notes.read")
        with pytest.raises(InsufficientScopeError):
            protector(session.token["access_token"], "notes.write")

    def test_takes_no_other(
        self, metadata: dict[str, Any], session: OAuth2Session, protector: Callable[..., Any]
    ) -> None:
        for token in ("x", session.token["refresh_token"], session.token["id_token"]):
            with pytest.raises(InvalidTokenError):
                protector(token)
        session.revoke_token(metadata["revocation_endpoint"], session.token["access_token"])
        with pytest.raises(InvalidTokenError):
            protector(session.token["access_token"])

    def test_verifies_a_signed_answer(self, metadata: dict[str, Any], session: OAuth2Session, api: ApiResource) -> None:
        """RFC 9701, with the keys that discovery names."""
        asking = AskingValidator(metadata["introspection_endpoint"], api)
        response = requests.post(
            asking.url,
            data={"token": session.token["access_token"]},
            auth=asking.credentials,
            headers={"Accept": "application/token-introspection+jwt"},
            timeout=20,
        )
        assert response.headers["Content-Type"] == "application/token-introspection+jwt"
        keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
        algorithms = metadata["introspection_signing_alg_values_supported"]
        registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
        decoded = jwt.decode(response.text, keys, registry=registry)
        assert decoded.header["typ"] == "token-introspection+jwt"
        assert (decoded.claims["iss"], decoded.claims["aud"]) == (metadata["issuer"], api.name)
        assert decoded.claims["token_introspection"] == asking.introspect_token(session.token["access_token"])
