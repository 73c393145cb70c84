"""Pytest fixtures: ``pytest_plugins = ["identityserver.testing.fixtures"]``."""

import functools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import client as test_client
from django.utils import timezone

from identityserver import caching, encryption, jose
from identityserver.conf import options
from identityserver.models import ApiResource, ApiScope, SigningKey
from identityserver.testing.browser import Browser
from identityserver.testing.clock import Clock
from identityserver.testing.front import FrontClientHandler
from identityserver.testing.relying_party import RelyingParty
from identityserver.vocabulary import Algorithm, ApplicationType, AuthMethod, GrantType
from identityserver.web import events, rate_limits

PASSWORD = "correct horse battery staple"


@dataclass
class Person:
    """A user with a browser of their own."""

    user: Any
    password: str = PASSWORD
    browser: Browser = field(default_factory=Browser)

    @property
    def username(self) -> str:
        """What they type on the login page."""
        return str(self.user.get_username())

    def sign_in(self) -> "Person":
        """Sign in on the hosted login page."""
        self.browser.sign_in(self.username, self.password)
        return self


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is cached in process, and the counters of limits, belong to one test."""
    caching.forget()
    monkeypatch.setattr(rate_limits, "_PREFIX", f"identityserver.limit.{secrets.token_hex(8)}.")
    events.count_anew()
    yield
    caching.forget()


@pytest.fixture
def protocol_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test clients made from here on speak through ``ProtocolFront``, for sites that put it before Django."""
    monkeypatch.setattr(test_client, "ClientHandler", FrontClientHandler)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time stands still; move it with ``clock.forward(minutes=5)``."""
    frozen = Clock()
    monkeypatch.setattr(timezone, "now", frozen.replacement)
    return frozen


@pytest.fixture
def signing_keys(db: None) -> None:
    """The server's keys, made once a test run: an RSA key costs more than a test."""
    now = timezone.now()
    for algorithm in {options().access_token_signing_algorithm, options().id_token_signing_algorithm}:
        key = _key(algorithm)
        SigningKey.objects.get_or_create(
            kid=key.kid,
            defaults={
                "algorithm": algorithm,
                "sequence": 1,
                "private_jwk": _sealed(algorithm, settings.SECRET_KEY, options().key_encryption_keys),
                "public_jwk": key.public_jwk,
                "announced_at": now,
                "activates_at": now,
                "retires_at": now + options().key_signing_period,
                "longest_lifetime": int(options().access_token_lifetime.total_seconds()),
            },
        )


@functools.cache
def _key(algorithm: str) -> jose.NewKey:
    return jose.generate(Algorithm(algorithm))


@functools.cache
def _sealed(algorithm: str, *_keys: object) -> str:
    """The same envelope in each test, which a worker opens once: loading an RSA key costs as much as a test."""
    key = _key(algorithm)
    return encryption.encrypt(key.private_jwk.encode(), SigningKey.context(key.kid))


@pytest.fixture
def person(signing_keys: None) -> Callable[..., Person]:
    """Make users, each with a browser: ``person("bob", email="bob@example.com")``."""

    def make(username: str, **fields: Any) -> Person:
        return Person(get_user_model()._default_manager.create_user(username, password=PASSWORD, **fields))

    return make


@pytest.fixture
def alice(person: Callable[..., Person]) -> Person:
    """A user who has signed in."""
    return person("alice", email="alice@example.com", first_name="Alice", last_name="Adams").sign_in()


@pytest.fixture
def relying_party(signing_keys: None) -> Callable[..., RelyingParty]:
    """Register clients: ``relying_party(scopes="openid offline_access", require_consent=True)``."""
    return RelyingParty


@pytest.fixture
def web_app(signing_keys: None) -> RelyingParty:
    """A confidential web app that needs no consent."""
    return RelyingParty()


@pytest.fixture
def television(signing_keys: None) -> RelyingParty:
    """A public client on a device without a browser, for :meth:`RelyingParty.device_authorization`."""
    return RelyingParty(
        scopes="openid profile email offline_access",
        name="Television",
        application_type=ApplicationType.NATIVE.value,
        token_endpoint_auth_method=AuthMethod.NONE.value,
        allowed_grant_types=[GrantType.DEVICE_CODE.value, GrantType.REFRESH_TOKEN.value],
        response_types=[],
        redirect_uris=[],
        post_logout_redirect_uris=[],
    )


@pytest.fixture
def api(db: None) -> ApiResource:
    """An API ``https://api.example`` with the scopes ``notes.read`` and ``notes.write``."""
    resource = ApiResource.objects.create(name="https://api.example", display_name="Notes")
    resource.api_scopes.set([ApiScope.objects.create(name=name) for name in ("notes.read", "notes.write")])
    return resource
