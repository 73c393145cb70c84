"""ID tokens (OpenID Connect Core §2, §3.1.3.6)."""

import hashlib
from datetime import datetime
from typing import Any

from identityserver.conf import options
from identityserver.digests import base64url
from identityserver.models import Client
from identityserver.tokens import claims as user_claims
from identityserver.tokens.access_token import authentication_claims
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.keys import signer
from identityserver.vocabulary import Algorithm, TokenType

_HASHES = {Algorithm.ES384: hashlib.sha384, Algorithm.EDDSA: hashlib.sha512}


def id_token(authorization: Authorization, now: datetime, *, access_token: str) -> str:
    """A signed ID token for ``authorization``, issued at ``now`` beside ``access_token``."""
    client, issued = authorization.client, int(now.timestamp())
    algorithm = id_token_algorithm(client)
    claims: dict[str, Any] = {
        **_user_claims(authorization),
        "iss": options().issuer,
        "sub": authorization.subject,
        "aud": client.client_id,
        "iat": issued,
        "exp": issued + int(client.lifetime("identity_token_lifetime").total_seconds()),
        **authentication_claims(authorization),
        "at_hash": left_hash(access_token, algorithm),
    }
    if authorization.nonce:
        claims["nonce"] = authorization.nonce
    if authorization.sid:
        claims["sid"] = authorization.sid
    return signer(algorithm).sign(claims, typ=TokenType.ID_TOKEN)


def id_token_algorithm(client: Client) -> str:
    """What the client registered, or else the server's."""
    return client.id_token_signed_response_alg or options().id_token_signing_algorithm


def left_hash(value: str, algorithm: str) -> str:
    """The left half of the hash that belongs to the signing algorithm (§3.1.3.6)."""
    octets = _HASHES.get(Algorithm(algorithm), hashlib.sha256)(value.encode()).digest()
    return base64url(octets[: len(octets) // 2])


def _user_claims(authorization: Authorization) -> dict[str, Any]:
    """Scope claims go to UserInfo, and in here only where the client asks for them (§5.4, §5.5)."""
    user, resources = authorization.user, authorization.resources
    if user is None:
        return {}
    names = user_claims.requested_claims(resources, authorization.claims, "id_token")
    if authorization.client.always_include_user_claims_in_id_token:
        names = user_claims.scope_claims(resources)
    return user_claims.claims_of(user, names, resources)
