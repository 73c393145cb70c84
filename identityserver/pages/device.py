"""The page where people type the code that their device shows (RFC 8628 §3.3, §3.3.1, §5.1).

Only who is signed in may type one, so that guesses have a name. A code that came with the link is filled in, and
what it stands for is always confirmed on the page that follows.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from identityserver import signals, uris
from identityserver.authorization.device import client_of
from identityserver.conf import options
from identityserver.models import DeviceRequest, UserSession
from identityserver.models.device import read_user_code, shown_user_code
from identityserver.pages.base import HostedPage
from identityserver.web import pending, rate_limits
from identityserver.web.address import client_address, sender_at
from identityserver.web.session import current_session, sign_out_stranger

#: The parameter of the link and of the forms.
PARAMETER = "user_code"
#: As long as a code is good by default.
_WINDOW = 300
#: People behind one address who may mistype at once, as a multiple of the limit for one of them.
_PEOPLE_PER_ADDRESS = 4
#: What was typed is shown again so far.
_SHOWN = 40


class DevicePage(HostedPage):
    """Asks for the code."""

    name = "device"

    session: UserSession

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Sign in first, and come back with the code."""
        session = current_session(request)
        if session is None:
            return sign_in_first(request)
        self.session = session
        return super().answer(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form, with the code where the link had one."""
        return self.ask(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Claim the request of the code for this session, unless there were too many wrong ones."""
        if not typed_code(request):
            self.problem = _("Enter the code that your device shows.")
            return self.ask(request)
        seconds = _seconds_to_wait(request, self.session)
        if seconds is not None:
            return self.refuse_for_now(request, seconds)
        user_code = read_user_code(typed_code(request))
        claimed = DeviceRequest.objects.claim(user_code, self.session) if user_code else None
        if claimed is None or client_of(claimed) is None:
            return self.refuse_code(request)
        _take_back(request, self.session)
        return go_to("device_confirm", user_code)

    def refuse_code(self, request: HttpRequest) -> HttpResponse:
        """One answer to unknown, expired and used codes, and to those that somebody else has claimed."""
        self.tell(request, "unknown")
        self.problem = _("This code is unknown or has expired. Check it, or start again on your device.")
        return self.ask(request)

    def refuse_for_now(self, request: HttpRequest, seconds: int) -> HttpResponse:
        """429 before the code is looked at (RFC 6585 §4)."""
        self.tell(request, "rate_limited")
        self.status = 429
        self.problem = ngettext(
            "Too many attempts. Wait %(seconds)d second, then try again.",
            "Too many attempts. Wait %(seconds)d seconds, then try again.",
            seconds,
        ) % {"seconds": seconds}
        response = self.ask(request)
        response["Retry-After"] = str(seconds)
        return response

    def ask(self, request: HttpRequest) -> HttpResponse:
        """The form, with what was typed or the link said."""
        context: dict[str, Any] = {
            "title_parts": [_("Connect a device")],
            "account": self.session.user.get_username(),
            "user_code": shown_as_typed(typed_code(request)),
        }
        return self.render(request, "device.html", context)

    def tell(self, request: HttpRequest, reason: str) -> None:
        """Tell receivers of a code that was refused, without the code."""
        user = self.session.user
        signals.user_code_failed.send(
            sender=type(self), user=user, session=self.session, reason=reason, request=request
        )


url = path("device", DevicePage.as_view(), name=DevicePage.name)


def typed_code(request: HttpRequest) -> str:
    """What the form, or else the link, has for a code."""
    return (request.POST.get(PARAMETER) or request.GET.get(PARAMETER) or "").strip()


def shown_as_typed(typed: str) -> str:
    """A code as the device shows it, or what was typed in its place."""
    user_code = read_user_code(typed)
    return shown_user_code(user_code) if user_code else typed[:_SHOWN]


def go_to(name: str, user_code: str) -> HttpResponse:
    """To one of the pages of devices, with the code."""
    return pending.see_other(url_of(name, user_code))


def url_of(name: str, user_code: str) -> str:
    """The path of one of the pages of devices, with the code."""
    page = reverse(f"identityserver:{name}")
    return uris.with_query(page, {PARAMETER: shown_as_typed(user_code)}) if user_code else page


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """To the site's login page, which leads back to the code."""
    sign_out_stranger(request)
    return _to_login(options().login_url or "identityserver:login", url_of(DevicePage.name, typed_code(request)))


def sign_in_again(user_code: str) -> HttpResponse:
    """To our own login page, which leads back to the question."""
    return _to_login("identityserver:login", url_of("device_confirm", user_code))


def _to_login(page: str, back: str) -> HttpResponse:
    return pending.see_other(uris.with_query(resolve_url(page), {"next": back}))


def _seconds_to_wait(request: HttpRequest, session: UserSession) -> int | None:
    """Count an attempt; how long to wait where too many were wrong. Who must wait costs the neighbours nothing."""
    waits = (rate_limits.allow(kind, key, limit, _WINDOW) for kind, key, limit in _limits(request, session))
    return next((wait for wait in waits if wait is not None), None)


def _take_back(request: HttpRequest, session: UserSession) -> None:
    """Only wrong codes count."""
    for kind, key, _limit in _limits(request, session):
        rate_limits.take_back(kind, key, _WINDOW)


def _limits(request: HttpRequest, session: UserSession) -> list[tuple[str, str, int]]:
    limit, sender = options().user_code_attempts, sender_at(client_address(request))
    return [
        ("user code", str(session.user_id), limit),
        ("user code address", sender, limit * _PEOPLE_PER_ADDRESS),
    ]
