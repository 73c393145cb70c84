"""Client authentication: exactly by the registered method (RFC 6749 §2.3, OpenID Connect Core §9).

An unknown client, a wrong secret and a wrong method answer alike and cost alike.
"""

from collections.abc import Mapping
from typing import Protocol

from django.http import HttpRequest

from identityserver.client_authentication import client_secret, public
from identityserver.client_authentication.credentials import Credentials
from identityserver.errors import InvalidClient, InvalidRequest
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod

__all__ = ["METHODS", "Credentials", "authenticated", "read_credentials"]


class Method(Protocol):
    """One way of authenticating: a module of this package."""

    def present(self, request: HttpRequest, parameters: Parameters) -> Credentials | None:
        """What the request presents by this method, or ``None``.

        Raises:
            InvalidRequest: it is presented in a broken form.
        """

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Whether the credentials are the client's; the same work is done without a client."""


#: Every method, by its registered name; discovery derives from this.
METHODS: Mapping[AuthMethod, Method] = {
    AuthMethod.CLIENT_SECRET_BASIC: client_secret.Basic(),
    AuthMethod.CLIENT_SECRET_POST: client_secret.Post(),
    AuthMethod.NONE: public.Public(),
}


def read_credentials(request: HttpRequest, parameters: Parameters) -> Credentials:
    """What the request presents, by one method.

    Raises:
        InvalidRequest: it presents nothing, or credentials of two methods (RFC 6749 §2.3).
    """
    presented = [found for method in METHODS.values() if (found := method.present(request, parameters)) is not None]
    if len(presented) > 1:
        raise InvalidRequest("The request authenticates by more than one method.", parameter="client_id")
    if not presented:
        raise InvalidClient("The request does not say which client it comes from.")
    return presented[0]


def authenticated(client: Client | None, credentials: Credentials) -> Client:
    """The client, proved to be the one that it says.

    Raises:
        InvalidClient: it is unknown, its secret is wrong or its method is another.
    """
    proved = METHODS[credentials.method].proves(client, credentials)
    if client is None or credentials.method not in client.accepted_auth_methods or not proved:
        raise InvalidClient(
            "Client authentication failed.",
            detail=f"{credentials.method} for {'a known' if client else 'an unknown'} client",
        )
    return client
