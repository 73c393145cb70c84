"""Encrypting anew what is kept encrypted, under the key that is the first one now.

Batch by batch, and row by row on the condition that the old envelope is still there: it may be broken off
and started again, and run on many nodes while all of them work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from identityserver import encryption
from identityserver.models import ApiSecret, ClientSecret, ServerSecret, SigningKey

#: Rows that are read at once.
BATCH = 100


@dataclass(frozen=True)
class Sealed:
    """A column with envelopes, and the associated data of each."""

    model: type[models.Model]
    column: str
    context: Callable[[Any], str]


#: Every column that holds envelopes.
SEALED = (
    Sealed(SigningKey, "private_jwk", lambda key: SigningKey.context(key.kid)),
    Sealed(ServerSecret, "encrypted", lambda secret: ServerSecret.context(secret.purpose)),
    Sealed(ClientSecret, "encrypted", lambda secret: secret.context(secret.digest)),
    Sealed(ApiSecret, "encrypted", lambda secret: secret.context(secret.digest)),
)


@dataclass
class Rekeyed:
    """What came of one column: how many were encrypted anew or were current, and which cannot be decrypted."""

    name: str
    changed: int = 0
    current: int = 0
    undecryptable: list[str] = field(default_factory=list)


def rekey() -> Iterator[Rekeyed]:
    """Encrypt every envelope anew that is not current, and say column by column what came of it."""
    for sealed in SEALED:
        done = Rekeyed(str(sealed.model._meta.verbose_name_plural))
        for row in _rows(sealed):
            _rekey(sealed, row, done)
        yield done


def _rekey(sealed: Sealed, row: models.Model, done: Rekeyed) -> None:
    envelope: str = getattr(row, sealed.column)
    if encryption.is_current(envelope):
        done.current += 1
        return
    context = sealed.context(row)
    try:
        anew = encryption.encrypt(encryption.decrypt(envelope, context), context)
    except encryption.Undecryptable:
        done.undecryptable.append(f"{row} ({row.pk})")
        return
    same = sealed.model._default_manager.filter(**{"pk": row.pk, sealed.column: envelope})
    done.changed += same.update(**{sealed.column: anew})


def _rows(sealed: Sealed) -> Iterator[models.Model]:
    """The rows with an envelope, in batches by primary key."""
    rows = sealed.model._default_manager.exclude(**{sealed.column: ""}).order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])
