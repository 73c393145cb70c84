"""Counting attempts in Django's cache."""

import pytest

from identityserver.web.rate_limits import allow, take_back


@pytest.fixture(autouse=True)
def clock(clock):
    clock.moment = clock.moment.replace(second=0)
    return clock


def test_so_many_are_allowed_in_a_window(clock):
    assert [allow("test", "key", 2, 60) for _ in range(4)] == [None, None, 60, 60]
    clock.forward(seconds=59)
    assert allow("test", "key", 2, 60) == 1
    clock.forward(seconds=1)
    assert allow("test", "key", 2, 60) is None


def test_kinds_and_keys_are_counted_apart():
    assert allow("test", "key", 1, 60) is None
    assert allow("test", "other", 1, 60) is None
    assert allow("another", "key", 1, 60) is None
    assert allow("test", "key", 1, 60) == 60


def test_what_was_legitimate_is_taken_back(clock):
    assert allow("test", "key", 1, 60) is None
    take_back("test", "key", 60)
    assert allow("test", "key", 1, 60) is None
    clock.forward(minutes=1)
    take_back("test", "key", 60)
    assert allow("test", "key", 1, 60) is None


def test_zero_sets_no_limit():
    assert [allow("test", "key", 0, 60) for _ in range(3)] == [None] * 3


def test_a_cache_that_keeps_nothing_limits_nothing(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert [allow("test", "key", 1, 60) for _ in range(3)] == [None] * 3
