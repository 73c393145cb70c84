"""Authlib as a client by password (RFC 6749 §4.3), JWT bearer (RFC 7523) and token exchange (RFC 8693)."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import AssertionSession, OAuth2Session
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from joserfc.jws import JWSRegistry

from identityserver.models import ApiResource, ApiScope, Subject, TrustedIssuer
from identityserver.testing import RelyingParty
from identityserver.testing.fixtures import PASSWORD
from tests.journeys.provider import Visitor

CALLBACK = "https://app.example/callback"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def metadata(provider: str, settings: Any) -> dict[str, Any]:
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "optional_grant_types": [JWT_BEARER, "password"]}
    document = requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()
    assert {"password", JWT_BEARER, EXCHANGE} <= set(document["grant_types_supported"])
    return document


@pytest.fixture
def read(metadata: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """What an access token says, verified by the published keys."""

    def verified(token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
        return jwt.decode(token, keys, registry=JWSRegistry(strict_check_header=False)).claims

    return verified


@pytest.fixture
def session_of(metadata: dict[str, Any]) -> Iterator[Callable[..., OAuth2Session]]:
    opened: list[OAuth2Session] = []

    def make(party: RelyingParty, **options: Any) -> OAuth2Session:
        endpoint = metadata["token_endpoint"]
        session = OAuth2Session(party.client_id, party.secret, token_endpoint=endpoint, **options)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


def party(scopes: str, *grant_types: str, **fields: Any) -> RelyingParty:
    return RelyingParty(scopes=scopes, allowed_grant_types=list(grant_types), **{"redirect_uris": [], **fields})


class TestPassword:
    def test_from_password_to_refresh(self, metadata: dict[str, Any], session_of: Callable[..., OAuth2Session]) -> None:
        legacy = party("openid profile offline_access", "password", "refresh_token")
        session = session_of(legacy, scope=legacy.scope)
        token = session.fetch_token(username="alice", password=PASSWORD)
        assert session.get(metadata["userinfo_endpoint"]).json()["preferred_username"] == "alice"
        fresh = session.refresh_token()
        assert fresh["access_token"] != token["access_token"]

    def test_a_wrong_password(self, session_of: Callable[..., OAuth2Session]) -> None:
        session = session_of(party("openid", "password"), scope="openid")
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.fetch_token(username="alice", password="wrong")


class TestAssertion:
    """``AssertionSession`` asks for a token whenever it needs one."""

    @pytest.fixture
    def key(self, api: Any) -> ECKey:
        key = ECKey.generate_key("P-256", auto_kid=True)
        partner = TrustedIssuer.objects.create(
            issuer="https://partner.example",
            algorithms=["ES256"],
            jwks={"keys": [key.as_dict(private=False)]},
            subject_mapping="username",
        )
        partner.api_scopes.set(ApiScope.objects.filter(name="notes.read"))
        return key

    def assertion_session(self, metadata: dict[str, Any], key: ECKey, **options: Any) -> AssertionSession:
        client = party("notes.read", JWT_BEARER, token_endpoint_auth_method="none")
        return AssertionSession(
            **{
                "token_endpoint": metadata["token_endpoint"],
                "issuer": "https://partner.example",
                "subject": "alice",
                "scope": "notes.read",
                "client_id": client.client_id,
                "key": key,
                "header": {"alg": "ES256", "kid": key.kid},
                "expires_at": int(time.time()) + 60,
                **options,
            }
        )

    def test_an_assertion_for_a_token(
        self, metadata: dict[str, Any], key: ECKey, read: Callable[[str], dict[str, Any]]
    ) -> None:
        with self.assertion_session(metadata, key) as session:
            claims = read(session.refresh_token()["access_token"])
        assert (claims["scope"], claims["aud"]) == ("notes.read", "https://api.example")
        assert claims["sub"] == Subject.objects.get().value

    def test_one_after_the_other(self, metadata: dict[str, Any], key: ECKey) -> None:
        """Each has a jti of its own."""
        with self.assertion_session(metadata, key) as session:
            first, second = (session.refresh_token()["access_token"] for _ in range(2))
        assert first != second

    def test_an_hour_is_too_long(self, metadata: dict[str, Any], key: ECKey) -> None:
        """What Authlib says where nobody says otherwise."""
        with (
            self.assertion_session(metadata, key, expires_at=None) as session,
            pytest.raises(Exception, match="invalid_grant"),
        ):
            session.refresh_token()


class TestExchange:
    """RFC 8693: the API that was called calls the next one."""

    def test_an_api_calls_the_next_one_for_the_user(
        self,
        visitor: Visitor,
        metadata: dict[str, Any],
        session_of: Callable[..., OAuth2Session],
        read: Callable[[str], dict[str, Any]],
        api: Any,
    ) -> None:
        stock = ApiResource.objects.create(name="https://stock.example")
        stock.api_scopes.set([ApiScope.objects.create(name="stock.read")])
        shop = RelyingParty(scopes="openid notes.read")
        there = session_of(shop, scope=shop.scope, redirect_uri=CALLBACK, code_challenge_method="S256")
        url, state = there.create_authorization_url(metadata["authorization_endpoint"], code_verifier=shop.verifier)
        answer = visitor.sent_from(url)
        token = there.fetch_token(authorization_response=answer, state=state, code_verifier=shop.verifier)

        backend = party(
            "stock.read",
            EXCHANGE,
            token_exchange_audiences=["https://stock.example"],
            token_exchange_sources=["https://api.example"],
        )
        asked = {
            "grant_type": EXCHANGE,
            "subject_token": token["access_token"],
            "subject_token_type": ACCESS_TOKEN,
            "audience": "https://stock.example",
        }
        exchanged = session_of(backend).fetch_token(**asked)
        assert (exchanged["issued_token_type"], exchanged["scope"]) == (ACCESS_TOKEN, "stock.read")
        before, after = read(token["access_token"]), read(exchanged["access_token"])
        assert (after["sub"], after["client_id"]) == (before["sub"], backend.client_id)
        assert after["aud"] == "https://stock.example"
        assert after["exp"] <= before["exp"]
        with pytest.raises(OAuthError, match="invalid_target"):
            session_of(backend).fetch_token(**{**asked, "audience": "https://api.example"})
