"""JWT access tokens (RFC 9068)."""

import secrets
from datetime import datetime
from typing import Any

from identityserver.conf import options
from identityserver.models import Client
from identityserver.tokens import claims as user_claims
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.keys import signer
from identityserver.vocabulary import TokenType


def access_token(authorization: Authorization, now: datetime) -> str:
    """A signed access token for ``authorization``, issued at ``now``."""
    algorithm = access_token_algorithm(authorization)
    return signer(algorithm).sign(_claims(authorization, now), typ=TokenType.ACCESS_TOKEN)


def access_token_algorithm(authorization: Authorization) -> str:
    """The server's algorithm, unless an API in the audience can only verify others."""
    preferred = options().access_token_signing_algorithm
    for api in authorization.resources.apis:
        allowed = api.allowed_access_token_signing_algorithms
        if allowed and preferred not in allowed:
            return str(allowed[0])
    return preferred


def _claims(authorization: Authorization, now: datetime) -> dict[str, Any]:
    client, issued = authorization.client, int(now.timestamp())
    audience = authorization.resources.audience or (options().issuer,)
    claims: dict[str, Any] = {
        **user_claims_for(authorization),
        "iss": options().issuer,
        "sub": authorization.subject,
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": client.client_id,
        "iat": issued,
        "exp": issued + int(client.lifetime("access_token_lifetime").total_seconds()),
        "jti": new_jti(authorization),
    }
    if authorization.scopes:
        claims["scope"] = " ".join(authorization.scopes)
    if authorization.user is not None:
        claims.update(authentication_claims(authorization))
    return claims


def new_jti(authorization: Authorization) -> str:
    """An identifier that begins with the reference of the grant, so that revocation can be seen (no grant: random)."""
    unique = secrets.token_urlsafe(12)
    return f"{authorization.grant_id.hex}.{unique}" if authorization.grant_id else unique


def authentication_claims(authorization: Authorization) -> dict[str, Any]:
    """How and when the user authenticated, as far as it is known (RFC 9068 §2.2.1, OpenID Connect Core §2)."""
    claims: dict[str, Any] = {}
    if authorization.auth_time is not None:
        claims["auth_time"] = int(authorization.auth_time.timestamp())
    if authorization.acr:
        claims["acr"] = authorization.acr
    if authorization.amr:
        claims["amr"] = list(authorization.amr)
    return claims


def user_claims_for(authorization: Authorization) -> dict[str, Any]:
    """Claims that the APIs ask for about the user, and fixed claims of the client."""
    client, claims = authorization.client, _client_claims(authorization.client)
    if authorization.user is None:
        return claims
    names = user_claims.access_token_claims(authorization.resources)
    own = claims if client.always_send_client_claims else {}
    return {**own, **user_claims.claims_of(authorization.user, names, authorization.resources)}


def _client_claims(client: Client) -> dict[str, Any]:
    named = {client.client_claims_prefix + name: value for name, value in client.claims.items()}
    return {name: value for name, value in named.items() if name not in user_claims.PROTOCOL_CLAIMS}
