"""The ``sub`` of a user for a client (OpenID Connect Core §8)."""

from typing import Any

from identityserver.models import Subject


def subject_of(user: Any) -> str:
    """The public subject identifier of ``user``, made on first use."""
    return Subject.objects.of(user)
