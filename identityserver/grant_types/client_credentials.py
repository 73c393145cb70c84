"""The client acts for itself (RFC 6749 §4.4). Writes nothing and, from memory, reads nothing."""

from identityserver import scopes
from identityserver.errors import InvalidScope
from identityserver.grant_types.base import TokenRequest
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import GrantType


class ClientCredentialsGrant:
    """``client_credentials``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """An authorization without a user: API scopes only, and none that needs a user's permission."""
        client, parameters = request.client, request.parameters
        asked = parameters.words("scope") or scopes.every_access_scope(client)
        resources = scopes.resolve(client, asked, parameters.repeated.get("resource", ()))
        if resources.identity or resources.offline_access:
            raise InvalidScope("Identity scopes and offline_access need a user.", parameter="scope")
        permitted = resources.permitted_to(None)
        if parameters.words("scope") and permitted.scopes != resources.scopes:
            raise InvalidScope("A scope needs a user's permission.", parameter="scope")
        return Authorization(
            client=client,
            grant_type=GrantType.CLIENT_CREDENTIALS,
            resources=permitted,
            subject=client.client_id,
        )
