"""The fast way in: machines are answered ahead of Django's resolver and the site's middleware (PEP 3333).

``application = ProtocolFront(get_wsgi_application())`` in ``wsgi.py``. Only the exact paths under which the URLconf
serves an endpoint for machines are taken, and answered by the view that it names there. All else is Django's, and
so is what browsers ask for, since only the site's middleware knows who sits in front of them.

Nothing here imports a model, so that ``wsgi.py`` may import it before Django is set up.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.http import HttpResponse
from django.urls import get_resolver, set_script_prefix
from django.utils import translation
from django.utils.log import log_response

from identityserver.front.housekeeping import begin, finish, somebody_listens
from identityserver.front.middleware import MOST_REMEMBERED, Circumstances, KeptMiddleware, circumstances
from identityserver.front.paths import served_by

__all__ = ["ProtocolFront"]


class ProtocolFront:
    """A WSGI application in front of Django's.

    Args:
        application: Django's, which answers whatever is not asked of an endpoint for machines.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._served = served_by(get_resolver())
        self._middleware = KeptMiddleware(self._call_view)
        self._circumstances = circumstances()
        self._standing: dict[Circumstances, _StandingAnswer] = {}
        self._thread = _Thread()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """PEP 3333."""
        if environ.get("PATH_INFO") not in self._served:
            self._thread.has_language = True  # or may have, when Django has answered
            return self._application(environ, start_response)
        given = tuple(map(environ.get, self._circumstances))
        answer = self._standing.get(given)
        if answer is not None and answer.stands() and not somebody_listens():
            start_response(answer.status, answer.headers.copy())
            return answer.body
        begin(environ)
        response = self._respond(environ, given)
        status, headers = f"{response.status_code} {response.reason_phrase}", list(response.items())
        headers += [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        if (stands := getattr(response, "stands", None)) is not None and self._middleware.is_djangos:
            # The list is the server's from here on, and may have things added that are for this browser alone.
            self._keep(given, _StandingAnswer(status, headers.copy(), (response.content,), stands))
        start_response(status, headers)
        return _Delivery(response)

    def _respond(self, environ: WSGIEnvironment, given: Circumstances) -> HttpResponse:
        """What Django's handler does between its signals."""
        set_script_prefix(get_script_name(environ))
        self._thread.forget_language()
        request = WSGIRequest(environ)
        response = self._middleware.respond(request, given)
        if response.status_code >= 400:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response

    def _call_view(self, request: WSGIRequest) -> HttpResponse:
        request.resolver_match, respond = self._served[request.path_info]
        response: HttpResponse = respond(request)
        return response

    def _keep(self, given: Circumstances, answer: "_StandingAnswer") -> None:
        if len(self._standing) >= MOST_REMEMBERED:
            self._standing.clear()
        self._standing[given] = answer


class _StandingAnswer(NamedTuple):
    """An answer that may be given again as long as it stands: it touches no database, so there is nothing to close."""

    status: str
    headers: list[tuple[str, str]]
    body: tuple[bytes]
    stands: Callable[[], bool]


class _Delivery:
    """A response on its way out; when it is there, the server calls ``close()``."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        """The request is finished."""
        finish(self._response)


class _Thread(threading.local):
    """What the front knows of each thread of the server: Django leaves the language of its last request behind."""

    has_language = True

    def forget_language(self) -> None:
        """Go back to ``LANGUAGE_CODE``."""
        if self.has_language:
            translation.deactivate()
            self.has_language = False
