"""ID tokens (OpenID Connect Core §2, §3.1.3.6)."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from identityserver import jose
from identityserver.conf import options
from identityserver.tokens import claims as user_claims
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import Algorithm, TokenType

_HASHES = {Algorithm.ES384: hashlib.sha384, Algorithm.EDDSA: hashlib.sha512}


def id_token(
    authorization: Authorization,
    key: jose.Signer,
    now: datetime,
    authentication: Mapping[str, Any],
    *,
    beside: Mapping[str, str],
    with_user_claims: bool = False,
) -> str:
    """A signed ID token, issued at ``now``.

    Args:
        authentication: how and when the user authenticated, as the access token has it.
        beside: what is delivered with it, by the claim that holds its hash: ``at_hash``, ``c_hash``, ``s_hash``.
        with_user_claims: whether it says all that the scopes stand for, as it must where no access token is issued.
    """
    client, issued = authorization.client, int(now.timestamp())
    everything = with_user_claims or client.always_include_user_claims_in_id_token
    claims: dict[str, Any] = {
        **(_user_claims(authorization, everything) if everything or authorization.claims else {}),
        "iss": options().issuer,
        "sub": authorization.subject,
        "aud": client.client_id,
        "iat": issued,
        "exp": issued + int(client.lifetime("identity_token_lifetime").total_seconds()),
        **authentication,
        **{name: left_hash(value, key.algorithm) for name, value in beside.items()},
    }
    if authorization.nonce:
        claims["nonce"] = authorization.nonce
    if authorization.sid:
        claims["sid"] = authorization.sid
    return key.sign(claims, typ=TokenType.ID_TOKEN)


def left_hash(value: str, algorithm: Algorithm) -> str:
    """The left half of the hash that belongs to the signing algorithm (§3.1.3.6)."""
    octets = _HASHES.get(algorithm, hashlib.sha256)(value.encode()).digest()
    return base64.urlsafe_b64encode(octets[: len(octets) // 2]).rstrip(b"=").decode()


def _user_claims(authorization: Authorization, everything: bool) -> dict[str, Any]:
    """Scope claims go to UserInfo, and in here only where the client asks for them (§5.4, §5.5)."""
    user, resources = authorization.user, authorization.resources
    names = user_claims.requested_claims(resources, authorization.claims, "id_token")
    if everything:
        names = tuple(dict.fromkeys((*user_claims.scope_claims(resources), *names)))
    return user_claims.claims_of(user, names, resources)
