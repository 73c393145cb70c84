"""Django's protection against forged posts, with an answer of our own.

Django answers with a bare 403, which is a dead end for somebody who signed in in another tab: that changes the
token, and pages opened before are refused. The host's middleware need not be installed.
"""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware


def _page(request: HttpRequest) -> HttpResponse:
    """Stands for the view that is protected, which Django only asks whether it is exempt."""
    return HttpResponse()


_middleware = CsrfViewMiddleware(_page)


def is_genuine(request: HttpRequest) -> bool:
    """Whether the request is safe, or carries the token of the page that was shown; a refusal is logged."""
    _middleware.process_request(request)
    return _middleware.process_view(request, _page, (), {}) is None


def keep_token(request: HttpRequest, response: HttpResponseBase) -> None:
    """Give the browser the token's cookie, where the page has used it."""
    _middleware.process_response(request, response)
