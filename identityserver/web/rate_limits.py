"""Limits on what people and programs may try, counted in Django's cache.

The count is as wide as the cache: a site with several processes needs a cache that they share. Keys are
digests under SECRET_KEY, so that the cache holds neither user names nor addresses.
"""

from contextlib import suppress

from django.core.cache import cache
from django.utils import timezone
from django.utils.crypto import salted_hmac

_PREFIX = "identityserver.limit."


def allow(kind: str, key: str, limit: int, seconds: int) -> int | None:
    """Count one attempt.

    Args:
        kind: what is attempted; each kind is counted apart.
        key: who attempts it.
        limit: attempts allowed in a window; 0 sets no limit.
        seconds: the length of a window.

    Returns:
        ``None`` where the attempt may go on, else the seconds to wait (at least 1).
    """
    if not limit:
        return None
    now = int(timezone.now().timestamp())
    name = _name(kind, key, now // seconds)
    cache.add(name, 0, timeout=seconds)
    try:
        count = cache.incr(name)
    except ValueError:  # evicted in between, or a cache that keeps nothing
        return None
    return None if count <= limit else seconds - now % seconds


def is_exhausted(kind: str, key: str, limit: int, seconds: int) -> int | None:
    """Like :func:`allow`, without counting: for where only failures count."""
    if not limit:
        return None
    now = int(timezone.now().timestamp())
    return seconds - now % seconds if cache.get(_name(kind, key, now // seconds), 0) >= limit else None


def take_back(kind: str, key: str, seconds: int) -> None:
    """Count one attempt less in this window: it proved to be legitimate."""
    with suppress(ValueError):  # the window has passed
        cache.decr(_name(kind, key, int(timezone.now().timestamp()) // seconds))


def _name(kind: str, key: str, window: int) -> str:
    digest = salted_hmac(_PREFIX + kind, f"{window} {key}", algorithm="sha256").hexdigest()
    return _PREFIX + digest
