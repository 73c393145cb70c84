"""What the chapters share: pages to look at, and lists that stay quick on tables of any size."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import ManyToManyRawIdWidget
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from identityserver.admin.fields import PickOne, PickSeveral, SeveralField
from identityserver.models import Client

if TYPE_CHECKING:  # generic only in the stubs
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin = admin.ModelAdmin
    _TabularInline = admin.TabularInline
    _Paginator = Paginator

#: Rows that a list counts, and pages through; a date or a search reaches those beyond.
MOST_COUNTED = 10_000

_YEAR = re.compile(r"[1-8][0-9]{3}")
_DAY = re.compile(r"[0-9]{1,2}")


class BoundedPaginator(_Paginator):
    """Counts a table of millions no further than anybody pages."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most ``MOST_COUNTED``."""
        rows = cast("models.QuerySet[Any]", self.object_list)
        return rows[:MOST_COUNTED].count()


class ModelAdmin(_ModelAdmin):
    """A stock ``ModelAdmin`` that answers whatever it is sent, and lists no table to choose from."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; a look-up that no row can answer is refused as Django refuses others, not by a 500."""
        if not _is_answerable(request.GET):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return super().changelist_view(request, extra_context)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A search where ``autocomplete_fields`` asks for one."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = PickOne(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A search where ``autocomplete_fields`` asks for one, or else keys: never a list of all."""
        searched = db_field.name in self.get_autocomplete_fields(request)
        widget = PickSeveral if searched else ManyToManyRawIdWidget
        given = db_field if searched else db_field.remote_field
        kwargs |= {"form_class": SeveralField, "widget": widget(given, self.admin_site, using=kwargs.get("using"))}
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class ReadOnlyInline(_TabularInline):
    """Rows shown beside the one they belong to, by the permissions on that one."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The flows add them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes them."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees the page sees them."""
        return True


class OperationAdmin(ModelAdmin):
    """Rows that the flows write and people only look at, in tables that may be big."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the table again

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The flows add them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits them; actions do what may be done."""
        return False

    def may_delete(self, request: HttpRequest) -> bool:
        """Whether these rows may be deleted for themselves."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As ``may_delete``, and along with a user or a client, which would otherwise be undeletable in the admin."""
        return self.may_delete(request) or self._goes_with_another(request)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """What the index lists it for."""
        return {**super().get_model_perms(request), "delete": self.may_delete(request)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, which says so when it does not reach the end."""
        response = super().changelist_view(request, extra_context)
        context: dict[str, Any] = getattr(response, "context_data", None) or {}
        if "cl" in context and context["cl"].result_count >= MOST_COUNTED:
            context["subtitle"] = _("The first %d. A search or a filter reaches the others.") % MOST_COUNTED
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Rows that ``matching`` names; whole values only, since those have an index."""
        term = search_term.strip()
        return (queryset.filter(self.matching(term)) if term else queryset), False

    def matching(self, term: str) -> models.Q:
        """The condition that a search for ``term`` sets."""
        raise NotImplementedError

    def _goes_with_another(self, request: HttpRequest) -> bool:
        """Whether the page is about deleting something of another model."""
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        match = request.resolver_match
        return match is not None and not (match.url_name or "").startswith(own)


def named_user(term: str) -> models.Q:
    """Rows of the user with this user name. The user is looked up apart: a join would cost the rows' own index."""
    users = get_user_model()._default_manager
    return models.Q(
        user__in=list(users.filter(**{get_user_model().USERNAME_FIELD: term}).values_list("pk", flat=True)[:1])
    )


def named_client(term: str) -> models.Q:
    """Rows of the client with this client_id."""
    return models.Q(client__in=list(Client.objects.filter(client_id=term).values_list("pk", flat=True)))


def _is_answerable(lookups: QueryDict) -> bool:
    """Whether databases and ``datetime`` can hold the values: no NUL, and a year of four digits."""
    return all(_is_possible(name, str(value)) for name, values in lookups.lists() for value in values)


def _is_possible(name: str, value: str) -> bool:
    if "\0" in name or "\0" in value:
        return False
    return next((bool(form.fullmatch(value)) for part, form in _DATES.items() if name.endswith(part)), True)


_DATES: Mapping[str, re.Pattern[str]] = {"__year": _YEAR, "__month": _DAY, "__day": _DAY}
