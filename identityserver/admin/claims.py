"""Where claims come from."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _

from identityserver.admin.base import ModelAdmin
from identityserver.conf import options
from identityserver.models import ClaimMapping

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[ClaimMapping]
else:
    _ModelForm = forms.ModelForm

_WITH_PATH = frozenset({ClaimMapping.Source.ATTRIBUTE, ClaimMapping.Source.FUNCTION})


class ClaimMappingForm(_ModelForm):
    """Only functions that the site's settings name can be chosen, so the admin runs no code of its own."""

    class Meta:
        model = ClaimMapping
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        """A path where the source needs one, and a function only by a name that the option lists."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("source") not in _WITH_PATH:
            cleaned["path"] = ""
        elif cleaned["source"] == ClaimMapping.Source.FUNCTION and cleaned.get("path") not in ("", *_functions()):
            self.add_error("path", _("The option claim_functions has no such name. %s") % functions_help())
        if self._repeats_another(cleaned):
            self.add_error("claim", _("There is a mapping of this claim for the same resource or scope."))
        return cleaned

    def _repeats_another(self, cleaned: dict[str, Any]) -> bool:
        """The constraint of the table says the same, in words for nobody."""
        same = {name: cleaned.get(name) for name in ("claim", "identity_resource", "api_scope")}
        others = ClaimMapping.objects.exclude(pk=self.instance.pk)
        return bool(same["claim"]) and others.filter(**same).exists()


@admin.register(ClaimMapping)
class ClaimMappingAdmin(ModelAdmin):
    """From users to claims; for everything, or for one identity resource or API scope."""

    form = ClaimMappingForm
    fields = ["claim", "source", "path", "identity_resource", "api_scope"]
    list_display = ["claim", "source", "path", "identity_resource", "api_scope"]
    list_filter = ["source"]
    list_select_related = ["identity_resource", "api_scope"]
    search_fields = ["claim", "path"]
    autocomplete_fields = ["identity_resource", "api_scope"]
    ordering = ["claim", "pk"]

    def formfield_for_dbfield(self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """The path with what may stand there."""
        if db_field.name == "path":
            kwargs["help_text"] = f"{_('For an attribute: a path such as profile.phone.')} {functions_help()}"
        return super().formfield_for_dbfield(db_field, request, **kwargs)


def functions_help() -> str:
    """A sentence about the functions that can be named."""
    names = ", ".join(_functions())
    return _("For a function, one of: %s.") % names if names else _("The option claim_functions lists no function.")


def _functions() -> list[str]:
    return sorted(options().claim_functions)
