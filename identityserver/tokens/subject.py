"""The ``sub`` of a user for a client: the same for all, or one a sector (OpenID Connect Core §8)."""

import hmac
from typing import Any

from identityserver import digests
from identityserver.caching import ConfigurationCache
from identityserver.models import Client, ServerSecret, Subject
from identityserver.vocabulary import SubjectType

_salts: ConfigurationCache[str, bytes] = ConfigurationCache(1)


def subject_of(user: Any, client: Client | None) -> str:
    """The subject identifier of ``user`` for ``client``, made on first use; without a client the public one.

    Pairwise ones (§8.1) are the same for all clients of one sector, and nobody else can tell whose they are:
    a MAC of sector and public identifier under a stored secret.
    """
    public = Subject.objects.of(user)
    if client is None or client.subject_type == SubjectType.PUBLIC:
        return public
    message = f"{client.sector}\0{public}".encode()
    return digests.base64url(hmac.digest(_salt(), message, "sha256"))


def _salt() -> bytes:
    purpose = ServerSecret.Purpose.PAIRWISE_SUBJECTS
    return _salts.get(purpose) or _salts.load(purpose, lambda: ServerSecret.objects.value_of(purpose))
