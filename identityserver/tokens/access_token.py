"""Access tokens: what they say, and signing that as a JWT (RFC 9068)."""

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


def access_token(authorization: Authorization, claims: Mapping[str, Any], preferred: jose.Signer) -> str:
    """``claims`` as a signed access token.

    Args:
        preferred: the server's key, which signs unless an API in the audience can only verify others.
    """
    apis = authorization.resources.apis
    particular = authorization.client.particular_apis and apis
    key = signer(algorithm_for(apis), authorization.client.longest_token_lifetime) if particular else preferred
    return key.sign(claims, typ=TokenType.ACCESS_TOKEN)


def access_token_claims(
    authorization: Authorization, now: datetime, expires_in: int, authentication: Mapping[str, Any]
) -> dict[str, Any]:
    """What an access token says that is issued at ``now``.

    Args:
        expires_in: seconds.
        authentication: see :func:`authentication_claims`.
    """
    resources, issued, unique = authorization.resources, int(now.timestamp()), secrets.token_urlsafe(12)
    audience = [api.name for api in resources.apis] or [options().issuer]
    claims: dict[str, Any] = {
        **({"scope": " ".join(resources.scopes)} if resources.scopes else {}),  # RFC 9068 §2.2.3
        **(_user_claims(authorization) if resources.access and authorization.user is not None else {}),
        **(_client_claims(authorization) if authorization.client.claims else {}),
        "iss": options().issuer,
        "sub": authorization.subject,
        "aud": audience[0] if len(audience) == 1 else audience,
        "client_id": authorization.client.client_id,
        "iat": issued,
        "exp": issued + expires_in,
        # It begins with the reference of the grant, so that revocation can be seen.
        "jti": f"{authorization.grant_id.hex}.{unique}" if authorization.grant_id else unique,
        **authentication,
    }
    if authorization.actor is not None:
        claims["act"] = dict(authorization.actor)
    return claims


def seconds_valid(authorization: Authorization, now: datetime) -> int:
    """How long an access token is valid that is issued at ``now``."""
    own = int(authorization.client.lifetime("access_token_lifetime").total_seconds())
    if authorization.not_after is None:
        return own
    return max(0, min(own, int((authorization.not_after - now).total_seconds())))


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
