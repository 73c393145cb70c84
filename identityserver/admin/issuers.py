"""Trusted issuers: whose assertions are good for access tokens (RFC 7523 §2.1)."""

from typing import TYPE_CHECKING

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.base import ModelAdmin
from identityserver.admin.fields import OptionalJSONField
from identityserver.grant_types import served_grant_types
from identityserver.models import TrustedIssuer
from identityserver.vocabulary import Algorithm, GrantType

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[TrustedIssuer]
else:
    _ModelForm = forms.ModelForm


class TrustedIssuerForm(_ModelForm):
    """Keys or their address, and algorithms chosen from those that we can verify."""

    jwks = OptionalJSONField(
        label=gettext_lazy("Keys"),
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 6}),
        help_text=gettext_lazy("A JSON Web Key Set with public keys; or give the address below."),
    )
    algorithms = forms.MultipleChoiceField(
        label=gettext_lazy("Signing algorithms"),
        choices=[(name.value, name.value) for name in Algorithm],
        widget=forms.CheckboxSelectMultiple,
        initial=[Algorithm.ES256.value, Algorithm.RS256.value],
        help_text=gettext_lazy("Those that the issuer uses; no other is accepted."),
    )

    class Meta:
        model = TrustedIssuer
        fields = "__all__"
        labels = {
            "jwks_uri": gettext_lazy("Address of the keys"),
            "subject_mapping": gettext_lazy("sub is"),
            "api_scopes": gettext_lazy("API scopes"),
        }
        help_texts = {
            "jwks_uri": gettext_lazy("Fetched when an assertion comes, kept for five minutes; it must be https."),
            "subject_mapping": gettext_lazy(
                "Which user an assertion is about. E-mail addresses only where this site has verified them all."
            ),
        }


@admin.register(TrustedIssuer)
class TrustedIssuerAdmin(ModelAdmin):
    """Who may vouch for users, by which keys, and for what at most."""

    form = TrustedIssuerForm
    fields = [
        "served",
        "issuer",
        "name",
        "enabled",
        "jwks",
        "jwks_uri",
        "algorithms",
        "subject_mapping",
        "api_scopes",
    ]
    readonly_fields = ["served"]
    list_display = ["__str__", "issuer", "enabled", "subject_mapping"]
    list_filter = ["enabled", "subject_mapping"]
    search_fields = ["issuer", "name"]
    autocomplete_fields = ["api_scopes"]

    @admin.display(description=gettext_lazy("assertions"))
    def served(self, issuer: TrustedIssuer) -> str:
        """Whether the server takes assertions at all."""
        if GrantType.JWT_BEARER in served_grant_types():
            return _("Accepted from clients that may use the grant type %s.") % GrantType.JWT_BEARER
        return _("Not accepted: the option optional_grant_types does not name %s.") % GrantType.JWT_BEARER
