"""Finding clients: fully loaded rows, cached in process and shared between requests."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ValidationError

from identityserver import signals
from identityserver.caching import ConfigurationCache, forget
from identityserver.client_authentication import METHODS
from identityserver.errors import InvalidClient, ProtocolError
from identityserver.models import Client

T = TypeVar("T")

#: Clients kept in memory by one worker.
_CAPACITY = 1000


_clients: ConfigurationCache[str, Client] = ConfigurationCache(_CAPACITY)
_origins: ConfigurationCache[str, frozenset[str]] = ConfigurationCache(1)
_origins_read = [float("-inf")]


def find_client(client_id: str) -> Client | None:
    """The enabled, usable client, frozen; ``None`` for any other."""
    return _clients.get(client_id) or _clients.load(client_id, lambda: _usable(client_id))


def judge_client(client_id: str, judge: Callable[[Client | None], T]) -> T:
    """What ``judge`` says of the client; before a refusal is final, the registration is read anew.

    So a new secret, scope or redirect URI works at once on every worker. A client that fails to authenticate
    costs one query, the same as one that does not exist.
    """
    cached = _clients.get(client_id)
    if cached is None:
        return judge(find_client(client_id) if _ways_in(client_id) else None)
    try:
        return judge(cached)
    except ProtocolError as refusal:
        if refusal.is_ordinary or (isinstance(refusal, InvalidClient) and _ways_in(client_id) == _ways_in_of(cached)):
            raise
        fresh = _clients.load(client_id, lambda: _usable(client_id))
        if fresh is not None and _fingerprint(fresh) == _fingerprint(cached):
            raise
        if fresh is None:
            forget()
        return judge(fresh)


def is_registered_origin(origin: str) -> bool:
    """Whether a client registered ``origin`` for cross-origin requests; a new one counts within a second."""
    known = _origins.get("all")
    if known is None or (origin not in known and time.monotonic() - _origins_read[0] >= 1):
        _origins_read[0] = time.monotonic()
        known = _origins.load("all", _read_origins)
    return origin in known


def unusable_because(client: Client) -> str:
    """Why a registration cannot be honoured, for staff; ``""`` where it can.

    A client that asks for a protection which this server does not give is refused, not served without it.
    """
    demands = {
        "token_endpoint_auth_method": client.token_endpoint_auth_method not in METHODS,
        "require_pushed_authorization_requests": client.require_pushed_authorization_requests,
        "require_signed_request_object": client.require_signed_request_object,
        "require_dpop": client.require_dpop,
        "tls_client_certificate_bound_access_tokens": client.tls_client_certificate_bound_access_tokens,
        "profile": bool(client.profile),
        "enable_local_login": not client.enable_local_login,
        "identity_provider_restrictions": bool(client.identity_provider_restrictions),
        "id_token_encrypted_response_alg": bool(client.id_token_encrypted_response_alg),
        "userinfo_encrypted_response_alg": bool(client.userinfo_encrypted_response_alg),
        "introspection_encrypted_response_alg": bool(client.introspection_encrypted_response_alg),
        "authorization_signed_response_alg": bool(client.authorization_signed_response_alg),
        "authorization_encrypted_response_alg": bool(client.authorization_encrypted_response_alg),
    }
    if asked := [name for name, demanded in demands.items() if demanded]:
        return f"This server does not support what the registration asks for: {', '.join(asked)}."
    try:
        client.clean_fields()
        client.clean()
    except ValidationError as error:
        return " ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
    return ""


def _usable(client_id: str) -> Client | None:
    client = _read(client_id)
    if client is None:
        return None
    if reason := unusable_because(client):
        signals.client_unusable.send(sender=Client, client_id=client_id, reason=reason)
        return None
    client.freeze()
    return client


def _read(client_id: str) -> Client | None:
    return (
        Client.objects.filter(client_id=client_id, enabled=True)
        .prefetch_related(
            "secrets",
            "allowed_groups",
            "identity_resources__claim_mappings",
            "api_scopes__claim_mappings",
            "api_scopes__api_resources",
        )
        .first()
    )


#: All that decides whether a client authenticates, besides its being enabled.
_METHOD_FIELDS = (
    "token_endpoint_auth_method",
    "accept_either_secret_method",
    "source",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
)
_SECRET_FIELDS = ("kind", "digest", "expires")


def _ways_in(client_id: str) -> list[tuple[Any, ...]]:
    """How the enabled client may authenticate now, in one query; nothing for one that does not exist."""
    rows = Client.objects.filter(client_id=client_id, enabled=True).order_by("secrets__pk")
    return list(rows.values_list(*_METHOD_FIELDS, *(f"secrets__{name}" for name in _SECRET_FIELDS)))


def _ways_in_of(client: Client) -> list[tuple[Any, ...]]:
    """The same of a client that is in memory."""
    method = [getattr(client, name) for name in _METHOD_FIELDS]
    rows = sorted(client.secrets_in_use, key=lambda secret: secret.pk)
    secrets = [[getattr(secret, name) for name in _SECRET_FIELDS] for secret in rows]
    return [(*method, *secret) for secret in secrets or [[None] * len(_SECRET_FIELDS)]]


def _fingerprint(client: Client) -> Any:
    """Every value that a decision may rest on."""
    related = [*client.secrets_in_use, *client.identity_resources.all(), *client.api_scopes.all()]
    related += [api for scope in client.api_scopes.all() for api in scope.api_resources.all()]
    rows = [client, *related]
    return [
        [getattr(row, field.attname) for field in row._meta.concrete_fields if field.name != "last_used"]
        for row in rows
    ], client.group_ids


def _read_origins() -> frozenset[str]:
    lists = (
        Client.objects.filter(enabled=True)
        .exclude(allowed_cors_origins=[])
        .values_list("allowed_cors_origins", flat=True)
    )
    return frozenset(origin for origins in lists for origin in origins)
