"""Of the site's middleware, what concerns machines: who may ask, over what, and the headers of every answer.

Django's own are run as the site has them. Whether they let a request pass, and what headers they add, depends on
little of a request, its circumstances; so they are asked once about each and what they did is done again.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.utils.module_loading import import_string

Respond = Callable[..., Any]
#: What the middleware's doing depends on; see :func:`circumstances`.
Circumstances = tuple[Any, ...]

#: The rest is about people, or a site's own, of which nothing is known.
_KEPT = frozenset(
    {
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
    }
)
#: How many circumstances are remembered: more than a site has hosts, few enough whatever anybody sends.
MOST_REMEMBERED = 256


def circumstances() -> tuple[str, ...]:
    """The WSGI variables (PEP 3333) on which Django's middleware, and what a public document says, depend."""
    secured_by, _ = settings.SECURE_PROXY_SSL_HEADER or ("wsgi.url_scheme", "")
    address = ("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "SERVER_NAME", "SERVER_PORT")
    mount = ("SCRIPT_NAME", "SCRIPT_URL", "REDIRECT_URL", "PATH_INFO")
    agent = ("HTTP_USER_AGENT",) if settings.DISALLOWED_USER_AGENTS else ()
    return ("REQUEST_METHOD", "HTTP_IF_NONE_MATCH", "wsgi.url_scheme", secured_by, *address, *mount, *agent)


class KeptMiddleware:
    """Leads requests to ``view`` through those of the site's middleware that are kept.

    Args:
        view: answers a request, and sets its ``resolver_match``.
    """

    def __init__(self, view: Respond) -> None:
        kept = _kept()
        #: A site's own variants may depend on anything.
        self.is_djangos = _KEPT.issuperset(map(_name, kept))
        self._view: Respond = convert_exception_to_response(view)
        self._respond = _through(kept, view)
        self._respond_in_vain = _through(kept, lambda _request: HttpResponse())
        self._headers: dict[Circumstances, dict[str, str]] = {}

    def respond(self, request: WSGIRequest, given: Circumstances) -> HttpResponse:
        """The response, with every header that the middleware gives it."""
        headers = self._headers.get(given)
        response: HttpResponse
        if headers is not None:
            response = self._view(request)
            return _with_headers(response, headers)
        response = self._respond(request)
        if self.is_djangos and request.resolver_match is not None:
            self._remember(given, self._respond_in_vain(request))
        return response

    def _remember(self, given: Circumstances, response: HttpResponse) -> None:
        """The headers that were added to a response that had none but its content type."""
        if len(self._headers) >= MOST_REMEMBERED:
            self._headers.clear()
        self._headers[given] = {name: value for name, value in response.items() if name != "Content-Type"}


def _with_headers(response: HttpResponse, headers: Mapping[str, str]) -> HttpResponse:
    for name, value in headers.items():
        response.headers.setdefault(name, value if name != "Content-Length" else str(len(response.content)))
    return response


def _kept() -> list[Any]:
    """Django's middleware that concerns machines, and what the site derived from it, in the site's order."""
    installed = map(import_string, settings.MIDDLEWARE)
    return [found for found in installed if not _KEPT.isdisjoint(map(_name, getattr(found, "__mro__", ())))]


def _name(middleware: type) -> str:
    return f"{middleware.__module__}.{middleware.__qualname__}"


def _through(middleware: Iterable[Any], view: Respond) -> Respond:
    """The view within the middleware, as Django builds it."""
    respond: Respond = convert_exception_to_response(view)
    for outer in reversed([*middleware]):
        with suppress(MiddlewareNotUsed):
            respond = convert_exception_to_response(outer(respond))
    return respond
