"""The site's own word on what clients register, and software statements (RFC 7591 §2, §2.3, §3.1.1)."""

from collections.abc import Mapping
from typing import Any, Protocol

from identityserver.conf import load
from identityserver.errors import InvalidSoftwareStatement, UnapprovedSoftwareStatement
from identityserver.models import Client, InitialAccessToken

STATEMENT = "software_statement"


class RegistrationPolicy(Protocol):
    """What the option ``registration_policy`` names."""

    def __call__(
        self, metadata: Mapping[str, Any], *, initial_access_token: InitialAccessToken | None, client: Client | None
    ) -> Mapping[str, Any]:
        """The metadata to register, which is then read and judged like any other.

        Args:
            metadata: what was sent. Where a ``software_statement`` is in it, the policy verifies it, gives what it
                says precedence, and takes it out; one that is left in is refused.
            initial_access_token: by which the client registers, or once did; ``None`` for an open registration.
            client: whose registration is replaced; ``None`` for a new one.

        Raises:
            ProtocolError: to refuse, such as ``InvalidClientMetadata`` (400) or ``AccessDenied`` (403) of
                ``identityserver.errors``.
        """


def decided(metadata: Mapping[str, Any], *, permit: InitialAccessToken | None, client: Client | None) -> dict[str, Any]:
    """The metadata as the policy wants it.

    Raises:
        InvalidSoftwareStatement: the software statement is no text.
        UnapprovedSoftwareStatement: nobody here vouches for it. RFC 7591 §3.1.1 would let it be ignored; but what it
            says was meant to prevail, so the client would be registered as something else than it asked for.
        ProtocolError: the policy refuses.
    """
    statement = metadata.get(STATEMENT)
    if statement is not None and not isinstance(statement, str):
        raise InvalidSoftwareStatement("software_statement must be a JWT.", parameter=STATEMENT)
    policy: RegistrationPolicy | None = load("registration_policy")
    wanted = dict(metadata)
    if policy is not None:
        wanted = dict(policy(wanted, initial_access_token=permit, client=client))
    if wanted.get(STATEMENT):
        raise UnapprovedSoftwareStatement("Software statements are not accepted here.", parameter=STATEMENT)
    return wanted
