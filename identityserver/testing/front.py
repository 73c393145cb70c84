"""Test clients that speak through ``ProtocolFront``, as the requests of a site do that has it in ``wsgi.py``.

The front is called as a server calls it (PEP 3333), so a test sees what it really sends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from wsgiref.types import WSGIEnvironment

from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test.client import ClientHandler, conditional_content_removal

from identityserver.front import ProtocolFront


class FrontClientHandler(ClientHandler):
    """What a ``django.test.Client`` asks: first the front, then Django, where the front passes a request on."""

    @cached_property
    def front(self) -> ProtocolFront:
        """The front, made with the settings of the first request, as Django's middleware is."""
        return ProtocolFront(lambda _environ, _start_response: _PASSED_ON)

    def __call__(self, environ: WSGIEnvironment) -> Any:
        """The response to a request."""
        answer = _Answer()
        with connections_kept():
            body = self.front(environ, answer.start)
            if body is not _PASSED_ON:
                return answer.read(environ, body)
        return super().__call__(environ)


#: The body of no answer.
_PASSED_ON: tuple[bytes, ...] = ()


class _Answer:
    """What a server is told, made into the response that Django's test client returns."""

    def start(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        """PEP 3333's ``start_response``."""
        self._status, self._headers = status, headers

    def read(self, environ: WSGIEnvironment, body: Any) -> HttpResponse:
        """The response, when the server has sent it all."""
        response = HttpResponse(b"".join(body), status=int(self._status.partition(" ")[0]))
        if hasattr(body, "close"):
            body.close()
        del response["Content-Type"]
        for name, value in self._headers:
            if name == "Set-Cookie":
                response.cookies.load(value.strip())
            else:
                response[name] = value
        vars(response)["wsgi_request"] = request = WSGIRequest(environ)
        conditional_content_removal(request, response)
        return response


@contextmanager
def connections_kept() -> Iterator[None]:
    """A test's connection outlives its requests, as Django's test client sees to."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
