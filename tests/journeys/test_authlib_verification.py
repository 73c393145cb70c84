"""Authlib judges what is published and signed: RFC 8414, OpenID Connect Discovery, RFC 9068, ID tokens in front."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.oauth2.rfc6749 import ResourceProtector
from authlib.oauth2.rfc6749.requests import OAuth2Request
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oidc.core import HybridIDToken, ImplicitIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from identityserver.models import ApiResource
from identityserver.testing import RelyingParty
from tests.journeys.provider import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def metadata(provider: str) -> dict[str, Any]:
    return requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()


class TestMetadata:
    """Authlib's validators know every member's rule."""

    @pytest.fixture(autouse=True)
    def on_loopback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")

    def test_of_openid_connect(self, metadata: dict[str, Any]) -> None:
        OpenIDProviderMetadata(metadata).validate()

    def test_of_oauth(self, provider: str) -> None:
        found = requests.get(f"{provider}/.well-known/oauth-authorization-server", timeout=20).json()
        AuthorizationServerMetadata(found).validate()

    def test_with_everything_on(self, provider: str, settings: Any) -> None:
        settings.IDENTITYSERVER = {
            **settings.IDENTITYSERVER,
            "optional_grant_types": ["implicit", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
            "registration": "open",
        }
        found = requests.get(f"{provider}/.well-known/openid-configuration", timeout=20).json()
        assert found["registration_endpoint"].startswith(provider)
        OpenIDProviderMetadata(found).validate()


class Validator(JWTBearerTokenValidator):
    """An API that verifies access tokens by itself, as Authlib's manual has it."""

    def __init__(self, metadata: dict[str, Any], api: ApiResource) -> None:
        super().__init__(metadata["issuer"], api.name)
        self._jwks_uri = metadata["jwks_uri"]

    def get_jwks(self) -> Any:
        return KeySet.import_key_set(requests.get(self._jwks_uri, timeout=20).json())


class TestAccessTokens:
    """RFC 9068 §4."""

    @pytest.fixture
    def judge(self, metadata: dict[str, Any], api: ApiResource) -> Callable[..., Any]:
        protector = ResourceProtector()
        protector.register_token_validator(Validator(metadata, api))

        def validate(token: str, scope: str = "notes.read") -> Any:
            request = OAuth2Request("GET", "https://api.example/notes", headers={"Authorization": f"Bearer {token}"})
            return protector.validate_request([scope], request)

        return validate

    @pytest.fixture
    def party(self, provider: str, api: ApiResource) -> RelyingParty:
        return RelyingParty(
            scopes="openid notes.read", allowed_grant_types=["authorization_code", "client_credentials"]
        )

    def test_of_a_client(self, party: RelyingParty, judge: Callable[..., Any]) -> None:
        token = judge(party.client_credentials(scope="notes.read").succeeds().access_token)
        assert (token["client_id"], token["sub"]) == (party.client_id, party.client_id)

    def test_of_a_user(
        self, party: RelyingParty, judge: Callable[..., Any], metadata: dict[str, Any], visitor: Visitor
    ) -> None:
        back = visitor.sent_from(party.authorization_url())
        tokens = party.redeem(dict(parse_qsl(urlsplit(back).query))["code"]).succeeds()
        assert judge(tokens.access_token)["sub"] == tokens.id_token["sub"]
        with pytest.raises(InsufficientScopeError):
            judge(tokens.access_token, "notes.write")
        with pytest.raises(InvalidTokenError):  # its audience is the client
            judge(tokens.members["id_token"])


class TestIdTokensInFront:
    """OpenID Connect Core §3.2.2.11, §3.3.2.12: nonce, at_hash and c_hash as Authlib checks them."""

    @pytest.fixture(autouse=True)
    def every_response_type(self, provider: str, settings: Any) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "optional_grant_types": ["implicit"]}

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "PS256"])
    @pytest.mark.parametrize(
        ("response_type", "kind"),
        [
            ("code id_token", HybridIDToken),
            ("code id_token token", HybridIDToken),
            ("id_token token", ImplicitIDToken),
            ("id_token", ImplicitIDToken),
        ],
    )
    def test_they_hold(
        self, metadata: dict[str, Any], visitor: Visitor, response_type: str, kind: Any, algorithm: str
    ) -> None:
        party = RelyingParty(
            response_types=["code", response_type],
            allowed_grant_types=["authorization_code", "implicit"],
            allow_access_tokens_via_browser=True,
            id_token_signed_response_alg=algorithm,
        )
        back = visitor.sent_from(party.authorization_url(response_type=response_type))
        answer = dict(parse_qsl(urlsplit(back).fragment))
        keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
        token = jwt.decode(answer["id_token"], keys, algorithms=[algorithm])
        params = {"nonce": party.nonce, "client_id": party.client_id}
        params |= {name: answer[name] for name in ("access_token", "code") if name in answer}
        kind(token.claims, token.header, params=params).validate()
        for name in ("access_token", "code"):
            if name in params:
                with pytest.raises(Exception, match="_hash"):
                    kind(token.claims, token.header, params={**params, name: "another"}).validate()
