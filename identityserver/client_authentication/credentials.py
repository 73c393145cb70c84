"""What a request presents to say which client it comes from."""

from dataclasses import dataclass, field

from identityserver.client_authentication.assertion import Assertion
from identityserver.vocabulary import AuthMethod


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A client_id and, by most methods, its proof, which never shows in a repr."""

    method: AuthMethod
    client_id: str
    secret: str = field(default="", repr=False)
    assertion: Assertion | None = field(default=None, repr=False)
