"""A test kit for sites that install the app: ``pytest_plugins = ["identityserver.testing.fixtures"]``.

``RelyingParty`` speaks the protocol as a client does, ``Browser`` walks the pages as a person does, both through
HTTP and nothing else.
"""

from identityserver.testing.browser import Browser, Page
from identityserver.testing.clock import Clock
from identityserver.testing.relying_party import DeviceAuthorizationResponse, RelyingParty, TokenResponse

__all__ = ["Browser", "Clock", "DeviceAuthorizationResponse", "Page", "RelyingParty", "TokenResponse"]
