"""A relying party: makes requests and reads answers as a client does (RFC 6749, 7636 and 8628, OpenID Connect Core)."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.test import Client as HttpClient
from django.urls import reverse

from identityserver.jose import NewKey, generate
from identityserver.models import ApiScope, Client, ClientSecret, IdentityResource
from identityserver.testing import assertions
from identityserver.vocabulary import Algorithm, AuthMethod, GrantType

FORM = "application/x-www-form-urlencoded"


class TokenResponse:
    """The answer of the token endpoint."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status_code
        self.members: dict[str, Any] = json.loads(response.content)

    def succeeds(self) -> "TokenResponse":
        """Assert that tokens came, which nobody may keep (RFC 6749 §5.1)."""
        assert self.status == 200, self.members
        assert "no-store" in self.response["Cache-Control"]
        return self

    def fails_with(self, error: str, status: int | None = None) -> "TokenResponse":
        """Assert that the request was refused with ``error`` (RFC 6749 §5.2)."""
        assert self.members.get("error") == error, self.members
        assert self.status == (status or (401 if error == "invalid_client" else 400))
        assert "access_token" not in self.members
        return self

    @property
    def access_token(self) -> str:
        """The access token."""
        return str(self.members["access_token"])

    @property
    def refresh_token(self) -> str:
        """The refresh token, or ``""``."""
        return str(self.members.get("refresh_token", ""))

    @property
    def id_token(self) -> dict[str, Any]:
        """The claims of the ID token."""
        return decoded(self.members["id_token"])

    @property
    def access_token_claims(self) -> dict[str, Any]:
        """The claims of a JWT access token."""
        return decoded(self.access_token)


class DeviceAuthorizationResponse(TokenResponse):
    """The answer of the device authorization endpoint (RFC 8628 §3.2)."""

    @property
    def device_code(self) -> str:
        """What the device polls with."""
        return str(self.members["device_code"])

    @property
    def user_code(self) -> str:
        """What the device shows."""
        return str(self.members["user_code"])

    @property
    def verification_uri_complete(self) -> str:
        """Where a person may confirm without typing the code."""
        return str(self.members["verification_uri_complete"])


class RelyingParty:
    """A registered client with its secret, and what it remembers of the requests it made.

    Args:
        scopes: names of identity resources, API scopes and ``offline_access`` that it may ask for.
        key: what it signs assertions with, where it authenticates by private_key_jwt; a new one unless given.
        fields: of the ``Client`` row, overriding what a confidential web app has.
    """

    def __init__(self, *, scopes: str = "openid profile email", key: NewKey | None = None, **fields: Any) -> None:
        names = scopes.split()
        self.offline_access = "offline_access" in names
        grant_types = [GrantType.AUTHORIZATION_CODE.value]
        grant_types += [GrantType.REFRESH_TOKEN.value] if self.offline_access else []
        self.key = key or _key_for(fields)
        self.row = Client(
            **{
                "name": "Web app",
                "redirect_uris": ["https://app.example/callback"],
                "post_logout_redirect_uris": ["https://app.example/signed-out"],
                "allowed_grant_types": grant_types,
                "allow_offline_access": self.offline_access,
                "jwks": {"keys": [self.key.public_jwk]} if self.key and "jwks_uri" not in fields else None,
                **fields,
            }
        )
        self.row.full_clean()
        self.row.save()
        self.row.identity_resources.set(IdentityResource.objects.filter(name__in=names))
        self.row.api_scopes.set(ApiScope.objects.filter(name__in=names))
        self.scope = scopes
        self.secret = self.new_secret() if self.row.has_secrets else ""
        self.http = HttpClient(raise_request_exception=False)
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(8)
        self.nonce = secrets.token_urlsafe(8)

    @property
    def client_id(self) -> str:
        """Its client_id."""
        return self.row.client_id

    @property
    def redirect_uri(self) -> str:
        """Its first redirect URI."""
        return str(self.row.redirect_uris[0])

    def new_secret(self) -> str:
        """One more secret, kept as its method needs it."""
        return ClientSecret.generate(self.row, recoverable=self.row.keeps_secrets_recoverable)[1]

    def assertion(self, **claims: Any) -> str:
        """A client assertion, with these claims changed; by its key, or else by its secret."""
        said = assertions.assertion_claims(self.client_id, **claims)
        if self.key:
            return assertions.signed(said, self.key)
        return assertions.authenticated(said, self.secret, self.row.token_endpoint_auth_signing_alg or "HS256")

    def authorization_parameters(self, **changes: str | None) -> dict[str, str]:
        """What it sends to the authorization endpoint; ``None`` leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def authorization_url(self, **changes: str | None) -> str:
        """Where it sends the browser."""
        return f"{reverse('identityserver:authorization')}?{urlencode(self.authorization_parameters(**changes))}"

    def redeem(self, code: str, **changes: str | None) -> TokenResponse:
        """Exchange a code for tokens."""
        return self.token(
            **{
                "grant_type": GrantType.AUTHORIZATION_CODE.value,
                "code": code,
                "redirect_uri": self.redirect_uri,
                "code_verifier": self.verifier,
                **changes,
            }
        )

    def refresh(self, refresh_token: str, **changes: str | None) -> TokenResponse:
        """Use a refresh token."""
        return self.token(**{"grant_type": GrantType.REFRESH_TOKEN.value, "refresh_token": refresh_token, **changes})

    def client_credentials(self, **changes: str | None) -> TokenResponse:
        """Ask for a token of its own."""
        return self.token(**{"grant_type": GrantType.CLIENT_CREDENTIALS.value, **changes})

    def device_authorization(self, **changes: str | None) -> DeviceAuthorizationResponse:
        """Ask for a device code and a user code; ``Browser.enter_user_code`` goes on with it."""
        return DeviceAuthorizationResponse(self._post("device_authorization", {"scope": self.scope, **changes}))

    def poll(self, device_code: str, **changes: str | None) -> TokenResponse:
        """Ask whether a person has allowed the device."""
        return self.token(**{"grant_type": GrantType.DEVICE_CODE.value, "device_code": device_code, **changes})

    def token(self, **parameters: str | None) -> TokenResponse:
        """A token request, authenticated by the registered method."""
        return TokenResponse(self._post("token", parameters))

    def introspect(self, token: str, *, accept: str = "application/json", **changes: str | None) -> Any:
        """The introspection response about ``token``, which is this client's own or else inactive."""
        return self._post("introspection", {"token": token, **changes}, {"Accept": accept})

    def revoke(self, token: str, **changes: str | None) -> Any:
        """The answer to giving ``token`` back."""
        return self._post("revocation", {"token": token, **changes})

    def _post(self, endpoint: str, parameters: Mapping[str, str | None], more: Mapping[str, str] | None = None) -> Any:
        form = {name: value for name, value in parameters.items() if value is not None}
        headers = dict(more or {})
        match self.row.token_endpoint_auth_method:
            case AuthMethod.CLIENT_SECRET_BASIC:
                headers["Authorization"] = basic(self.client_id, self.secret)
            case AuthMethod.CLIENT_SECRET_POST:
                form = {"client_id": self.client_id, "client_secret": self.secret, **form}
            case AuthMethod.CLIENT_SECRET_JWT | AuthMethod.PRIVATE_KEY_JWT:
                form = {**self._asserted(), **form}
            case _:
                form = {"client_id": self.client_id, **form}
        url = reverse(f"identityserver:{endpoint}")
        return self.http.post(url, urlencode(form), content_type=FORM, headers=headers)

    def _asserted(self) -> dict[str, str]:
        return {"client_assertion_type": assertions.ASSERTION_TYPE, "client_assertion": self.assertion()}

    def userinfo(self, access_token: str) -> Any:
        """The UserInfo response."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.http.get(reverse("identityserver:userinfo"), headers=headers)


def _key_for(fields: Mapping[str, Any]) -> NewKey | None:
    """A key of its own for a client that signs assertions; its algorithm is the one that is registered."""
    if fields.get("token_endpoint_auth_method") != AuthMethod.PRIVATE_KEY_JWT:
        return None
    return generate(Algorithm(fields.get("token_endpoint_auth_signing_alg") or Algorithm.ES256))


def challenge_of(verifier: str) -> str:
    """The S256 challenge (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def basic(client_id: str, secret: str) -> str:
    """An Authorization header (RFC 6749 §2.3.1)."""
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(joined.encode()).decode()}"


def decoded(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
