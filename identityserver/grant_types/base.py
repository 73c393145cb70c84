"""What every grant type takes and gives."""

from dataclasses import dataclass
from typing import Protocol

from django.contrib.auth.base_user import AbstractBaseUser

from identityserver.errors import InvalidGrant
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization


@dataclass(frozen=True)
class TokenRequest:
    """A token request of an authenticated client (RFC 6749 §3.2)."""

    client: Client
    parameters: Parameters


def check_parties(user: AbstractBaseUser | None, *, client_enabled: bool) -> None:
    """Client and user are still enabled, as read in the same statement as what they hold.

    Raises:
        InvalidGrant: one is not.
    """
    if not client_enabled:
        raise InvalidGrant("The client is disabled.")
    if user is None or not user.is_active:
        raise InvalidGrant("The user is gone or inactive.")


class TokenGrant(Protocol):
    """A grant type."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """What the client is granted.

        Raises:
            ProtocolError: nothing; and then nothing is stored.
        """
