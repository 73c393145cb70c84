"""Public clients say who they are and prove nothing (RFC 6749 §2.1, §3.2.1)."""

from django.http import HttpRequest

from identityserver.client_authentication.credentials import Credentials
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod


class Public:
    """``none``: the client_id in the body, and nothing else anywhere."""

    def present(self, request: HttpRequest, parameters: Parameters) -> Credentials | None:
        """The client_id, where no secret or Authorization header comes with it."""
        client_id = parameters.get("client_id", "")
        if not client_id or parameters.get("client_secret", "") or "HTTP_AUTHORIZATION" in request.META:
            return None
        return Credentials(method=AuthMethod.NONE, client_id=client_id)

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Nothing to prove; that the client is public is asked by its registered method."""
        return True
