"""Checking tokens of our own that are presented to us (RFC 9068 §4, RFC 6750, OpenID Connect Core §3.1.2.2)."""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from django.utils import timezone

from identityserver import jose
from identityserver.conf import options
from identityserver.errors import InvalidRequest, InvalidToken
from identityserver.tokens.keys import KeyRing, key_ring, renewed_ring
from identityserver.vocabulary import TokenType

_ACCESS_TOKEN_TYPES = (TokenType.ACCESS_TOKEN.value, "application/at+jwt")
_ID_TOKEN_TYPES = (TokenType.ID_TOKEN.value,)

#: Seconds by which a clock may be ahead of ours (iat, nbf).
_AHEAD = 10


@dataclass(frozen=True, kw_only=True)
class AccessTokenClaims:
    """What a verified access token says.

    Attributes:
        subject: the user's ``sub``, or ``None`` where the client acts for itself.
        grant_id: the stored grant it came from, or ``None`` for client credentials.
        confirmation: the ``cnf`` member, or ``None``; whoever accepts the token must check it.
        claims: everything, as signed.
    """

    issuer: str
    subject: str | None
    client_id: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    expires: datetime
    jti: str
    grant_id: uuid.UUID | None
    confirmation: Mapping[str, Any] | None
    claims: Mapping[str, Any]


def verify_access_token(token: str, *, audiences: Collection[str] | None) -> AccessTokenClaims:
    """Verify a JWT access token without a query: signature, type, issuer, time and audience.

    Whether its grant was revoked since is for those to ask that must know (``grant_id``).

    Args:
        token: as presented.
        audiences: names of the API that asks, one of which must be in ``aud``; ``None`` where the
            authorization server itself asks.

    Raises:
        InvalidToken: it is not good here. An ID token never is (RFC 8725 §3.11).
    """
    try:
        claims = _signed_here(token, _ACCESS_TOKEN_TYPES, attrgetter("verifiers"))
    except jose.InvalidJws as error:
        raise _malformed(error) from error
    return checked_claims(claims, audiences=audiences)


def checked_claims(claims: Mapping[str, Any], *, audiences: Collection[str] | None) -> AccessTokenClaims:
    """What an access token of ours says, however it was kept: issuer, time and audience checked (RFC 9068 §4).

    Args:
        claims: those of a verified JWT, or stored for a reference token.
        audiences: as in :func:`verify_access_token`.

    Raises:
        InvalidToken: it is not good here.
    """
    try:
        verified = _read(claims)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _malformed(error) from error
    now = timezone.now()
    if verified.issuer != options().issuer:
        raise InvalidToken("The access token is from another issuer.")
    if verified.expires <= now:
        raise InvalidToken("The access token has expired.")
    if claims["iat"] > now.timestamp() + _AHEAD:
        raise InvalidToken("The access token is from the future.")
    if audiences is not None and not set(audiences) & set(verified.audience):
        raise InvalidToken("The access token is for another audience.")
    return verified


def _malformed(error: Exception) -> InvalidToken:
    return InvalidToken("The access token is malformed or not from here.", detail=str(error))


def verify_id_token_hint(token: str) -> dict[str, Any]:
    """The claims of an ID token of ours, even when expired: a hint says who, not that they are signed in.

    Raises:
        InvalidRequest: it was not signed here.
    """
    try:
        claims = _signed_here(token, _ID_TOKEN_TYPES, attrgetter("hint_verifiers"))
    except jose.InvalidJws as error:
        raise InvalidRequest(
            "The id_token_hint is not from here.", detail=str(error), parameter="id_token_hint"
        ) from error
    if claims.get("iss") != options().issuer or not isinstance(claims.get("sub"), str):
        raise InvalidRequest("The id_token_hint is from another issuer.", parameter="id_token_hint")
    return claims


def _signed_here(
    token: str, types: Collection[str], verifiers: Callable[[KeyRing], Mapping[str, jose.Verifier]]
) -> dict[str, Any]:
    try:
        return jose.verify(token, verifiers(key_ring()), types=types)
    except jose.UnknownKey:
        return jose.verify(token, verifiers(renewed_ring()), types=types)


def _read(claims: Mapping[str, Any]) -> AccessTokenClaims:
    subject, client_id, jti = _text(claims["sub"]), _text(claims["client_id"]), _text(claims["jti"])
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if not isinstance(claims["iat"], int):
        raise TypeError("iat is not a number")
    grant_id, dot, _ = jti.partition(".")
    return AccessTokenClaims(
        issuer=_text(claims["iss"]),
        subject=None if subject == client_id else subject,
        client_id=client_id,
        audience=tuple(map(_text, audience)),
        scopes=frozenset(_text(claims.get("scope", "")).split()),
        expires=datetime.fromtimestamp(claims["exp"], UTC),
        jti=jti,
        grant_id=uuid.UUID(grant_id) if dot else None,
        confirmation=claims.get("cnf"),
        claims=claims,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a claim is not a text")
    return value
