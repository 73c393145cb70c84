"""Which paths the front answers: those at which the URLconf has an endpoint for machines (RFC 6749 §3, RFC 8414 §3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.urls import Resolver404, ResolverMatch, URLPattern, URLResolver


class Served(NamedTuple):
    """What Django makes of a path, and the view that does without the site's middleware."""

    match: ResolverMatch
    respond: Callable[..., Any]


@lru_cache(maxsize=4)
def served_by(resolver: URLResolver) -> Mapping[str, Served]:
    """What is at each path without parameters under which there is an endpoint for machines."""
    return {path: found for path in _paths(resolver.url_patterns) if (found := _found(resolver, path))}


def _paths(patterns: Sequence[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        path = f"{prefix}{pattern.pattern}".replace("^", "")  # which begins those that are regular expressions
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, path)
        elif _is_ours(pattern.callback) and path.isascii():  # servers tell others in Latin-1, whatever they are
            yield path


def _found(resolver: URLResolver, path: str) -> Served | None:
    """What Django would answer with: another pattern may come first, or take this one's text for a parameter."""
    try:
        match = resolver.resolve(path)
    except Resolver404:
        return None
    return Served(match, vars(match.func)["unaccompanied"]) if _is_ours(match.func) and not match.kwargs else None


def _is_ours(view: Any) -> bool:
    """Whether it is the view of an endpoint for machines as we made it: a decorator may need the site's middleware."""
    respond = getattr(view, "unaccompanied", None)
    return respond is not None and respond.__wrapped__ is view and not view.view_class.for_browsers
