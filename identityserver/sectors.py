"""Sectors: clients of one sector know a user by the same pairwise ``sub`` (OpenID Connect Core §8.1).

A sector of several hosts is confirmed by the document that its ``sector_identifier_uri`` names, which lists the
redirect URIs of all its clients (OpenID Connect Dynamic Client Registration §5).
"""

import json
from collections.abc import Collection, Iterable

from identityserver import uris
from identityserver.outbound import OutboundError, fetch_document


class SectorUnconfirmed(Exception):
    """The document does not confirm the redirect URIs. The text is for the client, ``detail`` for staff."""

    def __init__(self, problem: str, *, detail: str = "") -> None:
        super().__init__(problem)
        self.detail = detail


def confirm_sector(sector_identifier_uri: str, redirect_uris: Collection[str]) -> None:
    """Check that the document lists every redirect URI, letter by letter.

    Raises:
        SectorUnconfirmed: it does not, is no JSON array of texts, or cannot be fetched.
    """
    missing = set(redirect_uris) - _listed(sector_identifier_uri)
    if missing and missing - _listed(sector_identifier_uri, renew=True):  # what is in memory may be older than it
        raise SectorUnconfirmed("The document does not list every redirect URI.")


def hosts(addresses: Iterable[str]) -> frozenset[str]:
    """The hosts of https and http addresses, in lower case; other URIs have none that means anything."""
    parsed = (uris.parse(address) for address in addresses)
    return frozenset(
        parts.hostname for parts in parsed if parts is not None and parts.scheme in {"http", "https"} and parts.hostname
    )


def _listed(address: str, *, renew: bool = False) -> frozenset[str]:
    try:
        listed = json.loads(fetch_document(address, renew=renew).body.decode())
    except OutboundError as error:
        raise SectorUnconfirmed("The document cannot be fetched.", detail=str(error)) from error
    except (ValueError, RecursionError) as error:
        raise SectorUnconfirmed("The document is not JSON.") from error
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise SectorUnconfirmed("The document is not a JSON array of texts.")
    return frozenset(listed)
