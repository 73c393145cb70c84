"""Delivery to administrators: Django's own admin, one module a chapter.

Autodiscovered by ``django.contrib.admin``. What is a credential, or the digest of one, is on no page.
"""

from identityserver.admin import (
    claims,
    clients,
    consents,
    devices,
    events,
    grants,
    issuers,
    keys,
    registration,
    resources,
    sessions,
    subjects,
)

__all__ = [
    "claims",
    "clients",
    "consents",
    "devices",
    "events",
    "grants",
    "issuers",
    "keys",
    "registration",
    "resources",
    "sessions",
    "subjects",
]
