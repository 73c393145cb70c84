"""The cookie that binds a pending request to the browser that made it: one for each handle.

Not the Django session, since signing in flushes it; and not one cookie for all requests, so that several tabs
do not disturb each other. Without it a handle is worth nothing (RFC 9700 §4.7, cross-site request forgery). It
stays after the answer, for a page opened again to tell the way back.
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from identityserver import digests
from identityserver.conf import options

_NAME = "identityserver_"
#: Requests that a browser may have open: the oldest are given up, before the Cookie header gets too long.
_MOST = 20


def bind(request: HttpRequest, response: HttpResponseBase, handle: str, binding: str) -> None:
    """Give the browser that receives ``response`` the binding of a request that was stored for it."""
    there = [name for name in request.COOKIES if name.startswith(_prefix())]
    for name in there[: -(_MOST - 1)]:
        response.delete_cookie(name, samesite="Lax")
    response.set_cookie(
        _name(handle),
        binding,
        max_age=options().interaction_lifetime,
        secure=_is_https(),
        httponly=True,
        samesite="Lax",
    )


def binding_of(request: HttpRequest, handle: str) -> str:
    """The binding that the browser presents for ``handle``; ``""`` where it has none."""
    return request.COOKIES.get(_name(handle), "")


def _name(handle: str) -> str:
    return _prefix() + digests.digest(handle)[:16]


def _prefix() -> str:
    """With ``__Host-``, which only https can have, no neighbour under the same domain can set the cookie."""
    return f"__Host-{_NAME}" if _is_https() else _NAME


def _is_https() -> bool:
    return options().issuer.startswith("https:")
