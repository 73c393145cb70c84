"""What clients can ask for: identity resources, API scopes and API resources."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from identityserver.admin.base import ModelAdmin
from identityserver.admin.holders import SecretHolderAdmin, SecretInline
from identityserver.models import ApiResource, ApiScope, ApiSecret, IdentityResource
from identityserver.models.fields import StringListField
from identityserver.vocabulary import Algorithm

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[ApiResource]
else:
    _ModelForm = forms.ModelForm

_LINES: Mapping[type["models.Field[Any, Any]"], Mapping[str, Any]] = {
    StringListField: {"widget": AdminTextareaWidget(attrs={"rows": 5})}
}


class RequestableAdmin(ModelAdmin):
    """What identity resources and API scopes have in common."""

    list_display = ["name", "display_name", "enabled", "required", "emphasize", "show_in_discovery_document"]
    list_filter = ["enabled", "required", "emphasize"]
    search_fields = ["name", "display_name"]
    formfield_overrides = _LINES


@admin.register(IdentityResource)
class IdentityResourceAdmin(RequestableAdmin):
    """Those that OpenID Connect names can be disabled, and never renamed or deleted."""

    fields = [
        "name",
        "display_name",
        "description",
        "enabled",
        "required",
        "emphasize",
        "show_in_discovery_document",
        "user_claims",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: IdentityResource | None = None) -> list[str]:
        """The name of a standard one."""
        return ["name"] if obj is not None and obj.is_standard else []

    def has_delete_permission(self, request: HttpRequest, obj: IdentityResource | None = None) -> bool:
        """Never for a standard one."""
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_standard)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing is deleted from a selection with standard ones in it, and the page names them."""
        to_delete, counts, lacking, protected = super().get_deleted_objects(objs, request)
        standard = [_("%s (standard: disable it instead)") % row.name for row in objs if row.is_standard]
        return to_delete, counts, set() if standard else lacking, [*protected, *standard]


@admin.register(ApiScope)
class ApiScopeAdmin(RequestableAdmin):
    """What a client may be allowed to do in an API."""

    fields = [
        "name",
        "display_name",
        "description",
        "enabled",
        "required",
        "emphasize",
        "show_in_discovery_document",
        "user_claims",
        "parameterised",
        "requires_permission",
        "apis",
    ]
    readonly_fields = ["apis"]
    list_display = [*RequestableAdmin.list_display, "apis"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the APIs of each, in one query for all."""
        return super().get_queryset(request).prefetch_related("api_resources")

    @admin.display(description=_("APIs"))
    def apis(self, scope: ApiScope) -> str:
        """The APIs that the scope opens; each becomes an audience."""
        return ", ".join(api.name for api in scope.api_resources.all()) if scope.pk else ""


class ApiResourceForm(_ModelForm):
    """Algorithms are chosen from those that the server can make keys for."""

    allowed_access_token_signing_algorithms = forms.MultipleChoiceField(
        label=_("Access token signing algorithms"),
        choices=[(name.value, name.value) for name in Algorithm],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Those that the API can verify; none chosen means the server's."),
    )

    class Meta:
        model = ApiResource
        fields = "__all__"
        labels = {"api_scopes": _("API scopes")}


class ApiSecretInline(SecretInline):
    """The secrets of an API."""

    model = ApiSecret


@admin.register(ApiResource)
class ApiResourceAdmin(SecretHolderAdmin):
    """An API: the audience of access tokens that hold one of its scopes.

    With a secret it may ask about tokens (RFC 7662); an API that verifies JWTs by itself needs none.
    """

    form = ApiResourceForm
    inlines = [ApiSecretInline]
    fields = [
        "name",
        "display_name",
        "description",
        "enabled",
        "show_in_discovery_document",
        "api_scopes",
        "user_claims",
        "require_resource_indicator",
        "allowed_access_token_signing_algorithms",
    ]
    list_display = ["name", "display_name", "enabled", "require_resource_indicator"]
    list_filter = ["enabled", "require_resource_indicator"]
    search_fields = ["name", "display_name"]
    autocomplete_fields = ["api_scopes"]
    formfield_overrides = _LINES
