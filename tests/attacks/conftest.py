import pytest

from identityserver import caching
from tests.attacks.target import Target


@pytest.fixture
def target(signing_keys: None, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A provider that is worth attacking; it remembers its clients, as it does outside of a test's transaction."""
    monkeypatch.setattr(caching, "in_transaction", lambda: False)
    return Target()
