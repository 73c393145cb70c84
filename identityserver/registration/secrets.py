"""The secrets of clients that register themselves (RFC 7591 §3.2.1)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from identityserver.conf import options
from identityserver.models import Client, ClientSecret


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """A secret on its way to its client; it stays out of every repr, and so of exception reports."""

    value: str = field(repr=False)


def next_secret(client: Client) -> NewSecret | None:
    """A new secret where the client needs one: it has none, or the one it has is in the second half of its life.

    The former one stays good until it expires, so the client can change over. One that has become public loses its.
    """
    if not client.has_secrets:
        client.secrets.all().delete()
        return None
    recoverable = client.keeps_secrets_recoverable
    if any(_will_last(secret) and (secret.encrypted or not recoverable) for secret in client.secrets.all()):
        return None
    lifetime = options().registration_secret_lifetime
    expires = timezone.now() + lifetime if lifetime else None
    return NewSecret(value=ClientSecret.generate(client, expires=expires, recoverable=recoverable)[1])


def secret_members(client: Client, new: NewSecret | None) -> dict[str, Any]:
    """``client_secret``, which is only ever shown when it is new, and when the last one expires."""
    expiries = [secret.expires for secret in client.secrets.all()] if client.has_secrets else []
    if not expiries:
        return {}
    shown = {"client_secret": new.value} if new is not None else {}
    return {**shown, "client_secret_expires_at": _last(expiries)}


def _will_last(secret: ClientSecret) -> bool:
    if secret.expires is None:
        return True
    return secret.expires - timezone.now() > options().registration_secret_lifetime / 2


def _last(expiries: list[datetime | None]) -> int:
    """Seconds since 1970; 0 means never."""
    moments = [moment for moment in expiries if moment is not None]
    return int(max(moments).timestamp()) if len(moments) == len(expiries) else 0
