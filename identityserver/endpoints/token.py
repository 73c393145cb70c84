"""The token endpoint (RFC 6749 §3.2)."""

from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

from identityserver.client_authentication import metadata_of
from identityserver.endpoints.base import json_response
from identityserver.endpoints.client import ClientEndpoint
from identityserver.grant_types import TokenRequest, grant_type_for, served_grant_types
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.tokens.issue import issue_tokens, signers_for
from identityserver.web.attempts import user_with_password


class TokenEndpoint(ClientEndpoint):
    """Codes, refresh tokens and credentials in, tokens out."""

    name = "token"
    path = "connect/token"
    cross_origin: ClassVar[bool] = True

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8414 §2."""
        return {
            "token_endpoint": cls.url(),
            **metadata_of("token"),
            "grant_types_supported": list(served_grant_types()),
        }

    def answer(self, request: HttpRequest, client: Client, parameters: Parameters) -> HttpResponse:
        """A token response; the keys are taken out before anything is consumed that could not be given back."""
        token_request = TokenRequest(client, parameters, partial(user_with_password, request))
        grant_type, signers = grant_type_for(token_request), signers_for(client)
        return json_response(issue_tokens(grant_type.authorize(token_request), signers))
