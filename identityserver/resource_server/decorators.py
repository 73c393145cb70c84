"""``@protected_resource`` for plain views (RFC 6750); DOT's does not read the settings that name our classes."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from oauth2_provider.www_authenticate import build_bearer_challenge, challenge_status

from identityserver.resource_server.requests import verify_request

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def protected_resource(scopes: Sequence[str] = ()) -> Callable[[View[P]], View[P]]:
    """Let a view answer only to an access token with ``scopes``.

    The view finds its user (``None`` for a client of its own) in ``request.resource_owner`` and the token in
    ``request.access_token``. Anybody else gets a challenge: 401 without a valid token, 403 without a scope
    (RFC 6750 §3.1).
    """

    def decorator(view: View[P]) -> View[P]:
        @wraps(view)
        def protected(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            valid, verified = verify_request(request, scopes)
            if not valid:
                return _challenge(request, getattr(verified, "oauth2_error", None))
            request.resource_owner = verified.user  # type: ignore[attr-defined]  # where DOT's decorator puts it
            request.access_token = verified.access_token  # type: ignore[attr-defined]  # and where it lacks it
            return view(request, *args, **kwargs)

        return protected

    return decorator


def _challenge(request: HttpRequest, error: dict[str, str] | None) -> HttpResponse:
    challenge = build_bearer_challenge(request, oauth2_error=error)
    return HttpResponse(status=challenge_status(error), headers={"WWW-Authenticate": challenge})
