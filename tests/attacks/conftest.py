import pytest

from tests.attacks.target import Target


@pytest.fixture
def target(signing_keys: None) -> Target:
    """A provider that is worth attacking."""
    return Target()
