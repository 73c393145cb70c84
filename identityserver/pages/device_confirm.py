"""What a device asks for, to be allowed or refused by who typed its code (RFC 8628 §3.3, §5.4).

It is always asked, whatever was allowed before: somebody may have sent the link to have their own device allowed.
What is asked for comes from the stored request alone, and only the session that typed the code may decide.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from identityserver import signals, uris
from identityserver.authorization.device import approve, client_of, grantable, needs_sign_in
from identityserver.models import Client, DeviceRequest
from identityserver.models.device import read_user_code, shown_user_code
from identityserver.pages.device import DevicePage, go_to, sign_in_again, sign_in_first, typed_code
from identityserver.pages.permissions import chosen, is_verified, shown_permissions
from identityserver.scopes import Resources
from identityserver.web.rendering import ClientCard, client_card


class _ClaimedPage(DevicePage):
    """A page about a request that this session has claimed."""

    @cached_property
    def user_code(self) -> str:
        """The code that the link or the form names."""
        return read_user_code(typed_code(self.request))

    @cached_property
    def claimed(self) -> DeviceRequest | None:
        """The request, in whatever state; ``None`` where this session has not claimed one by this code."""
        return DeviceRequest.objects.claimed(self.user_code, self.session) if self.user_code else None

    @cached_property
    def client(self) -> Client | None:
        """The client, as long as it may make the request."""
        return client_of(self.claimed) if self.claimed is not None else None

    def card(self, client: Client) -> ClientCard:
        """The client as the page shows it: its host is that of its home page, which somebody here has entered."""
        card = client_card(client)
        return replace(card, host=uris.host_of(client.client_uri) if is_verified(client) else "")


class DeviceConfirmPage(_ClaimedPage):
    """Asks whether the device may have what it asks for."""

    name = "device_confirm"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Everything that is asked for, ticked; whose code it is not is asked for theirs."""
        if self.claimed is not None and self.claimed.is_decided:
            return go_to(DeviceDonePage.name, self.user_code)
        if self.claimed is None or self.client is None or not self.claimed.is_waiting:
            return go_to(DevicePage.name, self.user_code)
        if needs_sign_in(self.claimed, self.client, self.session):
            return sign_in_again(self.user_code)
        return self.show(request, self.claimed, self.client)

    def post(self, request: HttpRequest) -> HttpResponse:
        """Allow, refuse, or let somebody else sign in."""
        if self.claimed is None or self.client is None or not self.claimed.is_waiting:
            return self.no_longer(request)
        if "switch" in request.POST:
            return self.switch(request, self.claimed)
        match request.POST.get("allow"):
            case "yes":
                return self.allow(request, self.claimed, self.client)
            case "no":
                return self.deny(request, self.claimed, self.client)
            case _:
                return self.get(request)

    def allow(self, request: HttpRequest, claimed: DeviceRequest, client: Client) -> HttpResponse:
        """Store what is allowed; nothing at all is no permission."""
        if needs_sign_in(claimed, client, self.session):
            return sign_in_again(self.user_code)
        asked = grantable(claimed, client, self.session)
        granted = asked.narrowed_to(chosen(asked, request.POST.getlist("scopes")))
        if not granted.scopes:
            self.problem = _("Choose what to allow, or deny it all.") if asked.scopes else ""
            return self.show(request, claimed, client, ticked=())
        if not approve(claimed, client, self.session, granted):
            return self.no_longer(request)
        self.tell_decision(signals.consent_granted, client, granted.scopes)
        return go_to(DeviceDonePage.name, self.user_code)

    def deny(self, request: HttpRequest, claimed: DeviceRequest, client: Client) -> HttpResponse:
        """The device is told ``access_denied`` when it polls."""
        if not claimed.deny():
            return self.no_longer(request)
        self.tell_decision(signals.consent_denied, client, claimed.scopes)
        return go_to(DeviceDonePage.name, self.user_code)

    def switch(self, request: HttpRequest, claimed: DeviceRequest) -> HttpResponse:
        """Let go of the request and sign out; who signs in next types the code, which is filled in."""
        claimed.release()
        logout(request)
        return sign_in_first(request)

    def no_longer(self, request: HttpRequest) -> HttpResponse:
        """It was decided, has expired or is another session's: say so where the code can be typed again."""
        if self.claimed is not None:
            self.claimed.refresh_from_db()
            if self.claimed.is_decided and self.claimed.sid == self.session.sid:
                return go_to(DeviceDonePage.name, self.user_code)
        self.problem = _("This code is unknown or has expired. Check it, or start again on your device.")
        return self.ask(request)

    def show(
        self, request: HttpRequest, claimed: DeviceRequest, client: Client, ticked: Collection[str] | None = None
    ) -> HttpResponse:
        """The question. Where this account can grant nothing, the page says so and offers another one."""
        user, card, now = self.session.user, self.card(client), timezone.now()
        asked: Resources = grantable(claimed, client, self.session)
        context: dict[str, Any] = {
            "title_parts": [_("Connect a device"), card.name],
            "client": card,
            "verified": is_verified(client),
            "account": user.get_username(),
            "user_code": shown_user_code(self.user_code),
            "ip": claimed.ip,
            "requested": claimed.created,
            "just_now": now - claimed.created < timedelta(minutes=1),
            "duration": timesince(claimed.created, now),
            "may_allow": bool(asked.scopes),
            **shown_permissions(asked, user, asked.scopes if ticked is None else ticked),
        }
        return self.render(request, "device_confirm.html", context)

    def tell_decision(self, signal: Any, client: Client, scopes: Collection[str]) -> None:
        """Tell receivers of the decision."""
        user, session = self.session.user, self.session
        signal.send(sender=type(self), client=client, user=user, session=session, scopes=list(scopes))


class DeviceDonePage(_ClaimedPage):
    """The last page: the device goes on by itself, or gets nothing."""

    name = "device_done"
    http_method_names = ("get", "head")

    def get(self, request: HttpRequest) -> HttpResponse:
        """Says what was decided; who has decided nothing may type a code."""
        if self.claimed is None or not self.claimed.is_decided:
            return go_to(DevicePage.name, "")
        card = self.card(self.claimed.client)
        allowed = self.claimed.approved_at is not None
        context = {
            "title_parts": [_("Device connected") if allowed else _("Device refused"), card.name],
            "client": card,
            "allowed": allowed,
        }
        return self.render(request, "device_done.html", context)


confirm_url = path("device/confirm", DeviceConfirmPage.as_view(), name=DeviceConfirmPage.name)
done_url = path("device/done", DeviceDonePage.as_view(), name=DeviceDonePage.name)
