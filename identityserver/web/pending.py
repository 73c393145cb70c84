"""Requests that wait for a person: found by the handle in the URL and the cookie of the browser that made them.

The cookie is not Django's session, since signing in flushes that; each request has its own, so that tabs
do not disturb each other. It outlives the answer, for a page that is opened again to know the way back.
"""

from typing import TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from identityserver import digests, uris
from identityserver.conf import options
from identityserver.models.requests import PendingRequest
from identityserver.web.headers import no_store
from identityserver.web.reading import query_value

#: The parameter, in URLs and forms, that holds the handle.
PARAMETER = "request"

#: Django's reports of exceptions hide what is called a key.
_COOKIE = "identityserver_key_"
#: Requests that one browser may have open, before its Cookie header gets longer than servers take.
_MOST_COOKIES = 20

Pending = TypeVar("Pending", bound=PendingRequest)


def handle_of(request: HttpRequest) -> str:
    """The handle that the URL or the form names, or ``""`` for what cannot be one."""
    handle = request.POST.get(PARAMETER) or query_value(request, PARAMETER)
    return handle if len(handle) == digests.LENGTH and handle.isascii() and handle.isprintable() else ""


def found(request: HttpRequest, model: type[Pending]) -> Pending | None:
    """The request that this browser made, in whatever state; ask ``is_pending`` before it is acted on."""
    handle = handle_of(request)
    row: Pending | None = model._default_manager.found(handle, request.COOKIES.get(_cookie(handle), ""))  # type: ignore[attr-defined]  # PendingManager
    return row


def bind(response: HttpResponse, request: HttpRequest, handle: str, binding: str) -> None:
    """Give the browser the cookie that makes it the owner of the request; the oldest of very many are given up."""
    there = [name for name in request.COOKIES if name.startswith(_COOKIE)]
    for name in there[: 1 - _MOST_COOKIES]:
        response.delete_cookie(name, samesite="Lax")
    response.set_cookie(
        _cookie(handle),
        binding,
        max_age=options().interaction_lifetime,
        secure=request.is_secure() or options().issuer.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def redirect_to(name: str, handle: str) -> HttpResponseRedirect:
    """303 to one of our pages with the handle."""
    return see_other(url_of(name, handle))


def url_of(name: str, handle: str) -> str:
    """The path of one of our pages with the handle."""
    return uris.with_query(reverse(f"identityserver:{name}"), {PARAMETER: handle})


def see_other(location: str) -> HttpResponseRedirect:
    """A redirect that is always followed with GET and never kept (RFC 9110 §15.4.4, RFC 9700 §4.12)."""
    response = SeeOther(location)
    no_store(response)
    return response


class SeeOther(HttpResponseRedirect):
    """303, to whatever scheme was registered: who may be redirected to is decided before."""

    status_code = 303

    def __init__(self, location: str) -> None:
        self.allowed_schemes = [location.partition(":")[0].lower(), "http", "https"]
        super().__init__(location)


def _cookie(handle: str) -> str:
    return f"{_COOKIE}{digests.digest(handle)[:16]}"
