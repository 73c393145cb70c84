"""The visit being served: its request, for receivers of signals that carry none, and events that wait for its end."""

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Self

from django.http import HttpRequest

from identityserver.models import Event
from identityserver.web.watch import SessionWatch


@dataclass(slots=True)
class Visit:
    """One request while it is served; threads that asgiref starts for it see it too.

    Attributes:
        events: those that wait for its end.
        watch: on its Django session, once it has one: the browser's, or one begun by signing in.
    """

    request: HttpRequest
    events: list[Event] = field(default_factory=list)
    watch: SessionWatch | None = None
    _token: Token["Visit | None"] | None = None

    def __enter__(self) -> Self:
        self._token = _visit.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _visit.reset(self._token)


_visit: ContextVar[Visit | None] = ContextVar("identityserver_visit", default=None)


def current_visit() -> Visit | None:
    """The visit in this context, or ``None`` outside of one."""
    return _visit.get()


def current_request() -> HttpRequest | None:
    """The request being served in this context, or ``None`` outside of one."""
    visit = _visit.get()
    return visit.request if visit is not None else None
