"""The login page: within an authorization request, or as the site's own ``LOGIN_URL``.

Every failure reads the same and takes the same work (Django's backends hash for unknown users, too). The same
user signing in again keeps the user session and refreshes its ``auth_time`` (OpenID Connect Core §2).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_exempt

from identityserver import signals
from identityserver.authorization.interaction import SignIn
from identityserver.conf import options
from identityserver.models import UserSession
from identityserver.pages.authorization import AuthorizationPage
from identityserver.pages.base import HostedPage
from identityserver.web import attempts, pending
from identityserver.web.reading import names
from identityserver.web.session import current_session
from identityserver.web.sign_in import sign_in

#: RFC 8176: this page takes passwords, whichever backend judges them.
_METHODS = ("pwd",)


class LoginForm(AuthenticationForm):
    """User name and password, judged by Django's authentication backends.

    Args:
        only: the one user who may sign in here, where that is settled.
    """

    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=4096,  # more would only keep the hasher busy
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *, only: AbstractBaseUser | None = None, **kwargs: Any) -> None:
        super().__init__(request, label_suffix="", **kwargs)
        self.only = only
        self.fields["username"].widget.attrs |= {"autocomplete": "username webauthn", "spellcheck": "false"}
        self.fields["username"].widget.attrs.pop("autofocus", None)
        for field in self.fields.values():
            field.error_messages["required"] = _("“%(field)s” is empty.") % {"field": field.label}
        if not self.is_bound:  # the summary of what is wrong has the focus
            first = "password" if only or self.initial.get("username") else "username"
            self.fields[first].widget.attrs["autofocus"] = True

    def confirm_login_allowed(self, user: Any) -> None:
        """A backend may let anybody in; the page lets in active users, and only the one that it is for."""
        if not user.is_active or (self.only is not None and user.pk != self.only.pk):
            raise self.get_invalid_login_error()

    def get_invalid_login_error(self) -> ValidationError:
        """The same words for everything that may have gone wrong."""
        if self.only is not None:
            return ValidationError(_("The password is not right. Please try again."), code="invalid_login")
        return ValidationError(_("This combination is not right. Check both entries and try again."))


class SiteLoginPage(HostedPage):
    """The login page without an authorization request: signs in to the site and goes to ``next``."""

    name = "login"

    #: The one user who may sign in, where that is settled.
    only: AbstractBaseUser | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form, with the user name where one is known."""
        return self.show(
            request,
            LoginForm(request, only=self.only, initial={"username": request.POST.get("username") or self.hint()}),
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Sign in, unless there were too many failures."""
        form = LoginForm(request, only=self.only, data=self.credentials(request))
        seconds = attempts.seconds_to_wait(request, form.data.get("username", ""))
        if seconds is not None:
            return self.refuse_for_now(request, seconds)
        if not form.is_valid():
            return self.show(request, form)
        attempts.take_back(request, form.data.get("username", ""))
        sign_in(request, form.get_user(), amr=_METHODS)
        return self.go_on(request)

    def credentials(self, request: HttpRequest) -> Mapping[str, Any]:
        """What was typed; the user name only where it is not settled."""
        settled = {"username": self.only.get_username()} if self.only else {}
        return {**request.POST.dict(), **settled}

    def refuse_for_now(self, request: HttpRequest, seconds: int) -> HttpResponse:
        """429 before the password is looked at (RFC 6585 §4)."""
        username = request.POST.get("username", "")
        signals.login_failed.send(sender=type(self), request=request, username=username, reason="rate_limited")
        self.status = 429
        self.problem = ngettext(
            "Too many attempts. Wait %(seconds)d second, then try again.",
            "Too many attempts. Wait %(seconds)d seconds, then try again.",
            seconds,
        ) % {"seconds": seconds}
        response = self.get(request)
        response["Retry-After"] = str(seconds)
        return response

    def show(self, request: HttpRequest, form: LoginForm) -> HttpResponse:
        """The page with the form as it is."""
        context = {**_links(), **self.context(request), "form": form}
        return self.render(request, "login.html", context, has_errors=bool(form.errors))

    def hint(self) -> str:
        """The user name to expect."""
        return ""

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """What the page says around the form."""
        session = current_session(request)
        reason = _("You are signed in as %(account)s. Sign in here to use another account.")
        return {
            "title_parts": [_("Sign in")],
            "next": _next(request),
            "reason": reason % {"account": session.user.get_username()} if session else "",
        }

    def go_on(self, request: HttpRequest) -> HttpResponse:
        """Where the person was going to; nowhere outside of the site."""
        return pending.see_other(_next(request) or resolve_url(settings.LOGIN_REDIRECT_URL))


class RequestLoginPage(AuthorizationPage, SiteLoginPage):
    """The login page in the course of an authorization request."""

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Go on where nobody need sign in, and settle who must where somebody has."""
        if not self.is_valid():
            return self.resume(request)
        session = current_session(request)
        needed = self.interaction(session)
        if not isinstance(needed, SignIn):
            return self.resume(request)
        self.only = _settled(needed, session)
        return super().answer(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Sign in, cancel, or let somebody else sign in."""
        if "cancel" in request.POST:
            self.waiting.deny()
            return self.resume(request)
        if "switch" in request.POST:
            logout(request)
            return self.resume(request)
        return super().post(request)

    def hint(self) -> str:
        """``login_hint`` (OpenID Connect Core §3.1.2.1)."""
        return self.asked.login_hint

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """The client, and whether the account is settled."""
        handle = pending.handle_of(request)
        again = _("%(client)s asks you to confirm that it is you.") % {"client": self.client.name}
        return {
            "title_parts": [_("Sign in again") if self.only else _("Sign in"), self.client.name],
            "client": self.client,
            "handle": handle,
            "cancel_allowed": True,
            "reauthenticate_as": self.only.get_username() if self.only else "",
            "reason": again if self.only else "",
            "registration_url": _with_next(_link(options().registration_url), handle),
        }

    def go_on(self, request: HttpRequest) -> HttpResponse:
        """Back to the request."""
        return self.resume(request)


@csrf_exempt
def login_page(request: HttpRequest) -> HttpResponseBase:
    """The login page for an authorization request where the URL or form names one, else that of the site."""
    return _request_login(request) if names(request, pending.PARAMETER) else _site_login(request)


_request_login = RequestLoginPage.as_view()
_site_login = SiteLoginPage.as_view()
url = path("account/login", login_page, name=SiteLoginPage.name)


def _settled(needed: SignIn, session: UserSession | None) -> AbstractBaseUser | None:
    return session.user if needed.reauthenticate and session is not None else None


def _next(request: HttpRequest) -> str:
    """Where to go afterwards, if that is a place on this site."""
    target = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    allowed = {request.get_host()}
    return target if url_has_allowed_host_and_scheme(target, allowed, require_https=request.is_secure()) else ""


def _links() -> dict[str, str]:
    chosen = options()
    return {
        "password_reset_url": _link(chosen.password_reset_url),
        "registration_url": _link(chosen.registration_url),
    }


def _link(target: str) -> str:
    """A path, an address or the name of a URL of the host's."""
    return resolve_url(target) if target else ""


def _with_next(link: str, handle: str) -> str:
    """The link, with the way back to the request for those who make an account first."""
    if not link:
        return ""
    back = urlencode({REDIRECT_FIELD_NAME: pending.url_of("resume", handle)})
    return f"{link}{'&' if '?' in link else '?'}{back}"
