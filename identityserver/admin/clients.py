"""Clients and their secrets."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.widgets import AdminTextareaWidget
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin import secrets
from identityserver.admin.client_form import ClientForm, form_field_options, short_grant_type
from identityserver.admin.fields import StorableJSONField
from identityserver.admin.holders import SecretHolderAdmin, SecretInline
from identityserver.clients import unusable_because
from identityserver.grant_types import served_grant_types
from identityserver.models import Client, ClientSecret, Consent, Grant, Registration
from identityserver.models.fields import StringListField
from identityserver.vocabulary import AuthMethod

_REFRESH_TOKENS = (
    "refresh_token_absolute_lifetime",
    "refresh_token_sliding_lifetime",
    "refresh_token_usage",
    "refresh_token_expiration",
)
_SUBJECT = ("subject_type", "sector_identifier_uri")
_CLAIMS = ("always_include_user_claims_in_id_token", "claims", "always_send_client_claims", "client_claims_prefix")


class ClientSecretInline(SecretInline):
    """The secrets of a client."""

    model = ClientSecret


@admin.register(Client)
class ClientAdmin(SecretHolderAdmin):
    """What a client is, may do and gets."""

    form = ClientForm
    inlines = [ClientSecretInline]
    list_display = ["name", "usable", "client_id", "source", "grant_types", "token_endpoint_auth_method", "updated"]
    list_filter = ["enabled", "token_endpoint_auth_method", "application_type", "require_consent", "source"]
    search_fields = ["name", "client_id"]
    readonly_fields = ["usable", "source", "registered_by", "created", "updated"]
    autocomplete_fields = ["identity_resources", "api_scopes"]
    formfield_overrides = {
        StringListField: {"widget": AdminTextareaWidget(attrs={"rows": 4})},
        models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
        models.JSONField: {"form_class": StorableJSONField, "widget": AdminTextareaWidget(attrs={"rows": 4})},
    }
    fieldsets = [
        (None, {"fields": ["usable", "name", "client_id", "enabled", "description"]}),
        (
            gettext_lazy("How it signs people in"),
            {"fields": ["allowed_grant_types", "redirect_uris", "post_logout_redirect_uris", "allowed_cors_origins"]},
        ),
        (
            gettext_lazy("How it proves itself"),
            {
                "fields": [
                    "application_type",
                    "token_endpoint_auth_method",
                    "accept_either_secret_method",
                    "token_endpoint_auth_signing_alg",
                    "jwks",
                    "jwks_uri",
                    "require_pkce",
                ]
            },
        ),
        (
            gettext_lazy("What it may ask for, and for whom"),
            {"fields": ["identity_resources", "api_scopes", "allow_offline_access", "allowed_groups"]},
        ),
        (
            gettext_lazy("Hybrid and implicit flows"),
            {"classes": ["collapse"], "fields": ["response_types", "allow_access_tokens_via_browser"]},
        ),
        (
            gettext_lazy("Exchanging tokens"),
            {"classes": ["collapse"], "fields": ["token_exchange_audiences", "token_exchange_sources"]},
        ),
        (
            gettext_lazy("What people see"),
            {"classes": ["collapse"], "fields": ["client_uri", "logo_uri", "policy_uri", "tos_uri", "translations"]},
        ),
        (
            gettext_lazy("Consent"),
            {"classes": ["collapse"], "fields": ["require_consent", "allow_remember_consent", "consent_lifetime"]},
        ),
        (
            gettext_lazy("Sessions"),
            {
                "classes": ["collapse"],
                "fields": ["default_max_age", "user_sso_lifetime", "coordinate_lifetime_with_user_session"],
            },
        ),
        (
            gettext_lazy("Tokens"),
            {
                "classes": ["collapse"],
                "fields": [
                    "authorization_code_lifetime",
                    "device_code_lifetime",
                    "identity_token_lifetime",
                    "id_token_signed_response_alg",
                    "userinfo_signed_response_alg",
                    "access_token_type",
                    "access_token_lifetime",
                    "introspection_signed_response_alg",
                    *_REFRESH_TOKENS,
                ],
            },
        ),
        (
            gettext_lazy("Claims"),
            {"classes": ["collapse"], "fields": [*_SUBJECT, *_CLAIMS]},
        ),
        (
            gettext_lazy("Notes"),
            {
                "classes": ["collapse"],
                "fields": ["contacts", "properties", "source", "registered_by", "created", "updated"],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Client]:
        """Each with whether it has a secret that is good, and anything to ask for."""
        unexpired = Q(expires=None) | Q(expires__gt=timezone.now())
        sealed = ~Q(client__token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_JWT) | ~Q(encrypted="")
        secret = ClientSecret.objects.filter(unexpired, sealed, client=OuterRef("pk"))
        identity = Client.identity_resources.through.objects.filter(client=OuterRef("pk"))
        access = Client.api_scopes.through.objects.filter(client=OuterRef("pk"))
        return Client.objects.annotate(has_good_secret=Exists(secret), has_scopes=Exists(identity) | Exists(access))

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> list[str]:
        """An identifier that is in use elsewhere does not change."""
        return [*self.readonly_fields, *(["client_id"] if obj is not None else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        """What is only known of a client that is there is left out of the form of a new one."""
        known = () if obj is not None else ("usable", "source", "registered_by", "created", "updated")
        return [
            (title, {**said, "fields": [name for name in said["fields"] if name not in known]})
            for title, said in self.fieldsets
        ]

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Groups, too, where this site's admin can search them."""
        return [*self.autocomplete_fields, *(["allowed_groups"] if self._can_search_groups() else [])]

    def formfield_for_dbfield(self, db_field: "models.Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """The field with the choices and defaults of this server."""
        return super().formfield_for_dbfield(db_field, request, **{**form_field_options(db_field), **kwargs})

    @admin.display(description=gettext_lazy("grant types"))
    def grant_types(self, client: Client) -> str:
        """The grant types in one line."""
        return ", ".join(map(short_grant_type, client.allowed_grant_types))

    @admin.display(description=gettext_lazy("usable"))
    def usable(self, client: Client) -> str:
        """Whether requests of this client are served, and if not, why."""
        problem = self._problem(client)
        return _("No: %s") % problem if problem else _("Yes")

    @admin.display(description=gettext_lazy("registered by"))
    def registered_by(self, client: Client) -> str:
        """Who vouched for a client that registered itself (RFC 7591 §3)."""
        registration = Registration.objects.filter(client=client).select_related("initial_access_token").first()
        if registration is None:
            return "–"
        permit = registration.initial_access_token
        return _("itself, with the initial access token %s") % permit if permit else _("itself")

    def _lacks_secret(self, client: Client) -> str:
        if client.keeps_secrets_recoverable and client.secrets.exists():
            return _("It has no secret that client_secret_jwt can use: generate one.")
        return _("It has no secret, or none that has not expired.")

    def _problem(self, client: Any) -> str:
        if not client.enabled:
            return _("It is disabled.")
        if client.has_secrets and not client.has_good_secret:
            return self._lacks_secret(client)
        if problem := unusable_because(client):
            return problem
        if served_grant_types().keys().isdisjoint(client.allowed_grant_types):
            return _("The options of this site serve none of its grant types.")
        return "" if client.has_scopes else _("It may ask for nothing: choose identity resources or API scopes.")

    def _can_search_groups(self) -> bool:
        groups = self.admin_site._registry.get(Group)
        return groups is not None and bool(groups.search_fields)

    # --- Secrets

    def takes_secrets(self, holder: Client) -> bool:
        """Whether its method needs one."""
        return holder.has_secrets

    def response_add(self, request: HttpRequest, obj: Client, post_url_continue: str | None = None) -> HttpResponse:
        """A client that needs a secret gets its first at once; reloading finds the client_id taken."""
        if not obj.has_secrets or IS_POPUP_VAR in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return secrets.new_secret_page(self, request, obj)

    # --- Deletion

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with the clients, in numbers: there may be more grants than a page can list."""
        clients = list(objs)
        related = {
            model._meta.verbose_name_plural: model._default_manager.filter(client__in=clients).count()
            for model in (ClientSecret, Consent, Grant)
        }
        lacking = set() if all(map(partial(self.has_delete_permission, request), clients)) else {self.opts.verbose_name}
        return list(map(str, clients)), {self.opts.verbose_name_plural: len(clients), **related}, lacking, []
