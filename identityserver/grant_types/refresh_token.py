"""Refreshing (RFC 6749 §6, RFC 9700 §4.14.2, OpenID Connect Core §12).

One-time tokens of one generation are siblings: a retry within the window gets another one, until one of
the next generation has been used. Anything older than that is a replay, and ends the family.
Every use begins by updating the grant, so that uses of one family follow each other.
"""

from datetime import datetime

from django.db.models import Case, When
from django.utils import timezone

from identityserver import scopes, signals
from identityserver.conf import options
from identityserver.digests import digest
from identityserver.errors import InvalidGrant, InvalidScope
from identityserver.grant_types.base import RedeemingGrant, Replayed, TokenRequest, check_still_good
from identityserver.models import Client, Grant, RefreshToken
from identityserver.models.grants import HOLDER_RELATIONS, UNNEEDED
from identityserver.models.prepared import Parameter, Select, Update
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.refresh_token import expiry, new_refresh_token
from identityserver.vocabulary import GrantType

# The write comes first and locks the family; an unknown token updates nothing.
_LOCK = Update(
    Grant.objects.filter(
        pk__in=RefreshToken.objects.filter(digest=Parameter("digest")).values("grant"), client_id=Parameter("client")
    ),
    last_used=Parameter("now"),
)
_FIND = Select(
    RefreshToken.objects.with_circumstances().filter(digest=Parameter("digest"), grant__client_id=Parameter("client")),
    *HOLDER_RELATIONS,
    defer=UNNEEDED,
)
# Of its generation the token itself is used, and its siblings are superseded by it.
_CONSUME = Update(
    RefreshToken.objects.filter(grant_id=Parameter("grant"), generation=Parameter("generation"), consumed_at=None),
    consumed_at=Parameter("now"),
    superseded_at=Case(When(pk=Parameter("token"), then=None), default=Parameter("now")),
)


class _Replayed(Replayed):
    """A refresh token was used whose family has gone on (RFC 9700 §4.14.2)."""

    signal = signals.refresh_token_replayed
    reason = "refresh token replayed"


class RefreshTokenGrant(RedeemingGrant):
    """``refresh_token``."""

    def redeem(self, request: TokenRequest) -> Authorization:
        """Use the token; its replay revokes the family and is reported."""
        now, client = timezone.now(), request.client
        token_digest = digest(request.parameters["refresh_token"])
        _LOCK.run(digest=token_digest, client=client.pk, now=now)
        token = _FIND.first(digest=token_digest, client=client.pk)
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
    granted = scopes.resolve_granted(client, scopes.still_allowed(client, grant.scopes), grant.resources)
    granted = granted.permitted_to(grant.user)
    asked = parameters.words("scope")
    if not set(asked) <= set(granted.scopes):
        raise InvalidScope("A scope was not granted.", parameter="scope")
    narrowed = granted.narrowed_to(asked) if asked else granted
    return scopes.narrow_to_targets(narrowed, parameters.repeated.get("resource", ()))


def _rotated(token: RefreshToken, client: Client, now: datetime) -> str:
    """A token of the next generation in place of this one."""
    _CONSUME.run(grant=token.grant_id, generation=token.generation, token=token.pk, now=now)
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
