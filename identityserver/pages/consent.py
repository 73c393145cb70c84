"""The consent page: what the client wants to know and do, in plain words (OpenID Connect Core §3.1.2.4).

What is asked for comes from the stored request alone; the form says which of it is allowed. An approval counts
only in the user session that saw the page.
"""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _

from identityserver import signals
from identityserver.authorization.interaction import AskConsent, asked_every_time
from identityserver.models import UserSession
from identityserver.pages.authorization import AuthorizationPage
from identityserver.pages.permissions import chosen, is_verified, shown_permissions
from identityserver.web import pending
from identityserver.web.session import current_session


class ConsentPage(AuthorizationPage):
    """Asks whether the client may have what it asks for."""

    name = "consent"

    session: UserSession
    needed: AskConsent

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Go on where nothing is to be asked."""
        session = current_session(request)
        needed = self.interaction(session) if self.is_valid() else None
        if session is None or not isinstance(needed, AskConsent):
            return self.resume(request)
        self.session, self.needed = session, needed
        return super().answer(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Everything that is asked for, ticked."""
        return self.show(request, self.needed.new.scopes, remember=True)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Allow, deny, or let somebody else sign in."""
        if "switch" in request.POST:
            logout(request)
            return self.resume(request)
        match request.POST.get("allow"):
            case "yes":
                return self.allow(request)
            case "no":
                self.waiting.deny()
                self.tell(signals.consent_denied, self.needed.new.scopes)
                return self.resume(request)
            case _:
                return self.get(request)

    def allow(self, request: HttpRequest) -> HttpResponse:
        """Record what is allowed; nothing at all is no permission."""
        scopes = chosen(self.needed.new, request.POST.getlist("scopes"))
        remember = self.can_remember and "remember" in request.POST
        if not scopes:
            self.problem = _("Choose what to allow, or deny it all.")
            return self.show(request, scopes, remember=remember)
        if not self.waiting.approve(self.session.sid, [*self.needed.known.scopes, *scopes], remember=remember):
            self.problem = _("You signed in again after this page was shown. Please check it once more.")
            return self.show(request, scopes, remember=remember)
        self.tell(signals.consent_granted, scopes)
        return self.resume(request)

    def show(self, request: HttpRequest, ticked: Collection[str], *, remember: bool) -> HttpResponse:
        """The page, from now on answered by this user session only."""
        self.waiting.shown_to(self.session.sid)
        user, new = self.session.user, self.needed.new
        context = {
            "title_parts": [_("Allow access"), self.client.name],
            "client": self.client,
            "verified": is_verified(self.asked.client),
            "account": user.get_username(),
            "knows_you": bool(self.needed.known.scopes),
            **shown_permissions(new, user, ticked),
            "can_remember": self.can_remember,
            "some_asked_every_time": not asked_every_time(self.asked).isdisjoint(new.scopes),
            "remember": remember,
            "handle": pending.handle_of(request),
        }
        return self.render(request, "consent.html", context)

    @property
    def can_remember(self) -> bool:
        """Whether any of the choice would be remembered: not for clients that must ask each time (RFC 8252 §8.6)."""
        client = self.asked.client
        kept = set(self.needed.new.scopes) - asked_every_time(self.asked)
        return client.allow_remember_consent and client.is_silent_allowed and bool(kept)

    def tell(self, signal: Any, scopes: Collection[str]) -> None:
        """Tell receivers of the decision."""
        signal.send(
            sender=type(self),
            client=self.asked.client,
            user=self.session.user,
            session=self.session,
            scopes=list(scopes),
        )


url = path("account/consent", ConsentPage.as_view(), name=ConsentPage.name)
