"""What clients ask for by scope: identity data and APIs (OpenID Connect Core §5.4, RFC 6749 §3.3, RFC 8707)."""

from functools import cached_property
from typing import Any, ClassVar

from django.apps import apps as installed
from django.apps.registry import Apps
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, router
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from identityserver.conf import options
from identityserver.models.fields import StringListField
from identityserver.models.secrets import Secret
from identityserver.vocabulary import Algorithm, Scope

#: RFC 6749 §3.3: any visible ASCII but quote and backslash; the colon of name:value is part of it.
scope_name = RegexValidator(
    r"\A[\x21\x23-\x5b\x5d-\x7e]+\Z", _("Use visible ASCII characters without quotes or spaces.")
)

#: The standard identity resources and their claims (OpenID Connect Core §5.4).
STANDARD_IDENTITY_RESOURCES: dict[str, tuple[str, ...]] = {
    Scope.OPENID: ("sub",),
    Scope.PROFILE: (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    Scope.EMAIL: ("email", "email_verified"),
    Scope.PHONE: ("phone_number", "phone_number_verified"),
    Scope.ADDRESS: ("address",),
}


class Requestable(models.Model):
    """What a person may be asked to allow, and how it is shown."""

    name = models.CharField(max_length=200, unique=True, validators=[scope_name])
    display_name = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    required = models.BooleanField(default=False, help_text=_("The user cannot leave it out when consenting."))
    emphasize = models.BooleanField(default=False, help_text=_("Marked as important on the consent page."))
    show_in_discovery_document = models.BooleanField(default=True)
    user_claims = StringListField(help_text=_("Names of the claims it gives, one per line."))

    class Meta:
        abstract = True
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.display_name or self.name


class IdentityResource(Requestable):
    """A scope that gives claims about the user."""

    class Meta(Requestable.Meta):
        verbose_name = _("identity resource")
        verbose_name_plural = _("identity resources")

    @cached_property
    def mappings(self) -> "tuple[ClaimMapping, ...]":
        """Where its claims come from, read once for this instance."""
        return tuple(self.claim_mappings.all())

    @property
    def is_standard(self) -> bool:
        """Whether OpenID Connect itself names it; such a row can be disabled, never deleted."""
        return self.name in STANDARD_IDENTITY_RESOURCES

    def clean(self) -> None:
        """``offline_access`` is built in; names of API scopes are taken: both are asked for by ``scope``."""
        super().clean()
        _refuse_reserved(self.name, {Scope.OFFLINE_ACCESS})
        if ApiScope.objects.filter(name=self.name).exists():
            raise ValidationError({"name": _("An API scope has this name.")})


class ApiScope(Requestable):
    """A scope that gives access to something in an API."""

    parameterised = models.BooleanField(
        default=False,
        help_text=_("Clients ask for name:value, such as payment:123; every value asks the user again."),
    )
    requires_permission = models.CharField(
        max_length=255,
        blank=True,
        validators=[RegexValidator(r"\A\w+\.\w+\Z", _("Write it as app_label.codename."))],
        help_text=_("A Django permission, such as billing.view_invoice, that the user must hold."),
    )

    class Meta(Requestable.Meta):
        verbose_name = _("API scope")
        verbose_name_plural = _("API scopes")

    @cached_property
    def apis(self) -> "tuple[ApiResource, ...]":
        """The APIs that it belongs to, read once for this instance."""
        return tuple(self.api_resources.all())

    @cached_property
    def mappings(self) -> "tuple[ClaimMapping, ...]":
        """Where its claims come from, read once for this instance."""
        return tuple(self.claim_mappings.all())

    @property
    def leads_somewhere(self) -> bool:
        """Whether it belongs to no API in particular, or to one that is enabled."""
        return not self.apis or any(api.enabled for api in self.apis)

    def clean(self) -> None:
        """Names of identity resources are taken: both are asked for by ``scope``."""
        super().clean()
        if self.parameterised and ":" in self.name:
            raise ValidationError({"name": _("A scope that takes a parameter has no colon in its own name.")})
        _refuse_reserved(self.name, {*STANDARD_IDENTITY_RESOURCES, Scope.OFFLINE_ACCESS})
        if IdentityResource.objects.filter(name=self.name).exists():
            raise ValidationError({"name": _("An identity resource has this name.")})


class ApiResource(models.Model):
    """An API: its name becomes the audience of access tokens that hold one of its scopes."""

    name = models.CharField(max_length=200, unique=True, validators=[scope_name])
    display_name = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    show_in_discovery_document = models.BooleanField(default=True)
    api_scopes = models.ManyToManyField(ApiScope, blank=True, related_name="api_resources")
    user_claims = StringListField(help_text=_("Claims that every access token for this API carries, one per line."))
    require_resource_indicator = models.BooleanField(
        default=False, help_text=_("Isolated: only in the audience when a client names it (RFC 8707).")
    )
    allowed_access_token_signing_algorithms = StringListField(
        help_text=_("Signing algorithms that the API can verify, one per line; empty means the server's.")
    )

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("API resource")
        verbose_name_plural = _("API resources")

    def __str__(self) -> str:
        return self.display_name or self.name

    def clean(self) -> None:
        """Algorithms must be those that the key ring can make; the issuer's own name is the audience of sign-ins."""
        super().clean()
        if self.name == options().issuer:
            raise ValidationError({"name": _("Tokens for no API in particular have the issuer as their audience.")})
        unknown = set(self.allowed_access_token_signing_algorithms) - set(Algorithm)
        if unknown:
            raise ValidationError(
                {"allowed_access_token_signing_algorithms": _("Unknown algorithm: %s") % ", ".join(sorted(unknown))}
            )


class ApiSecret(Secret):
    """A secret of an API, by which it authenticates when it asks about a token (RFC 7662 §2.1)."""

    HOLDER = "api"

    api = models.ForeignKey(ApiResource, models.CASCADE, related_name="secrets")

    class Meta(Secret.Meta):
        verbose_name = _("API secret")
        verbose_name_plural = _("API secrets")


class ClaimMapping(models.Model):
    """Where a claim's value comes from; more specific rows win over the built-in mapping of Django's user."""

    class Source(models.TextChoices):
        ATTRIBUTE = "attribute", _("User attribute path")
        GROUPS = "groups", _("Names of the user's groups")
        PERMISSIONS = "permissions", _("The user's permissions")
        FUNCTION = "function", _("A function of the option claim_functions")

    claim = models.CharField(max_length=200, validators=[scope_name])
    source = models.CharField(max_length=20, choices=Source)
    path = models.CharField(
        max_length=255,
        blank=True,
        help_text=_("For an attribute: a path such as profile.phone. For a function: its name in claim_functions."),
    )
    identity_resource = models.ForeignKey(
        IdentityResource, models.CASCADE, null=True, blank=True, related_name="claim_mappings"
    )
    api_scope = models.ForeignKey(
        ApiScope, models.CASCADE, verbose_name=_("API scope"), null=True, blank=True, related_name="claim_mappings"
    )

    class Meta:
        verbose_name = _("claim mapping")
        verbose_name_plural = _("claim mappings")
        constraints: ClassVar = [
            # SQLite cannot make NULLs equal, hence 0 for "none".
            models.UniqueConstraint(
                "claim",
                Coalesce("identity_resource", 0),
                Coalesce("api_scope", 0),
                name="identityserver_claim_mapping_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.claim} ← {self.path or self.get_source_display()}"

    def clean(self) -> None:
        """A path names public attributes only, and never the password."""
        super().clean()
        if self.identity_resource_id and self.api_scope_id:
            raise ValidationError(_("Choose an identity resource or an API scope, not both."))
        if self.source in {self.Source.ATTRIBUTE, self.Source.FUNCTION} and not self.path:
            raise ValidationError({"path": _("This source needs a path.")})
        if self.source == self.Source.ATTRIBUTE and not is_safe_attribute_path(self.path):
            raise ValidationError(
                {"path": _("Use public attribute names joined by dots; the password is never a claim.")}
            )
        if self.claim in {"sub", "iss", "aud", "exp", "iat", "nonce", "sid", "jti", "client_id", "scope", "acr", "amr"}:
            raise ValidationError({"claim": _("The server itself sets this claim.")})


def is_safe_attribute_path(path: str) -> bool:
    """Whether a path from a user row reads nothing private."""
    names = path.split(".")
    return all(name.isidentifier() and not name.startswith("_") and name != "password" for name in names)


def _refuse_reserved(name: str, reserved: set[str]) -> None:
    if name in reserved:
        raise ValidationError({"name": _("This name is reserved.")})


def seed_identity_resources(using: str, apps: Apps = installed, **_kwargs: Any) -> None:
    """Create the standard identity resources that are not there (OpenID Connect Core §5.4).

    A receiver of ``post_migrate``, not a data migration, since a flush would delete those rows for good.
    ``apps`` is the state that a migration ended in; a flush gives none.
    """
    try:
        apps.get_model("identityserver", "IdentityResource")
    except LookupError:  # migrated back to zero
        return
    if router.allow_migrate_model(using, IdentityResource):
        IdentityResource.objects.using(using).bulk_create(
            [
                IdentityResource(name=str(name), user_claims=list(claims), required=name == Scope.OPENID)
                for name, claims in STANDARD_IDENTITY_RESOURCES.items()
            ],
            ignore_conflicts=True,
        )
