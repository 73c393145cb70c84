"""What a request presents to say which client it comes from."""

from dataclasses import dataclass, field

from identityserver.vocabulary import AuthMethod


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A client_id and, by most methods, its proof; ``secret`` never shows in a repr."""

    method: AuthMethod
    client_id: str
    secret: str = field(default="", repr=False)
