"""What is said about a token, and to whom (RFC 7662 §2.2).

The user name is left out: who needs it asks for the claim ``preferred_username``.
"""

from collections.abc import Mapping
from typing import Any

from identityserver.apis import Api
from identityserver.clients import find_client
from identityserver.conf import options
from identityserver.errors import InvalidToken
from identityserver.models import Client
from identityserver.tokens.claims import PROTOCOL_CLAIMS
from identityserver.tokens.live import LiveToken, live_refresh_token, live_token

#: All that anybody learns of a token that is not good, or is none of their business (§2.2, §4).
INACTIVE: Mapping[str, Any] = {"active": False}


def told_to_client(client: Client, value: str, hint: str) -> Mapping[str, Any]:
    """What ``client`` is told of a token of its own: all that it says.

    Args:
        hint: the ``token_type_hint``, by which the likelier kind is looked for first (§2.1).
    """
    kinds = (_refresh_token, _access_token) if hint == "refresh_token" else (_access_token, _refresh_token)
    for find in kinds:
        found = find(client, value)
        if found is not None:
            return found
    return INACTIVE


def told_to_api(api: Api, value: str) -> Mapping[str, Any]:
    """What ``api`` is told of an access token that is for it: nothing that concerns only other APIs."""
    try:
        live = live_token(value, audiences=(api.name,))
    except InvalidToken:
        return INACTIVE
    scopes = api.own_scopes(str(live.token.claims.get("scope", "")).split())
    wanted = {*api.row.user_claims, *(name for scope in scopes.values() for name in scope.user_claims)}
    claims = {**_concerning(live, wanted), "aud": api.name, "scope": " ".join(scopes)}
    return _members(claims)


def _access_token(client: Client, value: str) -> Mapping[str, Any] | None:
    try:
        live = live_token(value)
    except InvalidToken:
        return None
    return _members(live.token.claims) if live.client_pk == client.pk else None


def _refresh_token(client: Client, value: str) -> Mapping[str, Any] | None:
    """It has no ``token_type``, which says how an access token is used (§2.2)."""
    try:
        token = live_refresh_token(value, client)
    except InvalidToken:
        return None
    return {
        "active": True,
        "iss": options().issuer,
        "client_id": client.client_id,
        "sub": token.grant.subject,
        "scope": " ".join(token.grant.scopes),
        "iat": int(token.created.timestamp()),
        "exp": int(min(token.expires, token.grant.expires).timestamp()),
    }


def _members(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims as members; no claim about a user can stand for what the server itself says."""
    bound = isinstance(claims.get("cnf"), dict) and "jkt" in claims["cnf"]
    return {**claims, "active": True, "token_type": "DPoP" if bound else "Bearer"}


def _concerning(live: LiveToken, wanted: set[str]) -> dict[str, Any]:
    """What the server itself says, what the API asks for about the user, and the client's own claims."""
    claims = live.token.claims
    known = PROTOCOL_CLAIMS | wanted
    if claims.keys() - known:
        known = known | _claims_of_client(live.token.client_id)
    return {name: value for name, value in claims.items() if name in known}


def _claims_of_client(client_id: str) -> frozenset[str]:
    client = find_client(client_id)
    return frozenset(client.client_claims_prefix + name for name in client.claims) if client else frozenset()
