"""Finding clients: fully loaded rows, cached in process and shared between requests."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db import connections, router, transaction

from identityserver import signals
from identityserver.conf import options
from identityserver.errors import ProtocolError
from identityserver.models import Client
from identityserver.vocabulary import AccessTokenType, AuthMethod, SubjectType

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

#: Clients kept in memory by one worker.
_CAPACITY = 1000


class _Entry(NamedTuple):
    value: Any
    until: float


class ConfigurationCache(Generic[K, V]):
    """Values by key for ``configuration_cache_seconds``, least recently used first out.

    Nothing that was read inside an open transaction is kept, since it may be rolled back.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[K, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._generation = 0

    def get(self, key: K) -> V | None:
        """The value, or ``None`` where it is unknown or too old."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.until <= time.monotonic():
                return None
            self._entries.move_to_end(key)
            value: V = entry.value
            return value

    def load(self, key: K, read: Callable[[], T]) -> T:
        """Read the value anew and keep it; absence is never kept."""
        generation = self._generation
        value = read()
        seconds = options().configuration_cache_seconds
        if value is None or not seconds or in_transaction():
            return value
        with self._lock:
            if generation == self._generation:  # else something changed while we read
                self._entries[key] = _Entry(value, time.monotonic() + seconds)
                self._entries.move_to_end(key)
                while len(self._entries) > self._capacity:
                    self._entries.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget everything, including what is being read right now."""
        with self._lock:
            self._generation += 1
            self._entries.clear()


_clients: ConfigurationCache[str, Client] = ConfigurationCache(_CAPACITY)
_origins: ConfigurationCache[str, frozenset[str]] = ConfigurationCache(1)
_on_forget: list[Callable[[], None]] = [_clients.clear, _origins.clear]


def find_client(client_id: str) -> Client | None:
    """The enabled, usable client, frozen; ``None`` for any other."""
    return _clients.get(client_id) or _clients.load(client_id, lambda: _usable(client_id))


def judge_client(client_id: str, judge: Callable[[Client | None], T]) -> T:
    """What ``judge`` says of the client; before a refusal is final, the registration is read anew.

    So a new secret, scope or redirect URI works at once on every worker.
    """
    cached = _clients.get(client_id)
    if cached is None:
        return judge(find_client(client_id))
    try:
        return judge(cached)
    except ProtocolError:
        fresh = _clients.load(client_id, lambda: _usable(client_id))
        if fresh is not None and _fingerprint(fresh) == _fingerprint(cached):
            raise
        if fresh is None:
            forget()
        return judge(fresh)


def is_registered_origin(origin: str) -> bool:
    """Whether a client registered ``origin`` for cross-origin requests."""
    known = _origins.get("all")
    if known is not None and origin in known:
        return True
    return origin in (_origins.load("all", _read_origins) or ())


def forget() -> None:
    """Drop what is cached, here and wherever :func:`also_forget` asked."""
    for clear in _on_forget:
        clear()


def also_forget(clear: Callable[[], None]) -> None:
    """Have ``clear`` called whenever the configuration changes."""
    _on_forget.append(clear)


def forget_on_commit(**_: Any) -> None:
    """A receiver: configuration changed, and counts once it is committed."""
    transaction.on_commit(forget, using=router.db_for_write(Client))


def in_transaction() -> bool:
    """Whether a transaction is open on the database that holds our tables."""
    return connections[router.db_for_read(Client)].in_atomic_block


def unusable_because(client: Client) -> str:
    """Why a registration cannot be honoured, for staff; ``""`` where it can.

    A client that asks for a protection which this server does not give is refused, not served without it.
    """
    demands = {
        "token_endpoint_auth_method": client.token_endpoint_auth_method not in _AUTH_METHODS,
        "require_pushed_authorization_requests": client.require_pushed_authorization_requests,
        "require_signed_request_object": client.require_signed_request_object,
        "require_dpop": client.require_dpop,
        "tls_client_certificate_bound_access_tokens": client.tls_client_certificate_bound_access_tokens,
        "access_token_type": client.access_token_type != AccessTokenType.JWT,
        "subject_type": client.subject_type != SubjectType.PUBLIC,
        "profile": bool(client.profile),
        "enable_local_login": not client.enable_local_login,
        "identity_provider_restrictions": bool(client.identity_provider_restrictions),
        "id_token_encrypted_response_alg": bool(client.id_token_encrypted_response_alg),
        "userinfo_signed_response_alg": bool(client.userinfo_signed_response_alg),
        "userinfo_encrypted_response_alg": bool(client.userinfo_encrypted_response_alg),
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


_AUTH_METHODS = {AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST, AuthMethod.NONE}


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
