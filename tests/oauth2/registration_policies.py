"""The policies that ``docs/how-to/let-clients-register.md`` shows."""

from collections.abc import Mapping
from typing import Any

from identityserver.errors import AccessDenied
from identityserver.models import Client, InitialAccessToken


def only_partners(
    metadata: Mapping[str, Any], *, initial_access_token: InitialAccessToken | None, client: Client | None
) -> Mapping[str, Any]:
    hosts = ("https://shop.example/", "https://blog.example/")
    if not all(str(uri).startswith(hosts) for uri in metadata.get("redirect_uris") or []):
        raise AccessDenied("Ask us for an agreement first.")
    return {**metadata, "contacts": ["partners@id.example.com"]}


def say_native(
    metadata: Mapping[str, Any], *, initial_access_token: InitialAccessToken | None, client: Client | None
) -> Mapping[str, Any]:
    uris = metadata.get("redirect_uris") or []
    if uris and all(str(uri).startswith(("http://localhost", "http://127.0.0.1")) for uri in uris):
        return {"application_type": "native", **metadata}
    return metadata
