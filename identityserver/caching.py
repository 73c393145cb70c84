"""Configuration kept in process: clients, resources and keys, for ``configuration_cache_seconds``.

A change is seen at once by the process that makes it, on commit, and by others when the time is up.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections, router, transaction

from identityserver.conf import options
from identityserver.models import Client

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class _Entry(NamedTuple):
    value: Any
    until: float


class ConfigurationCache(Generic[K, V]):
    """Values by key for ``configuration_cache_seconds``, least recently used first out.

    Nothing that was read inside an open transaction is kept, since it may be rolled back.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[K, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._generation = 0
        _caches.append(self)

    def get(self, key: K) -> V | None:
        """The value, or ``None`` where it is unknown or too old."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.until <= time.monotonic():
                return None
            self._entries.move_to_end(key)
            value: V = entry.value
            if (outer := _sources.get()) is not None:
                outer.append(entry.until)
            return value

    def load(self, key: K, read: Callable[[], T]) -> T:
        """Read the value anew and keep it; absence is never kept.

        What is made from other cached values grows old with them, or the limits would add up.
        """
        generation = self._generation
        value, sources = _with_sources(read)
        seconds = options().configuration_cache_seconds
        if value is None or not seconds or in_transaction():
            return value
        until = min([time.monotonic() + seconds, *sources])
        with self._lock:
            if generation == self._generation:  # else something changed while we read
                self._entries[key] = _Entry(value, until)
                self._entries.move_to_end(key)
                while len(self._entries) > self._capacity:
                    self._entries.popitem(last=False)
        if (outer := _sources.get()) is not None:
            outer.append(until)
        return value

    def clear(self) -> None:
        """Forget everything, including what is being read right now."""
        with self._lock:
            self._generation += 1
            self._entries.clear()


_caches: list[ConfigurationCache[Any, Any]] = []

#: Until when what the value being read is made from is good.
_sources: ContextVar[list[float] | None] = ContextVar("identityserver_cache_sources", default=None)


def _with_sources(read: Callable[[], T]) -> tuple[T, list[float]]:
    """What ``read`` returns, and until when what it took from other caches is good."""
    sources: list[float] = []
    token = _sources.set(sources)
    try:
        return read(), sources
    finally:
        _sources.reset(token)


def forget() -> None:
    """Drop everything that is cached."""
    for cache in _caches:
        cache.clear()


def forget_on_commit(**_: Any) -> None:
    """A receiver: configuration changed, and counts once it is committed."""
    transaction.on_commit(forget, using=router.db_for_write(Client))


def in_transaction() -> bool:
    """Whether a transaction is open on the database that holds our tables."""
    return connections[router.db_for_read(Client)].in_atomic_block
