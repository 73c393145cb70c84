"""What every grant type takes and gives, and the one way in which something is redeemed."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router, transaction
from django.dispatch import Signal

from identityserver.errors import InvalidGrant
from identityserver.models import AuthorizationCode, Client, DeviceRequest, Grant, RefreshToken
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.reference_token import with_reference_token
from identityserver.vocabulary import AccessTokenType


class PasswordCheck(Protocol):
    """How whoever serves the request judges passwords, within the limits on attempts."""

    def __call__(self, username: str, password: str) -> AbstractBaseUser | None:
        """The active user whose password it is, or ``None``.

        Raises:
            SlowDown: there were too many failures.
        """


@dataclass(frozen=True)
class TokenRequest:
    """A token request of an authenticated client (RFC 6749 §3.2)."""

    client: Client
    parameters: Parameters
    authenticate: PasswordCheck


class Replayed(InvalidGrant):
    """A valid use of what was used before; raised to leave the transaction first, and then the family ends."""

    #: What receivers are told, and what the grant is said to be revoked for.
    signal: ClassVar[Signal]
    reason: ClassVar[str]

    def __init__(self, description: str, grant: Grant) -> None:
        super().__init__(description)
        self.grant = grant


class RedeemingGrant:
    """A grant type by which something is used once: a subclass says in ``redeem`` what it gives.

    All of it is one transaction with what is stored for it; a replay ends its family.
    """

    def authorize(self, request: TokenRequest) -> Authorization:
        """What the client is granted.

        Raises:
            Replayed: after the rollback and the revocation.
            ProtocolError: anything else; everything is rolled back, so an invalid use consumes nothing.
        """
        try:
            with transaction.atomic(using=router.db_for_write(Grant)):
                authorization = self.redeem(request)
                if request.client.access_token_type == AccessTokenType.REFERENCE:
                    authorization = with_reference_token(authorization)
                return authorization
        except Replayed as replay:
            Grant.objects.revoke(replay.grant.pk, replay.reason)
            replay.signal.send(
                sender=Grant, client=request.client, grant_id=replay.grant.pk, subject=replay.grant.subject
            )
            raise

    def redeem(self, request: TokenRequest) -> Authorization:
        """Use it, beginning with a conditional UPDATE, which is the lock: reading first deadlocks on SQLite."""
        raise NotImplementedError


def check_still_good(holder: AuthorizationCode | DeviceRequest | RefreshToken, client: Client, now: datetime) -> None:
    """Nothing has happened since that takes its worth away; all of it but groups was read in one statement.

    Raises:
        InvalidGrant: it has expired, was revoked, client or user are no longer enabled, or the user no longer
            is in a group that may use the client.
    """
    grant = holder.grant
    if grant is None:
        raise InvalidGrant("The grant is gone.")
    if holder.expires <= now or grant.expires <= now:
        raise InvalidGrant("It has expired.")
    if grant.revoked_at is not None:
        raise InvalidGrant("The grant was revoked.")
    if not holder.client_enabled:
        raise InvalidGrant("The client is disabled.")
    if grant.user is None or not grant.user.is_active:
        raise InvalidGrant("The user is gone or inactive.")
    if not (client.admits_everybody or client.admits(grant.user)):
        raise InvalidGrant("The user may not use this client any more.")


class TokenGrant(Protocol):
    """A grant type."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """What the client is granted.

        Raises:
            ProtocolError: nothing; and then nothing is stored.
        """
