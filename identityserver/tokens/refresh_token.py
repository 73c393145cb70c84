"""Refresh tokens: making them, and the rules of their families (RFC 6749 §6, RFC 9700 §4.14.2)."""

from datetime import datetime

from identityserver import digests
from identityserver.models import Client, Grant, RefreshToken
from identityserver.models.prepared import Insert
from identityserver.vocabulary import RefreshTokenExpiration

_ADD = Insert(RefreshToken)


def new_refresh_token(grant: Grant, client: Client, now: datetime, *, generation: int = 0) -> str:
    """Store a refresh token of ``grant`` and return its value, which is kept nowhere."""
    value = digests.new_handle()
    row = RefreshToken(
        grant_id=grant.pk,
        digest=digests.digest(value),
        created=now,
        expires=expiry(grant, client, now),
        generation=generation,
    )
    _ADD.run(row)
    return value


def expiry(grant: Grant, client: Client, now: datetime) -> datetime:
    """When a refresh token used or made at ``now`` expires: never after its grant, whose end is absolute."""
    if client.refresh_token_expiration == RefreshTokenExpiration.ABSOLUTE:
        return grant.expires
    return min(grant.expires, now + client.lifetime("refresh_token_sliding_lifetime"))
