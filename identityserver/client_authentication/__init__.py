"""Client authentication: exactly by the registered method (RFC 6749 §2.3, OpenID Connect Core §9).

An unknown client, a wrong secret and a wrong method answer alike and cost alike.
"""

from collections.abc import Mapping
from typing import Protocol

from django.http import HttpRequest

from identityserver.client_authentication import client_assertion, client_secret, public
from identityserver.client_authentication.credentials import Credentials
from identityserver.errors import InvalidClient, InvalidRequest
from identityserver.models import Client
from identityserver.models.client import ASSERTION_ALGORITHMS
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod

__all__ = ["METHODS", "Credentials", "authenticated", "metadata_of", "read_credentials"]


class Method(Protocol):
    """One way of authenticating."""

    def refusal(self, client: Client | None, credentials: Credentials) -> str:
        """Why the credentials do not prove the client, for staff; ``""`` where they do.

        Without a client, or for one that is registered for another method, the same work is done in vain.
        """


#: Every method, by its registered name; discovery derives from this.
METHODS: Mapping[AuthMethod, Method] = {
    AuthMethod.CLIENT_SECRET_BASIC: client_secret.SentSecret(),
    AuthMethod.CLIENT_SECRET_POST: client_secret.SentSecret(),
    AuthMethod.CLIENT_SECRET_JWT: client_assertion.SharedKey(),
    AuthMethod.PRIVATE_KEY_JWT: client_assertion.OwnKey(),
    AuthMethod.NONE: public.Public(),
}


def read_credentials(request: HttpRequest, parameters: Parameters) -> Credentials:
    """What the request presents, by one method.

    Raises:
        InvalidRequest: it presents credentials of two methods (RFC 6749 §2.3), or incomplete ones.
        InvalidClient: it presents nothing, or nothing that can be read.
    """
    ways = (
        (client_secret.present_in_header, request.META.get("HTTP_AUTHORIZATION", "")[:6].strip().lower() == "basic"),
        (client_secret.present_in_body, "client_secret" in parameters),
        (client_assertion.present, not client_assertion.PARAMETERS.isdisjoint(parameters)),
    )
    taken = [present for present, is_taken in ways if is_taken]
    if len(taken) > 1:
        raise InvalidRequest("The request authenticates by more than one method.", parameter="client_id")
    present = taken[0] if taken else public.present
    return present(request, parameters)


def authenticated(client: Client | None, credentials: Credentials) -> Client:
    """The client, proved to be the one that it says.

    Raises:
        InvalidClient: it is unknown, its proof is wrong or its method is another.
        TemporarilyUnavailable, ClientKeysUnavailable: nobody can say, since its keys cannot be had.
    """
    suited = client if client is not None and credentials.method in client.accepted_auth_methods else None
    refusal = METHODS[credentials.method].refusal(suited, credentials)
    if suited is None or refusal:
        known = "a known client" if client else "an unknown client"
        raise InvalidClient(
            "Client authentication failed.", detail=f"{credentials.method} for {known}. {refusal}".strip()
        )
    return suited


def metadata_of(endpoint: str) -> dict[str, list[str]]:
    """How clients authenticate at an endpoint, such as ``token`` or ``revocation`` (RFC 8414 §2)."""
    algorithms = [name.value for names in ASSERTION_ALGORITHMS.values() for name in names]
    return {
        f"{endpoint}_endpoint_auth_methods_supported": [method.value for method in METHODS],
        f"{endpoint}_endpoint_auth_signing_alg_values_supported": algorithms,
    }
