"""Signing in and out: what a sign-in through any page of the site means for user sessions.

``auth_time``, ``acr``, ``amr``: OpenID Connect Core §2. Methods: RFC 8176.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.contrib.auth import BACKEND_SESSION_KEY, login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from identityserver import signals
from identityserver.conf import options
from identityserver.models import UserSession
from identityserver.web.address import client_address
from identityserver.web.session import (
    EndReason,
    found_session,
    remember,
    session_expiry,
    signed_in_sid,
    watch_new_session,
)
from identityserver.web.watch import SID_KEY


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """How somebody authenticated, as far as it is known."""

    acr: str = ""
    amr: tuple[str, ...] = ()
    idp: str = ""


UNKNOWN = Authentication()
_authentication: ContextVar[Authentication] = ContextVar("identityserver_authentication", default=UNKNOWN)


def sign_in(
    request: HttpRequest,
    user: AbstractBaseUser,
    *,
    backend: str | None = None,
    acr: str = "",
    amr: Sequence[str] = (),
    idp: str = "",
) -> None:
    """``django.contrib.auth.login`` for a page that knows how the person authenticated.

    Args:
        request: with its session.
        user: who authenticated.
        backend: dotted path, as for ``login``.
        acr: goes before what the option ``authentication_contexts`` says of the backend.
        amr: methods, added to those that ``authentication_contexts`` gives the backend.
        idp: the identity provider, where it was another one.
    """
    with _authenticated(Authentication(acr=acr, amr=tuple(amr), idp=idp)):
        login(request, user, backend)  # type: ignore[arg-type]  # the stubs know the user model of one settings file


@contextmanager
def _authenticated(authentication: Authentication) -> Iterator[None]:
    token = _authentication.set(authentication)
    try:
        yield
    finally:
        _authentication.reset(token)


def begin_or_renew(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Begin the user session of somebody who has signed in, or renew it where the same user does so again.

    The sign-in of an inactive user, which some backends allow, is the site's own affair.
    """
    if not user.is_active:
        return
    sid = request.session.get(SID_KEY)
    known = UserSession.objects.live(sid) if sid else None
    if known is not None and known.user_id == user.pk:
        _renew(request, known)
    else:
        if known is not None:
            known.end(EndReason.OTHER_USER)
        _begin(request, user)
    signals.login_succeeded.send(sender=type(user), request=request, user=user)


def _renew(request: HttpRequest, session: UserSession) -> None:
    how = _how(request.session)
    session.reauthenticated(acr=how.acr, amr=how.amr, idp=how.idp, expires=session_expiry(request.session))
    remember(request, session)


def _begin(request: HttpRequest, user: AbstractBaseUser) -> None:
    how = _how(request.session)
    session = UserSession.objects.begin(
        user,
        acr=how.acr,
        amr=how.amr,
        idp=how.idp,
        ip=client_address(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        expires=session_expiry(request.session),
    )
    request.session[SID_KEY] = session.sid
    watch_new_session()
    remember(request, session)
    signals.session_started.send(sender=UserSession, session=session, request=request)


def _how(session: SessionBase) -> Authentication:
    """What the page said of the authentication, with what the backend is worth."""
    said = _authentication.get()
    worth = options().authentication_contexts.get(session.get(BACKEND_SESSION_KEY, ""), {})
    methods = dict.fromkeys((*worth.get("amr", ()), *said.amr))
    return Authentication(acr=said.acr or worth.get("acr", ""), amr=tuple(methods), idp=said.idp)


def end(request: HttpRequest) -> None:
    """End the user session that somebody signs out of, while the Django session still names it."""
    sid = signed_in_sid(request)
    session = found_session(request, sid) if sid is not None else None
    if session is not None:
        session.end(EndReason.SIGNED_OUT)
