"""The event log: written after whatever happened, whether that was committed or rolled back.

Within a request events wait for its end; outside of one they are written at once, or with the open
transaction. What anybody on the network can cause is written down so many times a minute, and logged beyond.
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from functools import partial

from django import db
from django.db import router, transaction
from django.http import HttpRequest
from django.utils import timezone

from identityserver.conf import imported, options
from identityserver.models import Event
from identityserver.web.address import client_address, sender_at
from identityserver.web.current import current_request, current_visit

logger = logging.getLogger("identityserver.events")

#: Ordinary success, which only the option ``store_issuance_events`` has stored.
ISSUANCE = frozenset({"code_issued", "token_exchanged", "tokens_issued"})
#: What one worker stores in a minute of what the unauthenticated cause: from one address, and in all.
STORED_PER_ADDRESS, STORED_IN_ALL = 30, 300
#: How much of the texts without a limit of their own is kept.
_TEXT_LENGTH = 2000
_LOGGED = ("outcome", "reference", "client", "user", "session", "ip", "code", "detail")


def happened(kind: str, said: Mapping[str, str], *, failed: bool = False, request: HttpRequest | None = None) -> Event:
    """An event that is not written yet; ``said`` are its other fields, made to fit their columns."""
    request = request or current_request()
    return Event(
        type=kind,
        outcome=Event.Outcome.FAILURE if failed else Event.Outcome.SUCCESS,
        ip=client_address(request) if request is not None else None,
        **{name: _fitting(name, value) for name, value in said.items()},
    )


def is_of_interest(kind: str) -> bool:
    """Whether anything would come of a successful event of this kind; asked where there are many of them."""
    chosen = options()
    stored = kind not in ISSUANCE or chosen.store_issuance_events
    return stored or bool(chosen.event_sinks) or logger.isEnabledFor(logging.INFO)


def store(event: Event) -> None:
    """Log it, and write it down as soon as no rollback can undo that."""
    log(event)
    visit = current_visit()
    if visit is not None:
        visit.events.append(event)
    elif transaction.get_connection(_database()).in_atomic_block:
        transaction.on_commit(partial(write, [event]), using=_database(), robust=True)
    else:
        write([event])


def store_sparingly(event: Event) -> None:
    """The same for what the unauthenticated can cause: beyond the cap it is only logged."""
    if _cap.allows(sender_at(event.ip)):
        store(event)
    else:
        log(event)


def write(events: list[Event]) -> None:
    """Store the events and tell the sinks; a failure here is logged and reaches nobody's response."""
    stored = [event for event in events if _is_stored(event.type)]
    if stored:
        _insert(stored)
    for event in events:
        _tell_sinks(event)


def _insert(events: list[Event]) -> None:
    try:
        with transaction.atomic(using=_database()):  # its failure must not break a transaction around it
            Event.objects.using(_database()).bulk_create(events)
    except db.Error:
        logger.exception("Events could not be stored: %s", "; ".join(map(_line, events)))


def _tell_sinks(event: Event) -> None:
    for path in options().event_sinks:
        try:
            imported(path)(event)
        except Exception:  # host code, which may raise anything and must harm nothing but itself
            logger.exception("The event sink %s failed.", path)


def log(event: Event) -> None:
    """Write it to the log ``identityserver.events`` alone."""
    level = logging.INFO if event.outcome == Event.Outcome.SUCCESS else logging.WARNING
    if logger.isEnabledFor(level):
        logger.log(level, "%s", _line(event))


def _line(event: Event) -> str:
    """One line with JSON, in which no value can forge another line."""
    said = {name: value for name in _LOGGED if (value := getattr(event, name))}
    return f"{event.type} {json.dumps(said)}"


class _Cap:
    """Counts what a worker has stored in this minute; approximate where threads meet, bounded in memory."""

    def __init__(self) -> None:
        self.minute = 0
        self.counts: Counter[str] = Counter()

    def allows(self, address: str) -> bool:
        """Whether one more event caused from ``address`` is to be stored; counts it if so."""
        minute = int(timezone.now().timestamp()) // 60
        if minute != self.minute:
            self.minute, self.counts = minute, Counter()
        allowed = self.counts[address] < STORED_PER_ADDRESS and self.counts.total() < STORED_IN_ALL
        if allowed:
            self.counts[address] += 1
        return allowed


_cap = _Cap()


def count_anew() -> None:
    """Forget how much was stored in this minute."""
    _cap.minute = 0


def _is_stored(kind: str) -> bool:
    return kind not in ISSUANCE or options().store_issuance_events


def _database() -> str:
    return router.db_for_write(Event)


def _fitting(name: str, value: str) -> str:
    """Text without control characters (PostgreSQL stores no NUL), no longer than its column."""
    length = getattr(Event._meta.get_field(name), "max_length", None) or _TEXT_LENGTH
    return "".join(character if character.isprintable() else " " for character in value)[:length]
