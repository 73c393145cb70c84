"""Signing out: the question, and the last page (OpenID Connect RP-Initiated Logout 1.0 §2).

The question is asked where no hint proves that the user wants it; it also serves as the site's own sign-out page.
"""

from functools import cached_property
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from identityserver.logout.request import destination
from identityserver.models import LogoutRequest as StoredRequest
from identityserver.models import UserSession
from identityserver.pages.base import HostedPage
from identityserver.web import pending
from identityserver.web.rendering import ClientCard, client_card
from identityserver.web.session import current_session


class _LogoutStep(HostedPage):
    """A page of signing out, at the request of a client or of nobody."""

    stored: StoredRequest | None = None

    def find(self, request: HttpRequest) -> None:
        """The logout request, in whatever state: an old one still says whose it was."""
        self.stored = pending.found(request, StoredRequest)
        self.ui_locales = self.stored.ui_locales if self.stored else ""

    @cached_property
    def client(self) -> ClientCard | None:
        """Who asked."""
        return client_card(self.stored.client) if self.stored and self.stored.client else None

    def client_name(self) -> str:
        """For the title; empty where nobody asked."""
        return self.client.name if self.client else ""


class LogoutPage(_LogoutStep):
    """Asks whether to sign out."""

    name = "logout"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The question; where nobody is signed in there is none."""
        session = current_session(request)
        if session is None and not request.user.is_authenticated:
            return self.leave(request)
        context = {
            "title_parts": [_("Sign out"), self.client_name()],
            "client": self.client,
            "account": request.user.get_username(),
            "applications": _applications(session) if session else [],
            "handle": pending.handle_of(request),
        }
        return self.render(request, "logout.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Sign out, or not."""
        match request.POST.get("logout"):
            case "yes":
                logout(request)
                return self.leave(request)
            case "no":
                return self.stay(request)
            case _:
                return self.get(request)

    def leave(self, request: HttpRequest) -> HttpResponse:
        """To where the client wants the person, once for each request; else to the last page."""
        asked = self.stored
        if asked is not None and _is_still_registered(asked) and asked.use():
            return pending.see_other(destination(asked.post_logout_redirect_uri, asked.state))
        handle = pending.handle_of(request)
        return pending.redirect_to("signed_out", handle) if handle else pending.see_other(_last_page())

    def stay(self, request: HttpRequest) -> HttpResponse:
        """Nothing happened; the client is not told so, since it may only be told of a logout (§3)."""
        if self.stored is not None:
            self.stored.use()
        context = {
            "title_parts": [_("Still signed in"), self.client_name()],
            "headline": _("You are still signed in"),
            "reason": "" if self.client else _("You can close this page."),
            **_way_on(self.client),
        }
        return self.render(request, "signed_out.html", context)


class SignedOutPage(_LogoutStep):
    """The last page."""

    name = "signed_out"
    http_method_names = ("get", "head")

    def get(self, request: HttpRequest) -> HttpResponse:
        """Says that it is done, and the way back or why there is none."""
        if request.user.is_authenticated:
            return pending.redirect_to("logout", pending.handle_of(request))
        context = {
            "title_parts": [_("Signed out"), self.client_name()],
            "headline": _("You are signed out"),
            "reason": "" if self.client and self.client.way_back else _why_no_way_back(self.client),
            "login_url": reverse("identityserver:login"),
            **_way_on(self.client),
        }
        return self.render(request, "signed_out.html", context)


logout_url = path("account/logout", LogoutPage.as_view(), name=LogoutPage.name)
signed_out_url = path("account/signed-out", SignedOutPage.as_view(), name=SignedOutPage.name)


def _is_still_registered(asked: StoredRequest) -> bool:
    """Whether the client may still have people sent to where it asked for."""
    client, uri = asked.client, asked.post_logout_redirect_uri
    return client is not None and client.enabled and uri in client.post_logout_redirect_uris


def _last_page() -> str:
    return reverse("identityserver:signed_out")


def _way_on(client: ClientCard | None) -> dict[str, Any]:
    return {"client": client, "return_url": client.way_back if client else ""}


def _why_no_way_back(client: ClientCard | None) -> str:
    if client is None:
        return _("There is no link back, because no application asked for one. You can close this page.")
    return _("There is no link back, because the application has not registered one. You can close this page.")


def _applications(session: UserSession) -> list[str]:
    """The applications that this session was used for."""
    taking_part = session.clients.select_related("client").order_by("client__name")
    return [client_card(row.client).name for row in taking_part if row.client.enabled]
