"""JWT access tokens (RFC 9068)."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from identityserver import jose
from identityserver.conf import options
from identityserver.scopes import algorithm_for
from identityserver.tokens import claims as user_claims
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.keys import signer
from identityserver.vocabulary import TokenType


def access_token(
    authorization: Authorization,
    preferred: jose.Signer,
    now: datetime,
    expires_in: int,
    authentication: Mapping[str, Any],
) -> str:
    """A signed access token.

    Args:
        preferred: the server's key, which signs unless an API in the audience can only verify others.
        now: when it is issued.
        expires_in: seconds.
        authentication: see :func:`authentication_claims`.
    """
    apis, issued = authorization.resources.apis, int(now.timestamp())
    key = signer(algorithm_for(apis)) if authorization.client.particular_apis and apis else preferred
    audience = [api.name for api in apis] or [options().issuer]
    claims: dict[str, Any] = {
        **_granted_claims(authorization),
        "iss": options().issuer,
        "sub": authorization.subject,
        "aud": audience[0] if len(audience) == 1 else audience,
        "client_id": authorization.client.client_id,
        "iat": issued,
        "exp": issued + expires_in,
        "jti": new_jti(authorization),
        **authentication,
    }
    return key.sign(claims, typ=TokenType.ACCESS_TOKEN)


def _granted_claims(authorization: Authorization) -> dict[str, Any]:
    """The scope (RFC 9068 §2.2.3), what the APIs ask for about the user, and fixed claims of the client."""
    resources = authorization.resources
    claims: dict[str, Any] = {"scope": " ".join(resources.scopes)} if resources.scopes else {}
    if resources.access and authorization.user is not None:
        claims.update(_user_claims(authorization))
    if authorization.client.claims:
        claims.update(_client_claims(authorization))
    return claims


def new_jti(authorization: Authorization) -> str:
    """An identifier that begins with the reference of the grant, so that revocation can be seen (no grant: random)."""
    unique = secrets.token_urlsafe(12)
    return f"{authorization.grant_id.hex}.{unique}" if authorization.grant_id else unique


def authentication_claims(authorization: Authorization) -> dict[str, Any]:
    """How and when the user authenticated, as far as it is known; nothing where there is no user.

    The same in access token and ID token (RFC 9068 §2.2.1, OpenID Connect Core §2).
    """
    claims: dict[str, Any] = {}
    if authorization.auth_time is not None:
        claims["auth_time"] = int(authorization.auth_time.timestamp())
    if authorization.acr:
        claims["acr"] = authorization.acr
    if authorization.amr:
        claims["amr"] = list(authorization.amr)
    return claims


def _user_claims(authorization: Authorization) -> dict[str, Any]:
    resources = authorization.resources
    return user_claims.claims_of(authorization.user, user_claims.access_token_claims(resources), resources)


def _client_claims(authorization: Authorization) -> dict[str, Any]:
    """Fixed claims of the client: where it acts for itself, and with a user where it says so."""
    client = authorization.client
    if authorization.user is not None and not client.always_send_client_claims:
        return {}
    named = {client.client_claims_prefix + name: value for name, value in client.claims.items()}
    return {name: value for name, value in named.items() if name not in user_claims.PROTOCOL_CLAIMS}
