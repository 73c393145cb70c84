"""Tokens as they are now: verified, and not revoked with anything they depend on (RFC 7009 §2, RFC 7662 §4).

A JWT is good by its signature; what the authorization server itself must know besides is in the database, and
is read in one statement, for a reference token together with all that it stands for.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Exists, F, Subquery
from django.utils import timezone

from identityserver import digests
from identityserver.conf import options
from identityserver.errors import InvalidToken
from identityserver.models import Client, Grant, ReferenceToken, RefreshToken, UsedIdentifier
from identityserver.models.grants import HOLDER_RELATIONS, UNNEEDED
from identityserver.models.prepared import Parameter, Select, Values
from identityserver.tokens.verify import AccessTokenClaims, checked_claims, verify_access_token

#: The purpose under which the ``jti`` of a revoked JWT is kept until it expires.
REVOKED = "revoked_token"


class UnknownToken(InvalidToken):
    """What was presented is no reference token that there is; it may be anything."""


@dataclass(frozen=True, kw_only=True)
class LiveToken:
    """An access token that is good at this moment.

    Attributes:
        token: what it says.
        client_pk: the primary key of the client that it was issued to, which is enabled.
        grant: the stored grant that it came from, with its user; ``None`` where a client acts for itself.
        reference_pk: the stored reference token, or ``None`` for a JWT.
    """

    token: AccessTokenClaims
    client_pk: int
    grant: Grant | None
    reference_pk: int | None = None

    @property
    def user(self) -> AbstractBaseUser | None:
        """The active user who allowed it, or ``None`` where a client acts for itself."""
        return self.grant.user if self.grant is not None else None


def live_token(value: str, *, audiences: Collection[str] | None = None) -> LiveToken:
    """What a presented access token is worth, JWT or reference token; one query.

    Args:
        value: as presented; never a refresh token or an ID token.
        audiences: names of the API that asks, one of which must be in ``aud``; ``None`` where the
            authorization server itself asks.

    Raises:
        InvalidToken: it is not good, or no longer: expired, revoked itself or with its grant, or of a client,
            a user or (where lifetimes are coordinated) a session that is no more. A user's token without a
            stored grant is none, since nobody could revoke it.
    """
    if "." in value:
        return _live_jwt(verify_access_token(value, audiences=audiences))
    return live_reference_token(value, audiences=audiences)


def live_reference_token(value: str, *, audiences: Collection[str] | None = None) -> LiveToken:
    """The same for reference tokens alone.

    Raises:
        UnknownToken: there is no such token.
        InvalidToken: as above.
    """
    row = _REFERENCE.first(digest=digests.digest(value)) if len(value) == digests.LENGTH else None
    if row is None:
        raise UnknownToken("The access token is unknown.")
    token = checked_claims(row.claims, audiences=audiences)
    _check(row, row.grant, token)
    return LiveToken(token=token, client_pk=row.client_id, grant=row.grant, reference_pk=row.pk)


def live_refresh_token(value: str, client: Client) -> RefreshToken:
    """The refresh token of ``client`` with its grant and user, if using it now would give tokens; one query.

    Raises:
        InvalidToken: it is unknown, of another client, used, expired, or revoked with whatever it depends on.
    """
    row = _REFRESH.first(digest=digests.digest(value), client=client.pk) if len(value) == digests.LENGTH else None
    now = timezone.now()
    if row is None or row.consumed_at is not None or min(row.expires, row.grant.expires) <= now:
        raise InvalidToken("The refresh token is unknown, used or expired.")
    _check_grant(row, row.grant, needs_user=True)
    if not (client.admits_everybody or client.admits(row.grant.user)):
        raise InvalidToken("The user may not use this client any more.")
    return row  # type: ignore[no-any-return]  # prepared statements give what the queryset would


#: What the worth of a grant's tokens depends on, as attributes of the rows that are read.
_CIRCUMSTANCES = {
    "grant_client_enabled": "client__enabled",
    "coordinated": "client__coordinate_lifetime_with_user_session",
    "session_ended_at": "session__ended_at",
    "session_expires": "session__expires",
}

_REFERENCE = Select(
    ReferenceToken.objects.filter(digest=Parameter("digest")).annotate(
        own_client_enabled=F("client__enabled"), **{name: F(f"grant__{path}") for name, path in _CIRCUMSTANCES.items()}
    ),
    *HOLDER_RELATIONS,
    defer={**UNNEEDED, "": ("digest", "created", "expires")},
)
_REFRESH = Select(
    RefreshToken.objects.filter(digest=Parameter("digest"), grant__client_id=Parameter("client")).annotate(
        **{name: F(f"grant__{path}") for name, path in _CIRCUMSTANCES.items()}
    ),
    *HOLDER_RELATIONS,
    defer={"grant": UNNEEDED["grant"]},
)
_OWN_CLIENT = Client.objects.filter(client_id=Parameter("client_id"), enabled=True).order_by()
_IS_REVOKED = Exists(
    UsedIdentifier.objects.filter(purpose=REVOKED, issuer=Parameter("issuer"), digest=Parameter("jti"))
)
_GRANT = Select(
    Grant.objects.filter(pk=Parameter("grant_id"))
    .annotate(own_client=Subquery(_OWN_CLIENT.values("pk")), is_revoked=_IS_REVOKED)
    .annotate(**{name: F(path) for name, path in _CIRCUMSTANCES.items()})
    .order_by(),
    "user",
    defer={"": (*UNNEEDED["grant"], "expires")},
)
_CLIENT = Values(_OWN_CLIENT.annotate(is_revoked=_IS_REVOKED), "pk", "is_revoked")


def _live_jwt(token: AccessTokenClaims) -> LiveToken:
    """A verified JWT with the row that says how it stands: its grant's, or else its client's."""
    jti = {"issuer": digests.digest(token.issuer), "jti": digests.digest(token.jti)}
    if token.grant_id is None:
        return _live_without_grant(token, _CLIENT.first(client_id=token.client_id, **jti))
    grant = _GRANT.first(grant_id=token.grant_id, client_id=token.client_id, **jti)
    if grant is None or grant.is_revoked:
        raise InvalidToken("The access token was revoked.")
    if grant.own_client is None:
        raise InvalidToken("The client is disabled.")
    _check_grant(grant, grant, needs_user=token.subject is not None)
    return LiveToken(token=token, client_pk=grant.own_client, grant=grant)


def _live_without_grant(token: AccessTokenClaims, client: tuple[int, bool] | None) -> LiveToken:
    if token.subject is not None:
        raise InvalidToken("The access token has no grant.")
    if client is None:
        raise InvalidToken("The client is disabled.")
    if client[1]:
        raise InvalidToken("The access token was revoked.")
    return LiveToken(token=token, client_pk=client[0], grant=None)


def _check(row: Any, grant: Grant | None, token: AccessTokenClaims) -> None:
    """A reference token and, where it has one, its grant."""
    if row.revoked_at is not None:
        raise InvalidToken("The access token was revoked.")
    if not row.own_client_enabled:
        raise InvalidToken("The client is disabled.")
    if grant is not None:
        _check_grant(row, grant, needs_user=token.subject is not None)
    elif token.subject is not None:
        raise InvalidToken("The access token has no grant.")


def _check_grant(row: Any, grant: Grant, *, needs_user: bool) -> None:
    """The grant and whom it depends on, by the circumstances in ``row``.

    Its age does not matter: the last access token that it gave lives on by its own expiry.
    """
    if grant.revoked_at is not None:
        raise InvalidToken("The access token was revoked.", detail=f"Grant {grant.pk}: {grant.revocation_reason}")
    if not row.grant_client_enabled:
        raise InvalidToken("The client of the grant is disabled.")
    if grant.user is None and needs_user:
        raise InvalidToken("The user is gone.")
    if grant.user is not None and not grant.user.is_active:
        raise InvalidToken("The user is inactive.")
    if grant.sid and _is_coordinated(row.coordinated) and _session_is_over(row):
        raise InvalidToken("The user has signed out.")


def _is_coordinated(own: bool | None) -> bool:
    return options().coordinate_lifetime_with_user_session if own is None else own


def _session_is_over(row: Any) -> bool:
    """Whether the user session has ended, expired, or been cleaned up since."""
    return row.session_ended_at is not None or row.session_expires is None or row.session_expires <= timezone.now()
