"""What Django does around a request: its signals, and its own receivers of them (Django's ``request_started`` …).

Sending a signal, and Django's own receivers, cost more than many an answer. Where nobody else listens, the same
is done here at once: connections are looked at when a request starts and when it is finished.
"""

import functools
import select
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from django.core.cache import caches, close_caches
from django.core.cache.backends.base import BaseCache
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.dispatch import Signal
from django.http import HttpResponse


class _Listeners:
    """Who listens to one of Django's signals, looked at anew only when they have changed.

    Attributes:
        are_djangos: they are Django's own, all of them and nobody else.
        include_others: somebody wants to be told.
    """

    def __init__(self, signal: Signal, *djangos: Callable[..., None]) -> None:
        self._signal = signal
        self._djangos = _keys(_connected_to(djangos))
        self._seen: list[Any] = []
        self.are_djangos = self.include_others = False

    def look(self) -> "_Listeners":
        """Themselves, as they are now."""
        if self._seen != self._signal.receivers:
            self._seen = [*self._signal.receivers]
            keys = _keys(self._signal)
            self.are_djangos = keys == self._djangos
            self.include_others = not keys <= self._djangos
        return self


def _connected_to(receivers: tuple[Callable[..., None], ...]) -> Signal:
    signal = Signal()
    for receiver in receivers:
        signal.connect(receiver)
    return signal


def _keys(signal: Signal) -> set[Any]:
    """By which a signal knows its receivers."""
    return {receiver[0] for receiver in signal.receivers}


_at_start = _Listeners(request_started, reset_queries, close_old_connections)
_at_end = _Listeners(request_finished, close_old_connections, close_caches, reset_urlconf)


def somebody_listens() -> bool:
    """Whether anybody but Django wants to know when requests start and are finished."""
    return _at_start.look().include_others or _at_end.look().include_others


def begin(environ: WSGIEnvironment) -> None:
    """A request starts."""
    if not _at_start.look().are_djangos:
        request_started.send(sender=WSGIHandler, environ=environ)
        return
    connection: Any
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
        connection.close_if_unusable_or_obsolete()
        if connection.health_check_enabled and _is_quiet(connection):
            connection.health_check_done = True  # else Django asks the server, which is a round trip


def _is_quiet(connection: Any) -> bool:
    """Whether the server has neither closed the connection nor said anything since the last request.

    A server that restarts closes its connections, which can be seen without asking it.
    """
    fileno = getattr(connection.connection, "fileno", None)
    if fileno is None or connection.vendor != "postgresql":
        return False
    try:
        poll = select.poll()
        poll.register(fileno(), select.POLLIN)  # hanging up and errors are always told
        return not poll.poll(0)
    except Exception:  # noqa: BLE001  a connection that is closed has no number, and says so in its driver's own way
        return False


def finish(response: HttpResponse) -> None:
    """A request is finished; no URLconf was set for it."""
    closers = response._resource_closers  # type: ignore[attr-defined]  # unknown to the stubs
    if closers or not _at_end.look().are_djangos:
        response.close()
        return
    close_old_connections()
    if _some_cache_closes():
        close_caches()


@functools.cache
def _some_cache_closes() -> bool:
    """Whether closing does anything, which Django's caches but those of Memcached leave out."""
    return any(type(caches[alias]).close is not BaseCache.close for alias in caches)
