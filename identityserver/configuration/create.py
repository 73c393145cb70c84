"""Registering a client from a preset."""

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.utils.translation import gettext as _

from identityserver import uris
from identityserver.configuration.presets import Preset
from identityserver.models import ApiScope, Client, ClientSecret, IdentityResource
from identityserver.vocabulary import AuthMethod, GrantType, Scope


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewClient:
    """What a person wants registered. Without ``scopes`` or ``auth_method`` it gets those of the preset."""

    preset: Preset
    name: str
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    scopes: Sequence[str] = ()
    client_id: str = ""
    require_consent: bool = False
    auth_method: str = ""
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreatedClient:
    """The stored client, and its secret, which is shown once; ``""`` for one that has none."""

    client: Client
    secret: str


def create_client(wanted: NewClient) -> CreatedClient:
    """Register a client, with a secret where its kind has one.

    Raises:
        ValidationError: by field, with what to change; nothing is stored then.
    """
    scopes = RequestedScopes.find(wanted.scopes or wanted.preset.scopes)
    if wanted.preset.calls_from_browser and wanted.auth_method not in {"", AuthMethod.NONE}:
        refuse_secret_in_browser()
    if not wanted.preset.sends_people:
        refuse_places(wanted)
    if not wanted.preset.has_user:
        refuse_what_needs_a_user(scopes)
    client = unsaved_client(wanted, offline_access=scopes.offline_access)
    client.full_clean()
    with transaction.atomic(using=router.db_for_write(Client)):
        client.save()
        client.identity_resources.set(scopes.identity_resources)
        client.api_scopes.set(scopes.api_scopes)
        return CreatedClient(client=client, secret=_new_secret(client) if client.has_secrets else "")


def _new_secret(client: Client) -> str:
    return ClientSecret.generate(client, recoverable=client.keeps_secrets_recoverable)[1]


def unsaved_client(wanted: NewClient, *, offline_access: bool) -> Client:
    """The row of a new client, neither validated nor saved."""
    preset = wanted.preset
    grant_types = [preset.grant_type, *([GrantType.REFRESH_TOKEN] if offline_access else [])]
    client = Client(
        name=wanted.name,
        application_type=preset.application_type,
        token_endpoint_auth_method=wanted.auth_method or preset.token_endpoint_auth_method,
        jwks=wanted.jwks,
        jwks_uri=wanted.jwks_uri,
        allowed_grant_types=grant_types,
        redirect_uris=list(wanted.redirect_uris),
        post_logout_redirect_uris=list(wanted.post_logout_redirect_uris),
        allowed_cors_origins=origins(wanted.redirect_uris) if preset.calls_from_browser else [],
        allow_offline_access=offline_access,
        require_consent=wanted.require_consent,
    )
    if not preset.sends_people:
        client.response_types = []
    if wanted.client_id:
        client.client_id = wanted.client_id
    return client


def refuse_secret_in_browser() -> None:
    """Whoever opens the application could read it."""
    raise ValidationError(
        {"token_endpoint_auth_method": _("A browser keeps no secret and no key, so it proves nothing.")}
    )


def refuse_places(wanted: NewClient) -> None:
    """A machine or a device sends no browser here, so nobody is sent back to it."""
    if wanted.redirect_uris or wanted.post_logout_redirect_uris:
        raise ValidationError(
            {"redirect_uris": _("Nobody is sent back to this kind of client, so it has no redirect URI.")}
        )


def refuse_what_needs_a_user(scopes: "RequestedScopes") -> None:
    """Nobody signs in to a machine, so it has nobody's data to ask for."""
    if scopes.identity_resources or scopes.offline_access:
        raise ValidationError(
            {"scope": _("Nobody signs in to this kind of client, so it may ask for API scopes only.")}
        )


def origins(redirect_uris: Sequence[str]) -> list[str]:
    """The web origins that the redirect URIs belong to, each once, in order."""
    parsed = [parts for uri in redirect_uris if (parts := uris.parse(uri)) and parts.scheme in {"http", "https"}]
    return list(dict.fromkeys(f"{parts.scheme}://{parts.netloc}".lower() for parts in parsed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestedScopes:
    """What the names of scopes stand for."""

    identity_resources: list[IdentityResource]
    api_scopes: list[ApiScope]
    offline_access: bool

    @classmethod
    def find(cls, names: Collection[str]) -> "RequestedScopes":
        """Look the names up.

        Raises:
            ValidationError: a name that stands for nothing, with the nearest that does.
        """
        found = cls(
            identity_resources=list(IdentityResource.objects.filter(name__in=names)),
            api_scopes=list(ApiScope.objects.filter(name__in=names)),
            offline_access=Scope.OFFLINE_ACCESS in names,
        )
        known = {row.name for row in (*found.identity_resources, *found.api_scopes)} | {Scope.OFFLINE_ACCESS}
        if unknown := [name for name in names if name not in known]:
            raise ValidationError({"scope": [unknown_scope(name) for name in unknown]})
        return found


def unknown_scope(name: str) -> str:
    """A sentence about a scope that does not exist."""
    existing = sorted(
        {
            *IdentityResource.objects.values_list("name", flat=True),
            *ApiScope.objects.values_list("name", flat=True),
        }
    )
    near = difflib.get_close_matches(name, existing, n=1)
    hint = _("Did you mean %s?") % near[0] if near else _("There are: %s.") % ", ".join(existing)
    return _("No identity resource or API scope is named %s.") % name + f" {hint}"
