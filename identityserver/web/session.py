"""The coupling of Django's sessions with ours: who is signed in, and what follows when that ends.

The sid lives *inside* the Django session, whose key changes when somebody signs in and, with signed cookies,
on every save. A user session that ends on the server signs its browser out of the whole site, whatever the
session engine; any way out of the Django session ends the user session.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from identityserver.models import UserSession
from identityserver.web import events
from identityserver.web.current import Visit, current_visit
from identityserver.web.watch import SID_KEY, SessionWatch, sid_of

__all__ = ["SID_KEY", "EndReason", "UserSessionMiddleware", "current_session"]

User = AbstractBaseUser | AnonymousUser

#: The request attribute that keeps what was found, beside Django's ``_cached_user``: one query a request.
_FOUND = "_identityserver_session"
#: A session is touched at most once a minute, so the Django session may be that much ahead of it.
_SLACK = timedelta(minutes=1)


class EndReason(StrEnum):
    """Why a user session ended."""

    SIGNED_OUT = "signed_out"
    OTHER_USER = "other_user_signed_in"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  is none
    DEACTIVATED = "user_deactivated"
    DELETED = "user_deleted"


def current_session(request: HttpRequest) -> UserSession | None:
    """The live user session of the browser that sent ``request``; at most one query of ours.

    ``None`` also where somebody is signed in to the site by a Django session from before this app was
    installed: for us that person signs in again. A session that has ended or expired signs the browser out.
    """
    if signed_in_sid(request) is None:
        return None
    user = request.user if hasattr(request, "user") else get_user(request)
    if not user.is_authenticated:  # or no longer, as Django finds where the password has changed
        return None
    session = _live_session(request)
    return session if session is not None and _is_session_of(request, session.user_id) else None


def signed_in_sid(request: HttpRequest | None) -> str | None:
    """The sid in the request's Django session, if it has one and somebody is signed in to it."""
    session = getattr(request, "session", None)
    return sid_of(session) if isinstance(session, SessionBase) else None


def _is_session_of(request: HttpRequest, user_id: Any) -> bool:
    """Whether the Django session is one of this user."""
    pk_field = get_user_model()._meta.pk
    return bool(pk_field.to_python(request.session.get(SESSION_KEY)) == user_id)


def found_session(request: HttpRequest, sid: str) -> UserSession | None:
    """The live user session ``sid``, looked up once a request."""
    found: UserSession | None = getattr(request, _FOUND, None)
    if found is not None and found.sid == sid:
        return found if found.is_live else None
    return remember(request, UserSession.objects.live(sid))


def remember(request: HttpRequest, session: UserSession | None) -> UserSession | None:
    """Keep the user session that the request's browser is in, and return it."""
    setattr(request, _FOUND, session)
    return session


def session_expiry(session: SessionBase) -> datetime:
    """When the Django session ends if nobody comes back."""
    return timezone.now() + timedelta(seconds=session.get_expiry_age()) + _SLACK


def _live_session(request: HttpRequest) -> UserSession | None:
    """The user session that the Django session names; where it is over, the browser is signed out."""
    found = found_session(request, sid_of(request.session) or "")
    if found is None:
        sign_browser_out(request)
        return None
    found.touch(session_expiry(request.session))
    return found


def sign_out_stranger(request: HttpRequest) -> None:
    """Sign out who is signed in to the site but has no user session, before sending them to its login page.

    Such a page may send people who are signed in straight back, to be sent there again, and so on.
    """
    if signed_in_sid(request) is None and request.user.is_authenticated:
        sign_browser_out(request)


def sign_browser_out(request: HttpRequest) -> None:
    """Empty the browser's Django session, and let nobody find the user in what the request has cached."""
    request.session.flush()
    anonymous = AnonymousUser()

    async def auser() -> AnonymousUser:
        return anonymous

    vars(request).update(user=anonymous, auser=auser, _cached_user=anonymous, _acached_user=anonymous)


class UserSessionMiddleware:
    """Required, after ``AuthenticationMiddleware``: couples each request's Django session with ours.

    What stands between the two sees a user whose session has ended elsewhere; so the closer, the better.
    A request that never looks at its user costs no query and does not vary on the cookie.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.serve_async(request) if self.is_async else self.serve(request)

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request in a synchronous stack."""
        with Visit(request) as visit:
            _couple(visit)
            try:
                response: HttpResponseBase = self.get_response(request)
            finally:
                if visit.events or visit.watch is not None:
                    _conclude(visit)
            return response

    async def serve_async(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request in an asynchronous stack; a thread concludes it where there is anything to do."""
        with Visit(request) as visit:
            _couple(visit)
            try:
                response: HttpResponseBase = await self.get_response(request)
            finally:
                if visit.events or (visit.watch is not None and visit.watch.has_something_to_tell):
                    await sync_to_async(_conclude)(visit)
                elif visit.watch is not None:
                    visit.watch.unwrap()
            return response


def watch_new_session() -> None:
    """Somebody has just signed in: from now on the request's Django session can be lost, too."""
    visit = current_visit()
    if visit is not None and visit.watch is None:
        visit.watch = SessionWatch(visit.request.session)


def _couple(visit: Visit) -> None:
    """Couple the sessions, where the browser brought one: programs and strangers do not, and cost nothing."""
    request = visit.request
    if not (hasattr(request, "session") and hasattr(request, "user")):
        raise ImproperlyConfigured("UserSessionMiddleware belongs after AuthenticationMiddleware.")
    if request.session.session_key is None:
        return
    user = SimpleLazyObject(partial(_checked_user, request, request.user))
    request.user = user  # type: ignore[assignment]  # lazy, as Django's own is
    if hasattr(request, "auser"):  # a host's own authentication middleware may know only synchronous views
        vars(request)["auser"] = partial(_checked_auser, request, request.auser)
    visit.watch = SessionWatch(request.session)


def _conclude(visit: Visit) -> None:
    """End what the browser has lost, then write down what happened: both after any rollback of the view."""
    request, watch = visit.request, visit.watch
    for sid in watch.lost(request.session) if watch is not None else ():
        if (session := found_session(request, sid)) is not None:
            has_other = sid_of(request.session) is not None
            session.end(EndReason.OTHER_USER if has_other else EndReason.SIGNED_OUT)
    events.write(visit.events)
    if watch is not None:
        watch.unwrap()


def _checked_user(request: HttpRequest, user: User) -> User:
    return user if _still_signed_in(request, user) else AnonymousUser()


async def _checked_auser(request: HttpRequest, auser: Callable[[], Awaitable[User]]) -> User:
    user = await auser()
    if not user.is_authenticated or not await request.session.ahas_key(SID_KEY):
        return user
    return user if await sync_to_async(_still_signed_in)(request, user) else AnonymousUser()


def _still_signed_in(request: HttpRequest, user: User) -> bool:
    """Whether the sign-in stands: one that has a user session ends with it."""
    return not user.is_authenticated or sid_of(request.session) is None or _live_session(request) is not None
