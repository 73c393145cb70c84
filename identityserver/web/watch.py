"""Notices which user session a Django session loses while a request is served.

Of the ways out of a Django session only ``logout()`` sends a signal while the sid is still there. A host's
``session.flush()`` or ``clear()``, Django's own flush where the password has changed, and a sign-in as
another user empty the session first. So the sid is noted whenever the session is read, and a session is
read before it is flushed.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase

#: Where the sid of the user session is kept in the Django session, whose own key changes.
SID_KEY = "identityserver_sid"


def sid_of(session: SessionBase | Mapping[str, Any]) -> str | None:
    """The sid in a Django session, or in its content, where somebody is signed in."""
    return session.get(SID_KEY) if session.get(SESSION_KEY) is not None else None


class SessionWatch:
    """Watches the Django session of one request, on any engine, without reading it for that."""

    def __init__(self, session: SessionBase) -> None:
        self._session = session
        self._brought_key = session.session_key
        self._loaded = hasattr(session, "_session_cache")
        self.noted: set[str] = set()
        if self._loaded:
            self._note(session)
        self._wrap()

    def _wrap(self) -> None:
        """Shadow methods of this one object: a subclass would change the salt of what the session signs."""
        session = self._session
        load, aload, flush, aflush = session.load, session.aload, session.flush, session.aflush

        def noting_load() -> Mapping[str, Any]:
            return self._read(load())

        async def noting_aload() -> Mapping[str, Any]:
            return self._read(await aload())

        def reading_flush() -> None:
            self._note(session)
            flush()

        async def reading_aflush() -> None:
            await session.aget(SID_KEY)
            self._note(session)
            await aflush()

        vars(session).update(load=noting_load, aload=noting_aload, flush=reading_flush, aflush=reading_aflush)

    def unwrap(self) -> None:
        """Give the session its own methods back, so that it goes without the cyclic garbage collector."""
        for name in ("load", "aload", "flush", "aflush"):
            vars(self._session).pop(name, None)

    @property
    def was_cleared_unread(self) -> bool:
        """Whether ``clear()`` emptied the session before anything read it: its store still has it all."""
        untouched = self._brought_key is not None and self._session.session_key == self._brought_key
        return untouched and self._session.modified and not self._loaded

    @property
    def has_something_to_tell(self) -> bool:
        """Whether a sid may have been lost."""
        return bool(self.noted) or self.was_cleared_unread

    def lost(self, session: SessionBase) -> set[str]:
        """The sids that were in the watched session and are not in ``session``, the request's at its end."""
        if self.was_cleared_unread:
            self._session.load()
        return self.noted - {sid_of(session)} if self.noted else set()

    def _read(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        self._loaded = True
        self._note(content)
        return content

    def _note(self, content: SessionBase | Mapping[str, Any]) -> None:
        if (sid := sid_of(content)) is not None:
            self.noted.add(sid)
