"""The authentication backend for DOT's ``OAuth2TokenMiddleware``, in place of DOT's ``OAuth2Backend``."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from identityserver.resource_server.requests import verify_request


class AccessTokenBackend(BaseBackend):
    """The user of the request's access token, for that request only.

    DOT's ignores what was typed: with it, any login form takes an access token in the ``Authorization``
    header for a password, and a token with one small scope becomes a session of the whole site. This one
    knows no user by id either, so no session can be kept with it.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:
        """The user, where nothing was typed and the request bears a good token; else ``None``."""
        if request is None or credentials:
            return None
        valid, verified = verify_request(request, scopes=())
        user = verified.user if valid else None
        return user if user is not None and user.is_authenticated else None
