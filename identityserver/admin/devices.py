"""Device authorization requests: what devices ask for, and what became of it. Their codes are never shown."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.base import OperationAdmin, named_client, named_user
from identityserver.models import DeviceRequest


class DeviceStateFilter(admin.SimpleListFilter):
    """What became of a request."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states of a request."""
        return [("waiting", _("waiting")), ("allowed", _("allowed")), ("refused", _("refused"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The requests in the chosen state."""
        match self.value():
            case "waiting":
                return queryset.filter(approved_at=None, denied_at=None, expires__gt=timezone.now())
            case "allowed":
                return queryset.exclude(approved_at=None)
            case "refused":
                return queryset.exclude(denied_at=None)
        return queryset


@admin.register(DeviceRequest)
class DeviceRequestAdmin(OperationAdmin):
    """To look at: a grant made by one is revoked among the grants."""

    fields = [
        "id",
        "client",
        "state",
        "scopes",
        "resources",
        "ip",
        "created",
        "expires",
        "interval",
        "last_polled",
        "user",
        "approved_at",
        "approved_scopes",
        "denied_at",
        "consumed_at",
        "grant",
    ]
    list_display = ["client", "user", "state", "ip", "created", "expires"]
    list_filter = [DeviceStateFilter]
    list_select_related = ["client", "user"]
    search_fields = ["pk"]
    search_help_text = gettext_lazy("A user name or a client ID, in full.")
    ordering = ["-expires"]
    sortable_by = ["expires"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, request: DeviceRequest) -> str:
        """How far it has come."""
        if request.denied_at is not None:
            return _("refused")
        if request.approved_at is not None:
            return _("allowed") if request.consumed_at is None else _("connected")
        return _("waiting") if request.is_waiting else _("expired")

    def matching(self, term: str) -> Q:
        """The user who claimed it, or its client."""
        return named_user(term) | named_client(term)
