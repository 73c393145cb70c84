"""Public clients say who they are and prove nothing (RFC 6749 §2.1, §3.2.1)."""

from django.http import HttpRequest

from identityserver.client_authentication.credentials import Credentials
from identityserver.errors import InvalidClient
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod


def present(request: HttpRequest, parameters: Parameters) -> Credentials:
    """The client_id in the body, where no Authorization header of another kind comes with it.

    Raises:
        InvalidClient: the request does not say which client it comes from.
    """
    if "client_id" not in parameters or "HTTP_AUTHORIZATION" in request.META:
        raise InvalidClient("The request does not say which client it comes from.")
    return Credentials(method=AuthMethod.NONE, client_id=parameters["client_id"])


class Public:
    """``none``: the client_id, and nothing else anywhere."""

    def refusal(self, client: Client | None, credentials: Credentials) -> str:
        """Nothing to prove; that the client is public is asked by its registered method."""
        return ""
