"""User sessions: who is signed in, where, and in which clients."""

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from identityserver.admin.base import OperationAdmin, ReadOnlyInline, named_user
from identityserver.models import SessionClient, UserSession

ENDED_BY_STAFF = "ended_by_staff"


class SessionStateFilter(admin.SimpleListFilter):
    """Whether a session goes on."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states of a session."""
        return [("live", _("live")), ("over", _("over"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The sessions in the chosen state."""
        over = ~Q(ended_at=None) | Q(expires__lte=timezone.now())
        match self.value():
            case "live":
                return queryset.exclude(over)
            case "over":
                return queryset.filter(over)
        return queryset


class SessionClientInline(ReadOnlyInline):
    """The clients that took part."""

    model = SessionClient
    fields = ["client", "created"]
    readonly_fields = ["client", "created"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """With their clients, in one query."""
        return super().get_queryset(request).select_related("client")


@admin.register(UserSession)
class UserSessionAdmin(OperationAdmin):
    """One sign-in of a user in one browser, to look at and to end."""

    fields = [
        "user",
        "sid",
        "state",
        "created",
        "auth_time",
        "acr",
        "amr",
        "idp",
        "last_seen",
        "expires",
        "ended_at",
        "end_reason",
        "ip",
        "user_agent",
    ]
    inlines = [SessionClientInline]
    list_display = ["user", "state", "created", "last_seen", "expires", "ip"]
    list_filter = [SessionStateFilter]
    list_select_related = ["user"]
    search_fields = ["sid"]
    search_help_text = gettext_lazy("A user name or a sid, in full.")
    ordering = ["-expires"]
    sortable_by = ["expires"]
    actions = ["end_sessions"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, session: UserSession) -> str:
        """Whether the session goes on."""
        if session.ended_at is not None:
            return _("ended")
        return _("expired") if session.is_over else _("live")

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Whoever may change sessions may end them, which is all that can be changed."""
        return request.user.has_perm("identityserver.change_usersession")

    @admin.action(description=gettext_lazy("End the selected sessions"), permissions=["end"])
    def end_sessions(self, request: HttpRequest, sessions: models.QuerySet[UserSession]) -> None:
        """Sign the browsers out of the site, and revoke what is coordinated with their sessions."""
        live = [session for session in sessions.filter(ended_at=None) if not session.is_over]
        for session in live:
            session.end(ENDED_BY_STAFF)
            self.log_change(request, session, _("Ended the session."))
        said = ngettext("%d session was ended.", "%d sessions were ended.", len(live)) % len(live)
        self.message_user(request, said, messages.SUCCESS)

    def matching(self, term: str) -> Q:
        """A user name or a sid."""
        return Q(sid=term) | named_user(term)
