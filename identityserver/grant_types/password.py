"""The user's own password in the hands of the client (RFC 6749 §4.3).

RFC 9700 §2.4: it MUST NOT be used by anything new. It is off unless ``optional_grant_types`` names it, for
software that cannot be changed yet.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from identityserver.conf import options
from identityserver.errors import InvalidGrant
from identityserver.grant_types.base import TokenRequest
from identityserver.grant_types.granting import granted_to_user, requested_resources
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import GrantType

#: RFC 8176: whichever of Django's authentication backends judges it, it was a password.
_METHOD = "pwd"


class PasswordGrant:
    """``password``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """A grant of the user whose password it is, in no user session.

        Raises:
            InvalidGrant: the same for an unknown user, a wrong password and a user who may not sign in.
        """
        resources = requested_resources(request)
        user = request.authenticate(request.parameters["username"], request.parameters["password"])
        if user is None:
            raise InvalidGrant("User name and password are not right.")
        worth = _worth(user)
        return granted_to_user(
            request,
            user,
            resources,
            grant_type=GrantType.PASSWORD,
            auth_time=timezone.now(),
            acr=str(worth.get("acr", "")),
            amr=tuple(dict.fromkeys((*worth.get("amr", ()), _METHOD))),
        )


def _worth(user: AbstractBaseUser) -> Mapping[str, Any]:
    """What the option ``authentication_contexts`` says of the backend that let the user in."""
    worth: Mapping[str, Any] = options().authentication_contexts.get(getattr(user, "backend", ""), {})
    return worth
