"""The server class that django-oauth-toolkit asks to verify requests (RFC 6750, RFC 9449 §7.1)."""

from typing import Any

from oauthlib.oauth2.rfc6749.endpoints.resource import ResourceEndpoint
from oauthlib.oauth2.rfc6749.tokens import BearerToken, TokenBase


class ResourceServer(ResourceEndpoint):
    """Verifies requests, and can do nothing else: what DOT's own views would issue, our policy never saw.

    For ``OAUTH2_PROVIDER["OAUTH2_SERVER_CLASS"]``.
    """

    def __init__(self, request_validator: Any, **_: Any) -> None:
        self.request_validator = request_validator  # DOT's client-protected views read it here
        token_types = {"Bearer": BearerToken(request_validator), "DPoP": DPoPToken()}
        super().__init__("Bearer", token_types)


class DPoPToken(TokenBase):
    """The ``DPoP`` scheme, which is refused in its own words: no proof is checked here yet."""

    def estimate_type(self, request: Any) -> int:
        """How sure it is that the request is its own: oauthlib takes the token type with the highest number."""
        scheme = request.headers.get("Authorization", "").split(maxsplit=1)[:1]
        return 9 if [name.lower() for name in scheme] == ["dpop"] else -1

    def validate_request(self, request: Any) -> bool:
        """Never: the reason goes where DOT looks for it."""
        request.oauth2_error = {
            "error": "invalid_token",
            "error_description": "The DPoP scheme is not accepted here.",
        }
        return False
