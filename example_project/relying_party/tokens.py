"""Looking into tokens to show what is in them. Authlib verifies the ID token; the API, the access token."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

MEANINGS = {
    "iss": "who issued it",
    "sub": "the person, as this provider names them",
    "aud": "who it is meant for",
    "exp": "valid until",
    "iat": "issued at",
    "auth_time": "when the person signed in",
    "nonce": "ties it to our request",
    "at_hash": "ties it to the access token",
    "sid": "the session at the provider",
    "acr": "how strong the sign-in was",
    "amr": "how the person signed in",
    "azp": "the client it was issued to",
    "jti": "its own identifier",
    "client_id": "the application that got it",
    "scope": "what it allows",
}
TIMES = {"exp", "iat", "nbf", "auth_time", "updated_at"}


def decoded(token: str) -> dict[str, Any] | None:
    """Header and claims of a JWT; ``None`` for anything else. Nothing is verified."""
    try:
        header, claims, _signature = [*token.split("."), "", ""][:3]
        return {"header": from_base64url(header), "claims": rows(from_base64url(claims))}
    except (ValueError, binascii.Error):
        return None


def from_base64url(part: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(value, dict):
        raise ValueError("Not an object.")  # noqa: TRY004  # malformed input, as any other
    return value


def rows(claims: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each claim."""
    return [(name, shown(name, value), MEANINGS.get(name, "")) for name, value in claims.items()]


def shown(name: str, value: Any) -> str:
    if name in TIMES and isinstance(value, int):
        return f"{value} ({moment(value)})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def has_expired(token: dict[str, Any], *, within: int = 60) -> bool:
    """Whether the access token ends within so many seconds."""
    return bool(token.get("expires_at", 0) < timezone.now().timestamp() + within)
