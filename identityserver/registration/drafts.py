"""From client metadata to a client that could be saved: read, completed and judged (RFC 7591 §2, §2.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identityserver.conf import options
from identityserver.configuration.create import origins
from identityserver.models import Client, InitialAccessToken
from identityserver.registration import rules
from identityserver.registration.metadata import MEMBERS, kept_members, set_members, without_empty
from identityserver.registration.policy import STATEMENT, decided
from identityserver.registration.readers import response_types
from identityserver.registration.scopes import RegisteredScopes, held_scopes, read_scopes
from identityserver.vocabulary import ApplicationType, GrantType, ResponseType

#: The fields that a registration sets; all others are the administrators', and keep what they say.
FIELDS = (
    *(member.field for member in MEMBERS),
    "translations",
    "allow_offline_access",
    "allow_access_tokens_via_browser",
    "require_pkce",
    "allowed_cors_origins",
    "updated",
)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A client whose fields are set and sound, with what is saved beside it."""

    client: Client
    scopes: RegisteredScopes
    kept: dict[str, str]


def read_draft(client: Client, metadata: Mapping[str, Any], *, permit: InitialAccessToken | None) -> Draft:
    """Set ``client``, new or as it was registered, to what the metadata says. Nothing is saved.

    Args:
        permit: the initial access token behind the registration; without one nobody vouches for the client's links.

    Raises:
        ProtocolError: one of RFC 7591 §3.2.2, or whatever the policy refuses with.
    """
    is_new = client._state.adding
    wanted = without_empty(decided(metadata, permit=permit, client=None if is_new else client))
    held = frozenset() if is_new else held_scopes(client)
    former_grant_types = () if is_new else tuple(client.allowed_grant_types)
    former_response_types = () if is_new else response_types("response_types", client.response_types)
    former_uris = tuple(client.redirect_uris)
    set_members(client, wanted)
    _complete(client, wanted, former_uris)
    rules.check_grant_types(client, held=former_grant_types)
    rules.check_response_types(client, held=former_response_types)
    rules.check_redirect_uris(client)
    scopes = read_scopes(client, wanted, held=held)
    kept = {**kept_members(wanted), **_statement(metadata)}
    rules.check_as_any_client(client)
    if permit is None:
        rules.leave_out_foreign_links(client)
    rules.check_sector(client)  # last: it may ask another server
    return Draft(client=client, scopes=scopes, kept=kept)


def _complete(client: Client, wanted: Mapping[str, Any], former_uris: Sequence[str]) -> None:
    """Set what follows from the members."""
    if "response_types" not in wanted and GrantType.AUTHORIZATION_CODE not in client.allowed_grant_types:
        client.response_types = []
    if _is_hybrid(client):  # OpenID Connect has these register it, too, though a code is all that they redeem
        client.allowed_grant_types = [name for name in client.allowed_grant_types if name != GrantType.IMPLICIT]
    client.allow_access_tokens_via_browser |= any("token" in name.split() for name in client.response_types)
    client.allow_offline_access = GrantType.REFRESH_TOKEN in client.allowed_grant_types
    required = options().registration_require_pkce if client._state.adding else client.require_pkce
    client.require_pkce = client.is_public or required
    client.allowed_cors_origins = _cors_origins(client, former_uris)


def _is_hybrid(client: Client) -> bool:
    """Whether it gets more than a code from the authorization endpoint, and never without a code."""
    kinds = [set(name.split()) for name in client.response_types]
    return all(ResponseType.CODE in kind for kind in kinds) and any(len(kind) > 1 for kind in kinds)


def _cors_origins(client: Client, former_uris: Sequence[str]) -> list[str]:
    """Those of a public web application's redirect URIs, since it runs there, and those an administrator added."""
    runs_in_browser = client.is_public and client.application_type == ApplicationType.WEB
    own = origins(client.redirect_uris) if runs_in_browser else []
    added = [origin for origin in client.allowed_cors_origins if origin not in origins(former_uris)]
    return list(dict.fromkeys([*own, *added]))


def _statement(metadata: Mapping[str, Any]) -> dict[str, str]:
    """A software statement that the policy accepted is given back as it was sent (RFC 7591 §3.2.1)."""
    return {STATEMENT: metadata[STATEMENT]} if metadata.get(STATEMENT) else {}
