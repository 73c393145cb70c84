"""The request that is being served, for receivers of signals that carry none (a model's ``post_save``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

_request: ContextVar[HttpRequest | None] = ContextVar("identityserver_request", default=None)


def current_request() -> HttpRequest | None:
    """The request being served in this context, or ``None`` outside of one."""
    return _request.get()


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """Make ``request`` the current one; threads that asgiref starts for it see it too."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)
