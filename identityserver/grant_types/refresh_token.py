"""Refreshing (RFC 6749 §6, RFC 9700 §4.14.2, OpenID Connect Core §12).

One-time tokens of one generation are siblings: a retry within the window gets another one, until one of
the next generation has been used. Anything older than that is a replay, and ends the family.
Every use begins by updating the grant, so that uses of one family follow each other.
"""

from datetime import datetime

from django.utils import timezone

from identityserver import scopes, signals
from identityserver.conf import options
from identityserver.digests import digest
from identityserver.errors import InvalidGrant, InvalidScope
from identityserver.grant_types.base import Replayed, TokenRequest, check_still_good, redeemed
from identityserver.models import Client, Grant, RefreshToken
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.refresh_token import expiry, new_refresh_token
from identityserver.vocabulary import GrantType

_TOKENS = RefreshToken.objects.with_circumstances()


class _Replayed(Replayed):
    """A refresh token was used whose family has gone on (RFC 9700 §4.14.2)."""

    signal = signals.refresh_token_replayed
    reason = "refresh token replayed"


class RefreshTokenGrant:
    """``refresh_token``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """Use the token; a replay revokes its family and is reported."""
        return redeemed(_use, request)


def _use(request: TokenRequest) -> Authorization:
    now, client = timezone.now(), request.client
    token_digest = digest(request.parameters["refresh_token"])
    # The write comes first and locks the family; an unknown token updates nothing.
    holder = RefreshToken.objects.filter(digest=token_digest).values("grant")
    Grant.objects.filter(pk__in=holder, client_id=client.pk).update(last_used=now)
    token = _TOKENS.filter(digest=token_digest, grant__client_id=client.pk).first()
    if token is None:
        raise InvalidGrant("The refresh token is unknown, or was issued to another client.")
    _check_replay(token, client, now)
    check_still_good(token, client, now)
    if client.coordinates_with_session and _session_is_over(token, now):
        raise InvalidGrant("The user has signed out.")
    resources = _narrowed(token.grant, request)
    successor = _rotated(token, client, now) if client.rotates_refresh_tokens else _prolonged(token, client, now)
    return from_grant(token.grant, client, resources, grant_type=GrantType.REFRESH_TOKEN, refresh_token=successor)


def _session_is_over(token: RefreshToken, now: datetime) -> bool:
    """Whether the user session has ended, expired, or been cleaned up since."""
    return token.session_ended_at is not None or token.session_expires is None or token.session_expires <= now


def _narrowed(grant: Grant, request: TokenRequest) -> scopes.Resources:
    """The scopes for the new access token: those granted, or fewer; never one more (RFC 6749 §6)."""
    client, parameters = request.client, request.parameters
    still_allowed = [scope for scope in grant.scopes if _is_allowed(client, scope)]
    granted = scopes.resolve_granted(client, still_allowed, grant.resources).permitted_to(grant.user)
    asked = parameters.words("scope")
    if not set(asked) <= set(granted.scopes):
        raise InvalidScope("A scope was not granted.", parameter="scope")
    narrowed = granted.narrowed_to(asked) if asked else granted
    return scopes.narrow_to_targets(narrowed, parameters.repeated.get("resource", ()))


def _is_allowed(client: Client, scope: str) -> bool:
    """Whether the client may still have a scope; one taken away since is left out, not an error."""
    try:
        scopes.resolve(client, [scope])
    except InvalidScope:
        return False
    return True


def _rotated(token: RefreshToken, client: Client, now: datetime) -> str:
    """A token of the next generation in place of this one."""
    family = RefreshToken.objects.filter(grant_id=token.grant_id, generation=token.generation)
    family.filter(pk=token.pk, consumed_at=None).update(consumed_at=now)
    family.exclude(pk=token.pk).filter(consumed_at=None).update(consumed_at=now, superseded_at=now)
    return new_refresh_token(token.grant, client, now, generation=token.generation + 1)


def _check_replay(token: RefreshToken, client: Client, now: datetime) -> None:
    """A used token may only be tried again by a client that rotates, at once; else it is a replay, however late."""
    if token.consumed_at is None or token.grant.revoked_at is not None:
        return
    if not client.rotates_refresh_tokens:
        raise _Replayed("The refresh token has been used.", token.grant)
    window = options().refresh_token_retry_window
    in_window = bool(window) and now - token.consumed_at <= window  # of uses at once, ``now`` may be before the first
    children = RefreshToken.objects.filter(grant_id=token.grant_id, generation=token.generation + 1)
    child_used = children.exclude(consumed_at=None).exists()
    if token.superseded_at is not None or child_used or not in_window:
        raise _Replayed("The refresh token has been used.", token.grant)


def _prolonged(token: RefreshToken, client: Client, now: datetime) -> str:
    """No new token; the one in use lives on, up to the limits."""
    later = expiry(token.grant, client, now)
    if later > token.expires:
        RefreshToken.objects.filter(pk=token.pk).update(expires=later)
    return ""
