"""Token revocation (RFC 7009)."""

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

from identityserver.client_authentication import metadata_of
from identityserver.endpoints.client import ClientEndpoint
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.tokens.revocation import revoke_token
from identityserver.web.headers import no_store


class RevocationEndpoint(ClientEndpoint):
    """A client gives back a token of its own."""

    name = "revocation"
    path = "connect/revocation"
    cross_origin: ClassVar[bool] = True

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8414 §2."""
        return {"revocation_endpoint": cls.url(), **metadata_of(cls.name)}

    def answer(self, request: HttpRequest, client: Client, parameters: Parameters) -> HttpResponse:
        """Nothing, whether there was such a token or not (§2.2)."""
        revoke_token(client, parameters["token"], parameters.get("token_type_hint", ""))
        response = HttpResponse()
        del response["Content-Type"]
        no_store(response)
        return response
