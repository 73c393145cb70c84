"""The event log, to look at: what staff read after a person quotes a reference."""

from ipaddress import ip_address
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from identityserver.admin.base import OperationAdmin
from identityserver.models import Event

#: The newest events, which tell the types to filter by: asking the whole table would read all of it.
_NEWEST = 1_000


class EventTypeFilter(admin.SimpleListFilter):
    """The type, of those that occurred lately."""

    title = gettext_lazy("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The types there are, and the one that is chosen."""
        newest = Event.objects.order_by("-time").values_list("type", flat=True)[:_NEWEST]
        return [(name, name) for name in sorted({*newest, self.value() or ""}) if name]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The events of the chosen type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(OperationAdmin):
    """Append-only, for staff as well."""

    fields = [
        "time",
        "type",
        "outcome",
        "reference",
        "code",
        "detail",
        "clause",
        "remedy",
        "client",
        "user",
        "session",
        "ip",
    ]
    list_display = ["time", "type", "outcome", "reference", "client", "user", "summary"]
    list_filter = ["outcome", EventTypeFilter]
    search_fields = ["reference"]
    search_help_text = gettext_lazy("A reference, client ID, user name or ID, sid or address, in full.")
    date_hierarchy = "time"
    ordering = ["-time"]
    sortable_by = ["time"]

    @admin.display(description=gettext_lazy("detail"))
    def summary(self, event: Event) -> str:
        """The beginning of the detail."""
        return Truncator(event.detail).chars(80)

    def matching(self, term: str) -> Q:
        """A reference where there is one like it, by its index; else whatever the event is about."""
        if Event.objects.filter(reference=term).exists():
            return Q(reference=term)
        return Q(client=term) | Q(user__in=[term, *_pks_of(term)]) | Q(session=term) | Q(ip__in=_addresses(term))


def _pks_of(username: str) -> list[str]:
    users = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: username})
    return [str(pk) for pk in users.values_list("pk", flat=True)[:1]]


def _addresses(term: str) -> list[str]:
    try:
        return [str(ip_address(term))]
    except ValueError:
        return []
