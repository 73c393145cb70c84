"""The implicit grant (RFC 6749 §4.2): named here, served by the authorization endpoint alone.

RFC 9700 §2.1.2 advises against it, so it is off unless ``optional_grant_types`` names it.
"""

from identityserver.errors import UnsupportedGrantType
from identityserver.grant_types.base import TokenRequest
from identityserver.tokens.authorization import Authorization


class ImplicitGrant:
    """``implicit``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """Refuse: there is nothing to redeem.

        Raises:
            UnsupportedGrantType: always.
        """
        raise UnsupportedGrantType("Implicit tokens are issued at the authorization endpoint.", parameter="grant_type")
