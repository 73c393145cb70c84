"""Deleting what has expired and can no longer be needed, in small steps and on any number of nodes at once.

A step reads at most a batch of rows by an index, and goes on where the last one ended: neither rows that stay nor
those deleted before are read again. Rows that another transaction holds are passed over, so that nobody waits and
nothing deadlocks. It may be broken off anywhere and run again.

A grant stays until the last token that it gave has expired, with everything that was redeemed for it: until then
UserInfo and introspection ask for it, and a replay ends it (RFC 6749 §4.1.2, RFC 9700 §4.14.2).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, models, router, transaction
from django.db.models import Exists, Max, OuterRef
from django.utils import timezone

from identityserver import signals
from identityserver.conf import options
from identityserver.models import (
    AuthorizationRequest,
    Consent,
    DeviceRequest,
    Event,
    Grant,
    InitialAccessToken,
    LogoutRequest,
    ReferenceToken,
    SigningKey,
    UsedIdentifier,
    UserSession,
)
from identityserver.models.keys import MARGIN
from identityserver.tokens import rotation

logger = logging.getLogger("identityserver")

#: The most rows that one statement reads or deletes.
MOST = 1_000
BATCH = 500

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Chore:
    """A table, the column by which its rows grow old, and how long they are kept after that; ``None`` for ever."""

    model: type[models.Model]
    kept: Callable[[], timedelta | None]
    moment: str = "expires"


@dataclass(frozen=True)
class Cleaned:
    """How many rows of a table were deleted, and whether none is left to delete."""

    name: str
    count: int
    complete: bool = True


def _margin() -> timedelta:
    """By which clocks may differ."""
    return MARGIN


def _a_day() -> timedelta:
    """So that somebody who comes back late is told what became of their request."""
    return timedelta(days=1)


def _as_long_as_tokens() -> timedelta:
    """Until the last access token that a grant gave as it ended has expired; keys know how long those live."""
    longest = SigningKey.objects.filter(deleted_at=None, revoked_at=None).aggregate(longest=Max("longest_lifetime"))
    signed = timedelta(seconds=longest["longest"] or 0)
    memory = timedelta(seconds=options().configuration_cache_seconds)
    return max(signed, options().access_token_lifetime) + memory + 2 * MARGIN


def _event_retention() -> timedelta | None:
    return options().event_retention or None


#: In this order: what refers to others goes before them.
CHORES = (
    Chore(AuthorizationRequest, _a_day),
    Chore(LogoutRequest, _a_day),
    Chore(DeviceRequest, _a_day),
    Chore(UsedIdentifier, _margin),
    Chore(ReferenceToken, _margin),
    Chore(InitialAccessToken, _margin),
    Chore(Consent, _margin),
    Chore(Grant, _as_long_as_tokens),
    Chore(UserSession, _a_day),
    Chore(Event, _event_retention, moment="time"),
)


def clean_up(*, batch: int = BATCH, limit: int | None = None) -> Iterator[Cleaned]:
    """Delete what can go, table by table, and say of each how much there was.

    Args:
        batch: rows a statement, at most ``MOST``.
        limit: rows in all, rows that go along with them aside.
    """
    counts: dict[str, int] = {}
    complete = True
    for chore in CHORES:
        left = None if limit is None else limit - sum(counts.values())
        done = _Sweep(chore, min(batch, MOST)).run(left)
        counts[done.name], complete = done.count, complete and done.complete
        yield done
    keys = Cleaned(_name(SigningKey), rotation.delete_due())
    counts[keys.name] = keys.count
    yield keys
    signals.cleaned_up.send(sender=None, counts=counts, complete=complete)


def expired() -> Iterator[Cleaned]:
    """How much :func:`clean_up` would delete now."""
    for chore in CHORES:
        rows = _expired(chore)
        yield Cleaned(_name(chore.model), 0 if rows is None else _unneeded(rows).count())
    now = timezone.now()
    kept = SigningKey.objects.filter(deleted_at=None, revoked_at=None)
    yield Cleaned(_name(SigningKey), sum(key.needed_until <= now for key in kept))


class _Sweep:
    """One pass over the expired rows of a table, oldest first."""

    def __init__(self, chore: Chore, batch: int) -> None:
        self.chore, self.batch = chore, batch
        self.expired = _expired(chore)
        self.since: datetime | None = None

    def run(self, limit: int | None) -> Cleaned:
        """Delete batch by batch, ``limit`` rows at most."""
        count, complete = 0, self.expired is None
        while self.expired is not None and not complete:
            size = self.batch if limit is None else min(self.batch, limit - count)
            if size <= 0:
                break
            deleted, complete = self._step(self.expired, size)
            count += deleted
        return Cleaned(_name(self.chore.model), count, complete)

    def _step(self, expired: "models.QuerySet[Any]", size: int) -> tuple[int, bool]:
        """How many of the next ``size`` rows were deleted, and whether they were the last."""
        moment = self.chore.moment
        rows = expired if self.since is None else expired.filter(**{f"{moment}__gte": self.since})
        rows = rows.order_by(moment)
        until = rows.values_list(moment, flat=True)[size - 1 : size].first()
        if until is not None:
            rows = rows.filter(**{f"{moment}__lte": until})
        deleted = _delete_with_children(rows, size)
        # There may be more of this moment; where a whole batch of it stays, they are left to another run.
        self.since = until + _TICK if until is not None and until == self.since and not deleted else until
        return deleted, until is None


def _delete_with_children(rows: "models.QuerySet[Any]", size: int) -> int:
    """Delete those that nothing needs, and before them what goes with them; ``size`` rows a statement."""
    parents = _unneeded(rows)[:size].values("pk")
    for relation in _relations(rows.model):
        if relation.on_delete is models.CASCADE:
            model = relation.related_model
            children = model._base_manager.using(rows.db).filter(**{f"{relation.field.name}__in": parents})
            while _delete(children, size) == size:
                pass
    return _delete(_unneeded(rows, also=models.CASCADE), size)


def _delete(rows: "models.QuerySet[Any]", size: int) -> int:
    """Delete at most ``size`` rows that nobody else holds, in one statement, and say how many there were.

    Without signals and cascades: what refers to these rows was deleted before, or they stay. On SQLite, which knows
    no row locks, the transaction begins with its one write.
    """
    chosen = rows.select_for_update(skip_locked=True)[:size].values("pk")
    try:
        with transaction.atomic(using=rows.db):
            return int(rows.model._base_manager.using(rows.db).filter(pk__in=chosen)._raw_delete(rows.db))
    except IntegrityError:  # somebody refers to one since we looked
        logger.warning("Some of the expired %s are needed again.", rows.model._meta.verbose_name_plural)
        return 0


def _expired(chore: Chore) -> "models.QuerySet[Any] | None":
    kept = chore.kept()
    if kept is None:
        return None
    rows = chore.model._base_manager.using(router.db_for_write(chore.model))
    return rows.filter(**{f"{chore.moment}__lt": timezone.now() - kept})


def _unneeded(rows: "models.QuerySet[Any]", *, also: Any = None) -> "models.QuerySet[Any]":
    """Those that no row refers to which must stay; ``also`` counts relations that are deleted that way."""
    for relation in _relations(rows.model):
        if relation.on_delete in (models.CASCADE, models.DO_NOTHING) and relation.on_delete is not also:
            continue
        referring = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
        rows = rows.filter(~Exists(referring))
    return rows


def _relations(model: type[models.Model]) -> list[Any]:
    """The foreign keys that name rows of ``model``, those of the host's own models too."""
    fields = model._meta.get_fields(include_hidden=True)
    return [field for field in fields if field.auto_created and not field.concrete and _is_one(field)]


def _is_one(field: Any) -> bool:
    return bool(field.one_to_one or field.one_to_many)


def _name(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name_plural)
