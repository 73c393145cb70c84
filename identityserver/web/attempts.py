"""Attempts at a password: how many are allowed, wherever on the site they are made (RFC 6585 §4)."""

import unicodedata

from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from identityserver import signals
from identityserver.conf import options
from identityserver.errors import SlowDown
from identityserver.web import rate_limits
from identityserver.web.address import client_address, sender_at

_WINDOW = 60
#: People behind one address who may mistype at once, as a multiple of the limit for one of them.
_PEOPLE_PER_ADDRESS = 4
#: Of a user name, what tells attempts apart; more than any site stores.
_LENGTH = 1000


def seconds_to_wait(request: HttpRequest, username: str) -> int | None:
    """Count an attempt; how long to wait where there were too many."""
    waits = [rate_limits.allow(kind, key, limit, _WINDOW) for kind, key, limit in _limits(request, username)]
    return max((wait for wait in waits if wait is not None), default=None)


def take_back(request: HttpRequest, username: str) -> None:
    """Only failures count."""
    for kind, key, _limit in _limits(request, username):
        rate_limits.take_back(kind, key, _WINDOW)


def user_with_password(request: HttpRequest, username: str, password: str) -> AbstractBaseUser | None:
    """The active user whom Django's authentication backends know by this password, without signing anybody in.

    Raises:
        SlowDown: there were too many failures.
    """
    seconds = seconds_to_wait(request, username)
    if seconds is not None:
        signals.login_failed.send(sender=None, request=request, username=username, reason="rate_limited")
        raise SlowDown("Too many attempts to sign in.", retry_after=seconds)
    user = authenticate(request, username=username, password=password)
    if user is None or not user.is_active:
        return None
    take_back(request, username)
    return user


def _limits(request: HttpRequest, username: str) -> list[tuple[str, str, int]]:
    limit, sender = options().login_attempts_per_minute, sender_at(client_address(request))
    name = unicodedata.normalize("NFKC", username.strip()[:_LENGTH]).casefold()  # as the form reads it, in any case
    return [("login", f"{sender} {name}", limit), ("login address", sender, limit * _PEOPLE_PER_ADDRESS)]
