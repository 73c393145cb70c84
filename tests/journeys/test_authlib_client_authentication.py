"""Authlib as a client that signs assertions: client_secret_jwt and private_key_jwt (RFC 7523, OpenID Connect Core §9).

Authlib makes its assertions good for an hour, which is longer than this server takes them unless its options say so.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from joserfc.jwk import ECKey, OKPKey, RSAKey

from identityserver.testing import RelyingParty
from identityserver.vocabulary import Algorithm, MacAlgorithm
from tests.journeys.provider import Visitor

CALLBACK = "https://app.example/callback"

pytestmark = pytest.mark.django_db(transaction=True)


class SoonOver:
    """Assertions that are good for a minute, each with claims of its own."""

    def sign(self, auth: Any, token_endpoint: str) -> str:
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)  # type: ignore[misc]  # of Authlib's method


class SecretJWT(SoonOver, ClientSecretJWT):
    """``client_secret_jwt``."""


class KeyJWT(SoonOver, PrivateKeyJWT):
    """``private_key_jwt``."""


@pytest.fixture
def metadata(provider: str) -> dict[str, Any]:
    return requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()


@pytest.fixture
def session_of(metadata: dict[str, Any]) -> Iterator[Callable[..., OAuth2Session]]:
    """Authlib's session for a registered client, with its secret or its key."""
    opened: list[OAuth2Session] = []

    def make(party: RelyingParty, method: Any, **options: Any) -> OAuth2Session:
        proof = key_of(party) if party.key else party.secret
        session = OAuth2Session(
            party.client_id,
            proof,
            token_endpoint=metadata["token_endpoint"],
            token_endpoint_auth_method=method.name,
            code_challenge_method="S256",
            **options,
        )
        session.register_client_auth_method(method)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


def key_of(party: RelyingParty) -> Any:
    private = json.loads(party.key.private_jwk)
    return {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}[private["kty"]].import_key(private)


def headers_of(party: RelyingParty) -> dict[str, str]:
    return {"kid": party.key.kid} if party.key else {}


class TestFromSignInToRefresh:
    """The same journey as with a secret that is sent."""

    @pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 splits the name, which clients still register
    @pytest.mark.parametrize(
        ("method", "algorithm"),
        [
            *((SecretJWT, algorithm) for algorithm in MacAlgorithm),
            *((KeyJWT, algorithm) for algorithm in Algorithm),
        ],
    )
    def test_each_method(
        self,
        visitor: Visitor,
        metadata: dict[str, Any],
        session_of: Callable[..., OAuth2Session],
        method: Any,
        algorithm: str,
    ) -> None:
        assert method.name in metadata["token_endpoint_auth_methods_supported"]
        assert algorithm in metadata["token_endpoint_auth_signing_alg_values_supported"]
        party = RelyingParty(
            scopes="openid profile offline_access",
            token_endpoint_auth_method=method.name,
            token_endpoint_auth_signing_alg=algorithm,
        )
        made = method(metadata["token_endpoint"], headers=headers_of(party), alg=str(algorithm))
        session = session_of(party, made, scope=party.scope, redirect_uri=CALLBACK)
        nonce, verifier = generate_token(20), generate_token(48)
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"], nonce=nonce, code_verifier=verifier
        )
        back = visitor.sent_from(url)
        assert dict(parse_qsl(urlsplit(back).query))["iss"] == metadata["issuer"]
        token = session.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
        assert session.get(metadata["userinfo_endpoint"]).json()["name"] == "Alice Adams"
        assert session.refresh_token()["access_token"] != token["access_token"]


class TestClientCredentials:
    """A machine, which asks again and again."""

    @pytest.mark.parametrize("method", [SecretJWT, KeyJWT])
    def test_each_request_has_an_assertion_of_its_own(
        self, metadata: dict[str, Any], session_of: Callable[..., OAuth2Session], api: Any, method: Any
    ) -> None:
        party = RelyingParty(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            redirect_uris=[],
            token_endpoint_auth_method=method.name,
        )
        alg = "ES256" if party.key else "HS256"
        session = session_of(party, method(metadata["issuer"], headers=headers_of(party), alg=alg), scope="notes.read")
        for _ in range(3):
            assert session.fetch_token(grant_type="client_credentials")["scope"] == "notes.read"

    @pytest.mark.parametrize("method", [ClientSecretJWT, PrivateKeyJWT])
    def test_its_own_assertions_are_taken_where_the_options_allow_an_hour(
        self,
        metadata: dict[str, Any],
        session_of: Callable[..., OAuth2Session],
        api: Any,
        settings: Any,
        method: Any,
    ) -> None:
        party = RelyingParty(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            redirect_uris=[],
            token_endpoint_auth_method=method.name,
        )
        alg = "ES256" if party.key else "HS256"
        made = method(metadata["token_endpoint"], headers=headers_of(party), alg=alg)
        session = session_of(party, made, scope="notes.read")
        with pytest.raises(OAuthError, match="invalid_client"):
            session.fetch_token(grant_type="client_credentials")
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_assertion_lifetime": 3600}
        assert session.fetch_token(grant_type="client_credentials")["scope"] == "notes.read"

    def test_another_key_is_refused(
        self, metadata: dict[str, Any], session_of: Callable[..., OAuth2Session], api: Any
    ) -> None:
        fields = {
            "scopes": "notes.read",
            "allowed_grant_types": ["client_credentials"],
            "redirect_uris": [],
            "token_endpoint_auth_method": "private_key_jwt",
        }
        party, thief = RelyingParty(**fields), RelyingParty(**fields)
        thief.row.client_id = party.client_id
        session = session_of(thief, KeyJWT(metadata["token_endpoint"], headers=headers_of(party), alg="ES256"))
        with pytest.raises(OAuthError, match="invalid_client"):
            session.fetch_token(grant_type="client_credentials")
