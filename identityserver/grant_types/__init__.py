"""Grant types: one file each, with one method, ``authorize(request) -> Authorization``."""

from collections.abc import Mapping

from identityserver.errors import UnauthorizedClient, UnsupportedGrantType
from identityserver.grant_types.authorization_code import AuthorizationCodeGrant
from identityserver.grant_types.base import TokenGrant, TokenRequest
from identityserver.grant_types.client_credentials import ClientCredentialsGrant
from identityserver.grant_types.refresh_token import RefreshTokenGrant
from identityserver.vocabulary import GrantType

#: Every grant type; discovery derives from this.
GRANT_TYPES: Mapping[str, TokenGrant] = {
    GrantType.AUTHORIZATION_CODE: AuthorizationCodeGrant(),
    GrantType.CLIENT_CREDENTIALS: ClientCredentialsGrant(),
    GrantType.REFRESH_TOKEN: RefreshTokenGrant(),
}


def grant_type_for(request: TokenRequest) -> TokenGrant:
    """The grant type that the request names, where its client may use it.

    Raises:
        UnsupportedGrantType: nobody may.
        UnauthorizedClient: this client may not.
    """
    name = request.parameters["grant_type"]
    if name not in GRANT_TYPES:
        raise UnsupportedGrantType("The grant type is not supported.", parameter="grant_type")
    if name not in request.client.allowed_grant_types:
        raise UnauthorizedClient("The client may not use this grant type.", parameter="grant_type")
    return GRANT_TYPES[name]


__all__ = ["GRANT_TYPES", "TokenRequest", "grant_type_for"]
