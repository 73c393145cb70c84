"""The fast way in: machines are answered ahead of Django's resolver and the site's middleware (PEP 3333).

``application = ProtocolFront(get_wsgi_application())`` in ``wsgi.py``. Only the exact paths under which the URLconf
serves an endpoint for machines are taken, and answered by the view that it names there. All else is Django's, and
so is what browsers ask for, since only the site's middleware knows who sits in front of them.

This module imports no model, so that ``wsgi.py`` may import it before Django is set up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.conf import settings
from django.core.cache import close_caches
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.base import reset_urlconf
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.dispatch import Signal
from django.http import HttpResponse
from django.urls import Resolver404, ResolverMatch, URLPattern, URLResolver, get_resolver, set_script_prefix
from django.utils import translation
from django.utils.log import log_response
from django.utils.module_loading import import_string

Respond = Callable[..., Any]

#: Of the site's middleware, that which concerns machines; the rest is about people, or sees no protocol request.
_KEPT = frozenset(
    {
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",
    }
)
#: How many answers are kept: more than a site has hosts, few enough whatever anybody sends.
_MOST_ANSWERS = 256


class ProtocolFront:
    """A WSGI application in front of Django's.

    Args:
        application: Django's, which answers whatever is not asked of an endpoint for machines.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._served = _served_by(get_resolver())
        middleware = _kept_middleware()
        self._respond = _through(middleware, self._call_view)
        self._most_answers = _MOST_ANSWERS if _KEPT.issuperset(map(_name, middleware)) else 0
        self._circumstances = _circumstances()
        self._standing: dict[tuple[Any, ...], _StandingAnswer] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """PEP 3333."""
        if environ.get("PATH_INFO") not in self._served:
            return self._application(environ, start_response)
        circumstances = tuple(map(environ.get, self._circumstances))
        answer = self._standing.get(circumstances)
        if answer is not None and answer.stands() and not _somebody_listens():
            start_response(answer.status, answer.headers.copy())
            return answer.body
        _begin(environ)
        response = self._answer(environ)
        status, headers = f"{response.status_code} {response.reason_phrase}", list(response.items())
        if (stands := getattr(response, "stands", None)) is not None:
            self._keep(circumstances, _StandingAnswer(status, headers, [response.content], stands))
        start_response(status, headers)
        return _Delivery(response)

    def _answer(self, environ: WSGIEnvironment) -> HttpResponse:
        """What Django's handler does between its signals."""
        set_script_prefix(get_script_name(environ))
        translation.deactivate()  # the language of whomever this thread served last
        request = WSGIRequest(environ)
        response: HttpResponse = self._respond(request)
        if response.status_code >= 400:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response

    def _call_view(self, request: WSGIRequest) -> HttpResponse:
        request.resolver_match, respond = self._served[request.path_info]
        response: HttpResponse = respond(request)
        return response

    def _keep(self, circumstances: tuple[Any, ...], answer: "_StandingAnswer") -> None:
        if len(self._standing) >= self._most_answers:
            self._standing.clear()
        if self._most_answers:
            self._standing[circumstances] = answer


class _StandingAnswer(NamedTuple):
    """An answer that may be given again as long as it stands: it touches no database, so there is nothing to close."""

    status: str
    headers: list[tuple[str, str]]
    body: list[bytes]
    stands: Callable[[], bool]


class _Delivery:
    """A response on its way out; when it is there, the server calls ``close()``."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        _finish(self._response)


# --- What there is to serve, and how -----------------------------------------------------------------


@lru_cache(maxsize=4)
def _served_by(resolver: URLResolver) -> Mapping[str, "_Served"]:
    """Each path without parameters under which the URLconf has an endpoint for machines."""
    return {path: found for path in _paths(resolver.url_patterns) if (found := _found(resolver, path))}


class _Served(NamedTuple):
    """What Django makes of a path, and the view that stands in for the site's middleware, too."""

    match: ResolverMatch
    respond: Respond


def _paths(patterns: Sequence[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        path = f"{prefix}{pattern.pattern}".replace("^", "")
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, path)
        elif _is_ours(pattern.callback):
            yield path


def _found(resolver: URLResolver, path: str) -> _Served | None:
    """What Django would answer with: another pattern may come first, or take this one's text for a parameter."""
    try:
        match = resolver.resolve(path)
    except Resolver404:
        return None
    return _Served(match, vars(match.func)["unaccompanied"]) if _is_ours(match.func) and not match.kwargs else None


def _is_ours(view: Any) -> bool:
    """Whether it is the view of an endpoint for machines as we made it: a decorator may need the site's middleware."""
    respond = getattr(view, "unaccompanied", None)
    return respond is not None and respond.__wrapped__ is view and not view.view_class.for_browsers


def _kept_middleware() -> list[Any]:
    """Those of the site's middleware that concern machines, and what the site derives from them."""
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


def _circumstances() -> tuple[str, ...]:
    """What the answer of a public document depends on beside the document: where it was asked for, and how."""
    secured_by, _ = settings.SECURE_PROXY_SSL_HEADER or ("wsgi.url_scheme", "")
    address = ("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "SERVER_NAME", "SERVER_PORT")
    mount = ("SCRIPT_NAME", "SCRIPT_URL", "REDIRECT_URL", "PATH_INFO")
    agent = ("HTTP_USER_AGENT",) if settings.DISALLOWED_USER_AGENTS else ()
    return ("REQUEST_METHOD", "HTTP_IF_NONE_MATCH", "wsgi.url_scheme", secured_by, *address, *mount, *agent)


# --- Django's housekeeping ---------------------------------------------------------------------------


def _keys(signal: Signal) -> set[Any]:
    """By which a signal knows its receivers."""
    return {receiver[0] for receiver in signal.receivers}


def _connected_to(*receivers: Callable[..., None]) -> set[Any]:
    signal = Signal()
    for receiver in receivers:
        signal.connect(receiver)
    return _keys(signal)


#: What Django itself does when a request starts and when it is finished.
_AT_START = _connected_to(reset_queries, close_old_connections)
_AT_END = _connected_to(close_old_connections, close_caches, reset_urlconf)


def _somebody_listens() -> bool:
    """Whether anybody but Django wants to know when requests start and finish."""
    return not (_keys(request_started) <= _AT_START and _keys(request_finished) <= _AT_END)


def _begin(environ: WSGIEnvironment) -> None:
    """What Django does when a request starts, without sending its signal where only Django listens."""
    if _keys(request_started) != _AT_START:
        request_started.send(sender=WSGIHandler, environ=environ)
        return
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
        connection.close_if_unusable_or_obsolete()


def _finish(response: HttpResponse) -> None:
    """What Django does when a request is finished, likewise; no URLconf was set."""
    if _keys(request_finished) != _AT_END or response._resource_closers:  # type: ignore[attr-defined]  # unknown to the stubs
        response.close()
        return
    close_old_connections()
    close_caches()
