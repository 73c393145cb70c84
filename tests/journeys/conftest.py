from collections.abc import Callable, Iterator
from typing import Any

import pytest

from identityserver.testing.fixtures import Person
from tests.journeys.provider import Visitor


@pytest.fixture
def provider(live_server: Any, settings: Any, person: Callable[..., Person]) -> str:
    """The issuer: a server with alice, who is not signed in."""
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "issuer": live_server.url}
    person("alice", email="alice@example.com", first_name="Alice", last_name="Adams")
    return str(live_server.url)


@pytest.fixture
def visitor(provider: str) -> Iterator[Visitor]:
    """alice at her browser."""
    browser = Visitor(provider)
    yield browser
    browser.close()
