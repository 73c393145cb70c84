"""The client acts for itself (RFC 6749 §4.4). With a JWT it writes nothing and, from memory, reads nothing."""

from identityserver import scopes
from identityserver.errors import InvalidScope
from identityserver.grant_types.base import TokenRequest
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.reference_token import with_reference_token
from identityserver.vocabulary import AccessTokenType, GrantType


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
        authorization = Authorization(
            client=client,
            grant_type=GrantType.CLIENT_CREDENTIALS,
            resources=permitted,
            subject=client.client_id,
        )
        has_references = client.access_token_type == AccessTokenType.REFERENCE
        return with_reference_token(authorization) if has_references else authorization
