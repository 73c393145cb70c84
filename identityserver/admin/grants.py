"""Grants: what clients may do, and for whom. The tokens that hang off them are kept as digests and never shown."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from identityserver.admin.base import MOST_COUNTED, OperationAdmin, named_client, named_user
from identityserver.grant_types import served_grant_types
from identityserver.models import Grant

REVOKED_BY_STAFF = "revoked_by_staff"


class GrantStateFilter(admin.SimpleListFilter):
    """Whether tokens of a grant may work."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states of a grant."""
        return [("live", _("live")), ("revoked", _("revoked")), ("expired", _("expired"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The grants in the chosen state."""
        match self.value():
            case "live":
                return queryset.filter(revoked_at=None, expires__gt=timezone.now())
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(revoked_at=None, expires__lte=timezone.now())
        return queryset


class GrantKindFilter(admin.SimpleListFilter):
    """The grant type that made it."""

    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The grant types of this server: asking the table would read all of it."""
        return [(name, name) for name in served_grant_types()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The grants of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Grant)
class GrantAdmin(OperationAdmin):
    """One decision that lives on in tokens, to look at and to revoke with all of them."""

    fields = [
        "id",
        "client",
        "user",
        "subject",
        "session",
        "kind",
        "state",
        "tokens",
        "scopes",
        "resources",
        "claims",
        "acr",
        "amr",
        "auth_time",
        "created",
        "last_used",
        "expires",
        "revoked_at",
        "revocation_reason",
    ]
    list_display = ["client", "user", "kind", "granted_scopes", "state", "created", "last_used", "expires"]
    list_filter = [GrantStateFilter, GrantKindFilter]
    list_select_related = ["client", "user"]
    search_fields = ["pk"]
    search_help_text = gettext_lazy("A user name, a client ID or the ID of a grant, in full.")
    ordering = ["-expires"]
    sortable_by = ["expires"]
    actions = ["revoke_grants"]

    @admin.display(description=gettext_lazy("scopes"))
    def granted_scopes(self, grant: Grant) -> str:
        """The scopes in one line."""
        return " ".join(grant.scopes)

    @admin.display(description=gettext_lazy("state"))
    def state(self, grant: Grant) -> str:
        """Whether its tokens may work."""
        if grant.revoked_at is not None:
            return _("revoked")
        return _("expired") if grant.expires <= timezone.now() else _("live")

    @admin.display(description=gettext_lazy("tokens"))
    def tokens(self, grant: Grant) -> str:
        """How many of the stored ones are good; of JWTs nothing is stored, and they end by themselves."""
        now = timezone.now()
        if grant.revoked_at is not None:
            return _("none that is good")
        refresh = grant.refresh_tokens.filter(consumed_at=None, expires__gt=now)[:MOST_COUNTED].count()
        reference = grant.reference_tokens.filter(revoked_at=None, expires__gt=now)[:MOST_COUNTED].count()
        return _("%(refresh)d refresh tokens, %(reference)d reference tokens") % {
            "refresh": refresh,
            "reference": reference,
        }

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change grants may revoke them, which is all that can be changed."""
        return request.user.has_perm("identityserver.change_grant")

    @admin.action(description=gettext_lazy("Revoke the selected grants with all their tokens"), permissions=["revoke"])
    def revoke_grants(self, request: HttpRequest, grants: models.QuerySet[Grant]) -> None:
        """The clients have to ask again; only who verifies a JWT without asking takes it until it expires."""
        live = list(grants.filter(revoked_at=None))
        for grant in live:
            grant.revoke(REVOKED_BY_STAFF)
            self.log_change(request, grant, _("Revoked the grant."))
        said = ngettext("%d grant was revoked.", "%d grants were revoked.", len(live)) % len(live)
        self.message_user(request, said, messages.SUCCESS)

    def matching(self, term: str) -> Q:
        """A user name, a client_id or the grant's own id, with which the jti of its access tokens begins."""
        return named_user(term) | named_client(term) | Q(pk=_as_uuid(term))


def _as_uuid(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term.partition(".")[0])
    except ValueError:
        return None
