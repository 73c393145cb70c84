"""Documents that requests wait for, such as a client's keys: kept, and fetched one at a time."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from identityserver.outbound.errors import DocumentUnavailable, OutboundError
from identityserver.outbound.exchange import fetch
from identityserver.outbound.target import Deadline

# In seconds. Whoever gets a turn has time left for it, or one slow server would fail the others' documents.
_LONGEST_WAIT = 3.0
_LONGEST_WAIT_FOR_TURN = 1.0

_RECENT = timedelta(minutes=5)
_RETRY = timedelta(minutes=1)
_STALE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What a URL answered with 200, and when."""

    body: bytes
    fetched: datetime


def fetch_document(url: str, *, renew: bool = False) -> Document:
    """The document at ``url``, from memory where it is recent (five minutes).

    Args:
        renew: fetch it anew, unless that was tried within the last minute. For a key id it does not hold.

    Raises:
        DocumentUnavailable: it cannot be had, and was last seen over a day ago or is gone (404, 410).
    """
    return _documents.get(url, renew=renew)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """What is known of one URL: when it was last tried, why that failed if it did, and the last document."""

    tried: datetime
    failure: str = ""
    document: Document | None = None

    def is_due(self, *, renew: bool) -> bool:
        return timezone.now() - self.tried >= (_RETRY if renew or self.failure else _RECENT)

    @property
    def stands_in(self) -> bool:
        """Whether there is a document that may be used while no newer one is to be had."""
        return self.document is not None and timezone.now() - self.document.fetched <= _STALE

    def outcome(self) -> Document:
        if self.document and self.stands_in:
            return self.document
        raise DocumentUnavailable(self.failure or "The document is over a day old, and another is being fetched.")


class DocumentCache:
    """The documents of this process. One is fetched at a time: slow servers cannot take every thread."""

    def __init__(self, *, largest: int = 256) -> None:
        self._largest = largest
        self._attempts: OrderedDict[str, _Attempt] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def get(self, url: str, *, renew: bool = False) -> Document:
        """See :func:`fetch_document`."""
        attempt = self._known(url)
        if attempt is None or attempt.is_due(renew=renew):
            attempt = self._renewed(url, attempt, renew=renew)
        return attempt.outcome()

    def _renewed(self, url: str, known: _Attempt | None, *, renew: bool) -> _Attempt:
        deadline = Deadline.within(_LONGEST_WAIT)
        # Whoever registers slow servers must not hold up those whose document is known.
        need_not_wait = known is not None and known.stands_in and not renew
        if not self._turn.acquire(timeout=0 if need_not_wait else _LONGEST_WAIT_FOR_TURN):
            return known or _Attempt(tried=timezone.now(), failure=f"{url} had to wait for another fetch.")
        try:
            known = self._known(url)
            if known is None or known.is_due(renew=renew):  # unless whoever was first has just fetched it
                known = self._keep(url, _attempted(url, known, deadline))
            return known
        finally:
            self._turn.release()

    def _known(self, url: str) -> _Attempt | None:
        with self._lock:
            if url in self._attempts:
                self._attempts.move_to_end(url)
            return self._attempts.get(url)

    def _keep(self, url: str, attempt: _Attempt) -> _Attempt:
        with self._lock:
            self._attempts[url] = attempt
            self._attempts.move_to_end(url)
            while len(self._attempts) > self._largest:
                self._attempts.popitem(last=False)
        return attempt


def _attempted(url: str, known: _Attempt | None, deadline: Deadline) -> _Attempt:
    now = timezone.now()
    earlier = known.document if known else None
    try:
        response = fetch(url, headers={"Accept": "application/json"}, timeout=deadline.remaining())
    except OutboundError as error:
        return _Attempt(tried=now, failure=str(error), document=earlier)
    match response.status:
        case 200:
            return _Attempt(tried=now, document=Document(body=response.body, fetched=now))
        case 404 | 410:  # its owner took it away, which is an answer
            return _Attempt(tried=now, failure=f"{url} answered {response.status}.")
        case status:
            return _Attempt(tried=now, failure=f"{url} answered {status}.", document=earlier)


_documents = DocumentCache()
