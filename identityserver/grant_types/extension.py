"""Grant types of the host's own, named by the option ``extension_grant_types`` (RFC 6749 §4.5)."""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from identityserver import conf, uris
from identityserver.grant_types.base import TokenGrant, TokenRequest
from identityserver.grant_types.granting import with_stored_access_token
from identityserver.tokens.authorization import Authorization

#: As long as its name fits where grants are kept.
_LONGEST_NAME = 255


class ExtensionGrant:
    """A grant type of the host's; what it says counts for the client that asked, under its own name."""

    def __init__(self, name: str, host: TokenGrant) -> None:
        self.name = name
        self.host = host

    def authorize(self, request: TokenRequest) -> Authorization:
        """What the host grants; a reference token is stored where the client gets those."""
        authorization = self.host.authorize(request)
        return with_stored_access_token(replace(authorization, client=request.client, grant_type=self.name))


def extension_grants() -> Iterator[tuple[str, TokenGrant]]:
    """The host's grant types by name.

    Raises:
        ImproperlyConfigured: a name is no absolute URI, or a path leads to no grant type.
    """
    for name, path in conf.options().extension_grant_types.items():
        if not _is_absolute_uri(name):
            raise ImproperlyConfigured(
                f"{conf.SETTING}['extension_grant_types'] names {name!r}, which is not an absolute URI of at most "
                f"{_LONGEST_NAME} characters (RFC 6749 §4.5)."
            )
        yield name, ExtensionGrant(name, _grant_type(path))


def _grant_type(path: object) -> TokenGrant:
    found: Any = conf.imported(str(path))
    host: Any = found() if inspect.isclass(found) else found
    if not callable(getattr(host, "authorize", None)):
        raise ImproperlyConfigured(
            f"{conf.SETTING}['extension_grant_types'] names {path!r}, which has no method authorize(request)."
        )
    grant_type: TokenGrant = host
    return grant_type


def _is_absolute_uri(name: object) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and uris.parse(name) is not None
