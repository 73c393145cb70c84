"""A plugin, ``python -m pytest -p tests.through_the_front``: every test client speaks through ``ProtocolFront``."""

import pytest


@pytest.fixture(autouse=True)
def _through_the_front(protocol_front):
    """Whatever is tested, a site may have the front before it."""
