"""Tokens that are presented for an exchange: ours, alive, and in the right hands (RFC 8693 §2.1)."""

from identityserver.errors import InvalidRequest, InvalidToken
from identityserver.grant_types.base import TokenRequest
from identityserver.models import Client
from identityserver.tokens.live import LiveToken, live_token
from identityserver.vocabulary import TokenTypeIdentifier

#: What an access token may be called: a JWT is one, too, where it is an access token (§3). An ID token is none.
_ACCEPTED = frozenset({TokenTypeIdentifier.ACCESS_TOKEN, TokenTypeIdentifier.JWT})


def presented_token(request: TokenRequest, name: str) -> LiveToken:
    """The token in the parameter ``name``, whose type is in the parameter ``<name>_type``.

    It was issued to the client itself, or the client is the software of an API in its audience: a token that
    merely came into the client's hands is good for nothing.

    Raises:
        InvalidRequest: it is anything else, or bound to a key that nobody has proved to hold (§2.2.2).
    """
    value, kind = request.parameters[name], request.parameters[f"{name}_type"]
    if kind not in _ACCEPTED or (kind == TokenTypeIdentifier.JWT and "." not in value):
        raise InvalidRequest("Only access tokens are exchanged.", parameter=f"{name}_type")
    try:
        found = live_token(value)
    except InvalidToken as error:
        detail = f"{error.description} {error.detail}".strip()
        raise InvalidRequest(f"The {name} is not good here.", detail=detail, parameter=name) from error
    if found.token.confirmation is not None:
        raise InvalidRequest(f"The {name} is bound to a key, and nothing proves who holds it.", parameter=name)
    if not is_own(found, request.client) and not _is_called_with(found, request.client):
        raise InvalidRequest(f"The {name} is neither this client's nor for an API of its.", parameter=name)
    return found


def is_own(found: LiveToken, client: Client) -> bool:
    """Whether it was issued to the client."""
    return found.client_pk == client.pk


def _is_called_with(found: LiveToken, client: Client) -> bool:
    """Whether it is for an API that the client is the software of."""
    return not set(client.token_exchange_sources).isdisjoint(found.token.audience)
