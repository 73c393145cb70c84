"""The ``scope`` member: what a client may ask for (RFC 7591 §2)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from identityserver.conf import options
from identityserver.errors import InvalidClientMetadata
from identityserver.models import ApiScope, Client, IdentityResource
from identityserver.models.resources import STANDARD_IDENTITY_RESOURCES
from identityserver.registration.readers import text
from identityserver.vocabulary import GrantType, Scope


@dataclass(frozen=True, kw_only=True)
class RegisteredScopes:
    """The rows behind the names; ``offline_access`` follows from the grant types."""

    identity_resources: tuple[IdentityResource, ...] = ()
    api_scopes: tuple[ApiScope, ...] = ()

    def set_on(self, client: Client) -> None:
        """Let the client, which is saved, ask for these and no others."""
        client.identity_resources.set(self.identity_resources)
        client.api_scopes.set(self.api_scopes)


def read_scopes(client: Client, metadata: Mapping[str, Any], *, held: Collection[str]) -> RegisteredScopes:
    """What ``scope`` names, or without it the standard identity resources.

    Args:
        client: with its grant types, on which it depends what is of use.
        held: names that it has already, which an administrator may have added.

    Raises:
        InvalidClientMetadata: a scope does not exist, may not be registered, or is of no use to the client.
    """
    names = frozenset(text("scope", metadata.get("scope", "")).split())
    identity = frozenset(STANDARD_IDENTITY_RESOURCES)
    if not names:
        return RegisteredScopes(identity_resources=_rows(IdentityResource, identity if _has_user(client) else ()))
    wanted = names & {*identity, *options().registration_scopes, *held}
    found = RegisteredScopes(
        identity_resources=_rows(IdentityResource, wanted, held), api_scopes=_rows(ApiScope, wanted, held)
    )
    known = {row.name for row in (*found.identity_resources, *found.api_scopes)}
    if client.allow_offline_access:
        known.add(Scope.OFFLINE_ACCESS)
    if refused := names - known:
        raise _refusal(min(refused))
    if found.identity_resources and not _has_user(client):
        raise InvalidClientMetadata("scope: nobody signs in to this client.", parameter="scope")
    return found


def scope_of(client: Client) -> str:
    """Every scope that the client may ask for."""
    names = held_scopes(client)
    return " ".join(sorted({*names, Scope.OFFLINE_ACCESS.value} if client.allow_offline_access else names))


def held_scopes(client: Client) -> frozenset[str]:
    """The names of its identity resources and API scopes, which are read anew."""
    rows = (client.identity_resources, client.api_scopes)
    return frozenset(name for related in rows for name in related.values_list("name", flat=True))


def _rows(model: type[Any], names: Collection[str], held: Collection[str] = ()) -> tuple[Any, ...]:
    """Those that are enabled; one that the client has stays its own while it is disabled."""
    return tuple(model.objects.filter(Q(enabled=True) | Q(name__in=held), name__in=names)) if names else ()


def _has_user(client: Client) -> bool:
    return bool(set(client.allowed_grant_types) - {GrantType.CLIENT_CREDENTIALS})


def _refusal(name: str) -> InvalidClientMetadata:
    if name == Scope.OFFLINE_ACCESS:
        problem = "offline_access needs the grant type refresh_token."
    else:
        problem = f"{name[:100]} is unknown, or may not be registered."
    return InvalidClientMetadata(f"scope: {problem}", parameter="scope")
