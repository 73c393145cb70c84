"""Grant types: one file each, with one method, ``authorize(request) -> Authorization``."""

from collections.abc import Mapping
from types import MappingProxyType

from django.core.exceptions import ImproperlyConfigured

from identityserver.conf import SETTING, derived, options
from identityserver.errors import UnauthorizedClient, UnsupportedGrantType
from identityserver.grant_types.authorization_code import AuthorizationCodeGrant
from identityserver.grant_types.base import TokenGrant, TokenRequest
from identityserver.grant_types.client_credentials import ClientCredentialsGrant
from identityserver.grant_types.device_code import DeviceCodeGrant
from identityserver.grant_types.extension import extension_grants
from identityserver.grant_types.granting import granted_to_user, requested_resources
from identityserver.grant_types.implicit import ImplicitGrant
from identityserver.grant_types.jwt_bearer import JwtBearerGrant
from identityserver.grant_types.password import PasswordGrant
from identityserver.grant_types.refresh_token import RefreshTokenGrant
from identityserver.grant_types.token_exchange import TokenExchangeGrant
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import GrantType

#: Those that are always there.
GRANT_TYPES: Mapping[str, TokenGrant] = {
    GrantType.AUTHORIZATION_CODE: AuthorizationCodeGrant(),
    GrantType.CLIENT_CREDENTIALS: ClientCredentialsGrant(),
    GrantType.REFRESH_TOKEN: RefreshTokenGrant(),
    GrantType.DEVICE_CODE: DeviceCodeGrant(),
    GrantType.TOKEN_EXCHANGE: TokenExchangeGrant(),
}

#: Those that the option ``optional_grant_types`` turns on.
OPTIONAL_GRANT_TYPES: Mapping[str, TokenGrant] = {
    GrantType.JWT_BEARER: JwtBearerGrant(),
    GrantType.PASSWORD: PasswordGrant(),
    GrantType.IMPLICIT: ImplicitGrant(),
}


@derived
def served_grant_types() -> Mapping[str, TokenGrant]:
    """Every grant type of this deployment by name; discovery, the admin and the checks derive from this.

    Raises:
        ImproperlyConfigured: an option names one that there is not, or one of the host's as one of ours.
    """
    chosen = options().optional_grant_types
    if unknown := [name for name in chosen if name not in OPTIONAL_GRANT_TYPES]:
        known = ", ".join(OPTIONAL_GRANT_TYPES)
        raise ImproperlyConfigured(f"{SETTING}['optional_grant_types'] names {unknown[0]!r}; there are: {known}.")
    hosts = dict(extension_grants())
    if taken := hosts.keys() & {*GRANT_TYPES, *OPTIONAL_GRANT_TYPES}:
        raise ImproperlyConfigured(f"{SETTING}['extension_grant_types'] names {min(taken)!r}, which is built in.")
    served = {**GRANT_TYPES, **{name: OPTIONAL_GRANT_TYPES[name] for name in chosen}, **hosts}
    return MappingProxyType({str(name): grant_type for name, grant_type in served.items()})


def grant_type_for(request: TokenRequest) -> TokenGrant:
    """The grant type that the request names, where its client may use it.

    Raises:
        UnsupportedGrantType: nobody may.
        UnauthorizedClient: this client may not.
    """
    name, served = request.parameters["grant_type"], served_grant_types()
    if name not in served:
        raise UnsupportedGrantType("The grant type is not supported.", parameter="grant_type")
    if name not in request.client.allowed_grant_types:
        raise UnauthorizedClient("The client may not use this grant type.", parameter="grant_type")
    return served[name]


__all__ = [
    "GRANT_TYPES",
    "OPTIONAL_GRANT_TYPES",
    "Authorization",
    "TokenGrant",
    "TokenRequest",
    "grant_type_for",
    "granted_to_user",
    "requested_resources",
    "served_grant_types",
]
