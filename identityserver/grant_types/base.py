"""What every grant type takes and gives."""

from dataclasses import dataclass
from typing import Protocol

from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization


@dataclass(frozen=True)
class TokenRequest:
    """A token request of an authenticated client (RFC 6749 §3.2)."""

    client: Client
    parameters: Parameters


class TokenGrant(Protocol):
    """A grant type."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """What the client is granted.

        Raises:
            ProtocolError: nothing; and then nothing is stored.
        """
