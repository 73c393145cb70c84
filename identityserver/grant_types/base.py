"""What every grant type takes and gives."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from identityserver.errors import InvalidGrant
from identityserver.models import AuthorizationCode, Client, RefreshToken
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization


@dataclass(frozen=True)
class TokenRequest:
    """A token request of an authenticated client (RFC 6749 §3.2)."""

    client: Client
    parameters: Parameters


def check_still_good(holder: AuthorizationCode | RefreshToken, client: Client, now: datetime) -> None:
    """Nothing has happened since that takes its worth away; all of it but groups was read in one statement.

    Raises:
        InvalidGrant: it has expired, was revoked, client or user are no longer enabled, or the user no longer
            is in a group that may use the client.
    """
    grant = holder.grant
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
