"""Authlib as a relying party, over HTTP: what it is told comes from discovery, and it verifies all that it gets."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.django_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE, AuthorizationPendingError, SlowDownError
from authlib.oidc.core import CodeIDToken
from django.contrib.sessions.backends.cache import SessionStore
from django.test import RequestFactory
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from identityserver.testing import RelyingParty
from identityserver.testing.fixtures import PASSWORD
from tests.journeys.provider import Visitor

CALLBACK = "https://app.example/callback"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def metadata(provider: str) -> dict[str, Any]:
    document = requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()
    assert document["issuer"] == provider
    return document


@pytest.fixture
def keys(metadata: dict[str, Any]) -> KeySet:
    return KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())


@pytest.fixture
def session_of(metadata: dict[str, Any]) -> Iterator[Callable[..., OAuth2Session]]:
    """Authlib's session for a registered client."""
    opened: list[OAuth2Session] = []

    def make(party: RelyingParty, **options: Any) -> OAuth2Session:
        session = OAuth2Session(
            party.client_id,
            party.secret or None,
            token_endpoint=metadata["token_endpoint"],
            token_endpoint_auth_method=party.row.token_endpoint_auth_method,
            code_challenge_method="S256",
            **options,
        )
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


def id_token_of(token: Any, metadata: dict[str, Any], keys: KeySet, client_id: str, nonce: str) -> CodeIDToken:
    registry = JWSRegistry(algorithms=metadata["id_token_signing_alg_values_supported"], strict_check_header=False)
    decoded = jwt.decode(token["id_token"], keys, registry=registry)
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        {"iss": {"essential": True, "value": metadata["issuer"]}},
        {"client_id": client_id, "nonce": nonce, "access_token": token["access_token"]},
    )
    claims.validate()
    return claims


class TestRequestsSession:
    """``OAuth2Session``, step by step."""

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    def test_from_sign_in_to_refresh(
        self,
        visitor: Visitor,
        metadata: dict[str, Any],
        keys: KeySet,
        session_of: Callable[..., OAuth2Session],
        method: str,
        algorithm: str,
    ) -> None:
        assert method in metadata["token_endpoint_auth_methods_supported"]
        party = RelyingParty(
            scopes="openid profile email offline_access",
            require_consent=True,
            token_endpoint_auth_method=method,
            id_token_signed_response_alg=algorithm,
        )
        session = session_of(party, scope=party.scope, redirect_uri=CALLBACK)
        nonce, verifier = generate_token(20), generate_token(48)
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"], nonce=nonce, code_verifier=verifier
        )
        answer = visitor.sent_from(url)
        assert dict(parse_qsl(urlsplit(answer).query))["iss"] == metadata["issuer"]
        token = session.fetch_token(authorization_response=answer, state=state, code_verifier=verifier)
        claims = id_token_of(token, metadata, keys, party.client_id, nonce)
        assert claims.header["alg"] == algorithm
        user = session.get(metadata["userinfo_endpoint"]).json()
        assert (user["sub"], user["name"], user["email"]) == (claims["sub"], "Alice Adams", "alice@example.com")
        fresh = session.refresh_token()
        assert fresh["access_token"] != token["access_token"]
        assert session.get(metadata["userinfo_endpoint"]).json() == user

    def test_an_answer_to_another_state_is_refused_by_the_client(
        self, visitor: Visitor, metadata: dict[str, Any], session_of: Callable[..., OAuth2Session]
    ) -> None:
        party = RelyingParty(scopes="openid")
        session = session_of(party, scope="openid", redirect_uri=CALLBACK)
        url, _ = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=party.verifier)
        with pytest.raises(MismatchingStateException):
            session.fetch_token(
                authorization_response=visitor.sent_from(url), state="another", code_verifier=party.verifier
            )

    def test_what_went_wrong_is_read(
        self, visitor: Visitor, metadata: dict[str, Any], session_of: Callable[..., OAuth2Session]
    ) -> None:
        party = RelyingParty(scopes="openid", require_consent=True)
        session = session_of(party, scope="openid", redirect_uri=CALLBACK)
        url, _ = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=party.verifier)
        assert "error=access_denied" in visitor.sent_from(url, allow=False)
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.fetch_token(code="x", code_verifier=party.verifier)

    def test_a_device_without_a_browser(
        self,
        visitor: Visitor,
        metadata: dict[str, Any],
        keys: KeySet,
        session_of: Callable[..., OAuth2Session],
        television: RelyingParty,
    ) -> None:
        """RFC 8628: another device allows it; this one polls, and refreshes later."""
        session = session_of(television)
        asked = session.post(
            metadata["device_authorization_endpoint"],
            data={"client_id": television.client_id, "scope": television.scope},
            withhold_token=True,
        ).json()
        answered = {"grant_type": DEVICE_CODE_GRANT_TYPE, "device_code": asked["device_code"]}
        with pytest.raises(OAuthError, match=AuthorizationPendingError.error):
            session.fetch_token(**answered)
        with pytest.raises(OAuthError, match=SlowDownError.error):
            session.fetch_token(**answered)
        page = visitor.open(urlsplit(asked["verification_uri_complete"])._replace(scheme="", netloc="").geturl())
        page.sign_in("alice", PASSWORD).submit().allow()
        token = session.fetch_token(**answered)
        claims = id_token_of(token, metadata, keys, television.client_id, "")
        assert session.get(metadata["userinfo_endpoint"]).json()["sub"] == claims["sub"]
        assert session.refresh_token()["access_token"] != token["access_token"]

    def test_client_credentials(
        self, metadata: dict[str, Any], keys: KeySet, session_of: Callable[..., OAuth2Session], api: Any
    ) -> None:
        party = RelyingParty(scopes="notes.read", allowed_grant_types=["client_credentials"], redirect_uris=[])
        session = session_of(party, scope="notes.read")
        token = session.fetch_token(grant_type="client_credentials")
        assert (token["token_type"], token["scope"]) == ("Bearer", "notes.read")
        claims = jwt.decode(token["access_token"], keys, registry=JWSRegistry(strict_check_header=False)).claims
        assert (claims["iss"], claims["aud"]) == (metadata["issuer"], "https://api.example")


class TestDjango:
    """``authlib.integrations.django_client``: state, nonce and verifier in the session, all else from discovery."""

    @pytest.fixture
    def party(self, provider: str) -> RelyingParty:
        return RelyingParty(scopes="openid profile email offline_access", require_consent=True)

    @pytest.fixture
    def client(self, provider: str, party: RelyingParty) -> Any:
        registry = OAuth()
        registry.register(
            "provider",
            client_id=party.client_id,
            client_secret=party.secret,
            server_metadata_url=f"{provider}/.well-known/openid-configuration",
            client_kwargs={"scope": party.scope, "code_challenge_method": "S256"},
        )
        return registry.provider

    def request(self, session: SessionStore, url: str = "/") -> Any:
        request = RequestFactory().get(url)
        request.session = session
        return request

    def test_from_sign_in_to_sign_out(self, visitor: Visitor, party: RelyingParty, client: Any) -> None:
        session = SessionStore()
        there = client.authorize_redirect(self.request(session), CALLBACK)["Location"]
        back = urlsplit(visitor.sent_from(there))
        token = client.authorize_access_token(self.request(session, f"/callback?{back.query}"))
        assert token["userinfo"]["nonce"]
        assert client.userinfo(token=token)["preferred_username"] == "alice"
        fresh = client.fetch_access_token(grant_type="refresh_token", refresh_token=token["refresh_token"])
        assert client.userinfo(token=fresh)["sub"] == token["userinfo"]["sub"]
        goodbye = client.create_logout_url(
            post_logout_redirect_uri=party.row.post_logout_redirect_uris[0], id_token_hint=token["id_token"]
        )
        assert visitor.open(goodbye["url"]).location == f"https://app.example/signed-out?state={goodbye['state']}"
        assert "password" in visitor.open(there).fields

    def test_single_sign_on(self, visitor: Visitor, client: Any) -> None:
        """A second round needs no password, and a silent one no page at all."""
        for extra in ({}, {}, {"prompt": "none"}):
            session = SessionStore()
            there = client.authorize_redirect(self.request(session), CALLBACK, scope="openid", **extra)["Location"]
            back = urlsplit(visitor.sent_from(there))
            token = client.authorize_access_token(self.request(session, f"/callback?{back.query}"))
            assert token["userinfo"]["sub"]

    def test_a_code_of_another_flow_is_refused(self, visitor: Visitor, client: Any) -> None:
        """The verifier in the session is another."""
        one, other = SessionStore(), SessionStore()
        client.authorize_redirect(self.request(one), CALLBACK)
        there = client.authorize_redirect(self.request(other), CALLBACK)["Location"]
        stolen = dict(parse_qsl(urlsplit(visitor.sent_from(there)).query))
        state = next(name for name, _ in one.items() if "state" in name).rpartition("_")[2]
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.authorize_access_token(self.request(one, f"/callback?code={stolen['code']}&state={state}"))
