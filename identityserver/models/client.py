"""Registered clients and their secrets (RFC 7591 §2, OpenID Connect Dynamic Client Registration §2)."""

import secrets
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator, URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver import uris
from identityserver.conf import options
from identityserver.key_sets import KeySet, key_set_problem
from identityserver.models.fields import Each, StringListField, now
from identityserver.models.resources import ApiScope, IdentityResource
from identityserver.models.secrets import Secret
from identityserver.outbound import UrlRefused
from identityserver.outbound.target import read_target
from identityserver.vocabulary import (
    SECRET_METHODS,
    SENT_SECRET_METHODS,
    AccessTokenType,
    Algorithm,
    ApplicationType,
    AuthMethod,
    ClientSource,
    GrantType,
    MacAlgorithm,
    RefreshTokenExpiration,
    RefreshTokenUsage,
    ResponseType,
    SubjectType,
)

_client_id = RegexValidator(r"\A[\x21-\x7e]+\Z", _("Use visible ASCII characters without spaces (RFC 6749 §A.1)."))
_at_least_a_second = MinValueValidator(1)
_link = URLValidator(schemes=["https", "http"])

#: The algorithms of client assertions, by the method they are for (OpenID Connect Core §9).
ASSERTION_ALGORITHMS: dict[str, type[StrEnum]] = {
    AuthMethod.CLIENT_SECRET_JWT: MacAlgorithm,
    AuthMethod.PRIVATE_KEY_JWT: Algorithm,
}


#: With their words in order: what they mean does not depend on it (RFC 6749 §3.1.1).
_RESPONSE_TYPES = {" ".join(sorted(name.split())) for name in ResponseType}


def new_client_id() -> str:
    """An identifier that says nothing: 128 random bits."""
    return secrets.token_urlsafe(16)


def _default_grant_types() -> list[str]:
    return [GrantType.AUTHORIZATION_CODE.value]


def _default_response_types() -> list[str]:
    return [ResponseType.CODE.value]


def _choices(enumeration: type[StrEnum]) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in enumeration]


class Client(models.Model):
    """A piece of software that requests tokens.

    Rows served from memory (``clients.find_client``) are shared between requests and frozen.
    """

    # Identity
    client_id = models.CharField(max_length=255, unique=True, default=new_client_id, validators=[_client_id])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    client_uri = models.CharField(max_length=500, blank=True, validators=[_link])
    logo_uri = models.CharField(max_length=500, blank=True, validators=[_link])
    policy_uri = models.CharField(max_length=500, blank=True, validators=[_link])
    tos_uri = models.CharField(max_length=500, blank=True, validators=[_link])
    contacts = StringListField()
    application_type = models.CharField(
        max_length=10, choices=_choices(ApplicationType), default=ApplicationType.WEB.value
    )
    profile = models.CharField(max_length=40, blank=True, help_text=_("Security profile."))
    translations = models.JSONField(default=dict, blank=True, help_text=_('{"name": {"de": "…"}}'))
    enabled = models.BooleanField(default=True, help_text=_("A disabled client is treated as unknown everywhere."))
    source = models.CharField(max_length=10, choices=_choices(ClientSource), default=ClientSource.MANUAL.value)
    properties = models.JSONField(default=dict, blank=True, help_text=_("For the host site's own use."))
    created = models.DateTimeField(default=now, editable=False)
    updated = models.DateTimeField(auto_now=True)

    # Authentication
    token_endpoint_auth_method = models.CharField(
        max_length=40, choices=_choices(AuthMethod), default=AuthMethod.CLIENT_SECRET_BASIC.value
    )
    accept_either_secret_method = models.BooleanField(
        default=True, help_text=_("client_secret_basic and client_secret_post stand for each other.")
    )
    token_endpoint_auth_signing_alg = models.CharField(
        max_length=10,
        blank=True,
        choices=[*_choices(Algorithm), *_choices(MacAlgorithm)],
        help_text=_("The only algorithm of its assertions; empty means any that its method allows."),
    )
    jwks = models.JSONField(null=True, blank=True)
    jwks_uri = models.CharField(max_length=500, blank=True)
    tls_client_auth_subject_dn = models.CharField(max_length=500, blank=True)
    tls_client_auth_san_dns = models.CharField(max_length=255, blank=True)
    tls_client_auth_san_uri = models.CharField(max_length=500, blank=True)
    tls_client_auth_san_ip = models.CharField(max_length=45, blank=True)
    tls_client_auth_san_email = models.CharField(max_length=255, blank=True)

    # Grants
    allowed_grant_types = StringListField(default=_default_grant_types)
    response_types = StringListField(default=_default_response_types)
    require_pkce = models.BooleanField(default=True, help_text=_("Proof Key for Code Exchange, method S256."))
    require_pushed_authorization_requests = models.BooleanField(default=False)
    require_signed_request_object = models.BooleanField(default=False)
    require_dpop = models.BooleanField(default=False)
    tls_client_certificate_bound_access_tokens = models.BooleanField(default=False)
    allow_access_tokens_via_browser = models.BooleanField(default=False)
    default_max_age = models.PositiveIntegerField(null=True, blank=True, help_text=_("Seconds."))
    default_acr_values = StringListField()
    require_auth_time = models.BooleanField(default=False)
    authorization_details_types = StringListField()
    backchannel_token_delivery_mode = models.CharField(max_length=4, blank=True)
    backchannel_client_notification_endpoint = models.CharField(max_length=500, blank=True)
    token_exchange_audiences = StringListField(
        help_text=_("API resources by name: those for which it may exchange tokens (RFC 8693).")
    )
    token_exchange_sources = StringListField(
        help_text=_(
            "API resources by name: those that it is the software of, so that it may exchange the tokens that it "
            "was called with. Its own tokens it may exchange in any case."
        )
    )

    # Places
    redirect_uris = StringListField(validators=[Each(uris.redirect_uri_problem)])
    post_logout_redirect_uris = StringListField(validators=[Each(uris.redirect_uri_problem)])
    allowed_cors_origins = StringListField(validators=[Each(uris.origin_problem)])
    initiate_login_uri = models.CharField(max_length=500, blank=True)
    front_channel_logout_uri = models.CharField(max_length=500, blank=True)
    front_channel_logout_session_required = models.BooleanField(default=True)
    back_channel_logout_uri = models.CharField(max_length=500, blank=True)
    back_channel_logout_session_required = models.BooleanField(default=True)
    sector_identifier_uri = models.CharField(max_length=500, blank=True)
    request_uris = StringListField(validators=[Each(uris.web_uri_problem)])

    # Access
    identity_resources = models.ManyToManyField(IdentityResource, blank=True, related_name="clients")
    api_scopes = models.ManyToManyField(ApiScope, blank=True, related_name="clients")
    allow_offline_access = models.BooleanField(default=False, help_text=_("May ask for refresh tokens."))
    allowed_groups = models.ManyToManyField(
        Group, blank=True, related_name="+", help_text=_("Groups whose members may use it; empty means everybody.")
    )
    is_restricted_to_groups = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Kept with allowed_groups: where all of those were deleted, nobody may use it."),
    )
    enable_local_login = models.BooleanField(default=True)
    identity_provider_restrictions = StringListField()
    user_sso_lifetime = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Seconds since the user signed in after which this client asks again.")
    )

    # Consent
    require_consent = models.BooleanField(default=False)
    allow_remember_consent = models.BooleanField(default=True)
    consent_lifetime = models.PositiveIntegerField(
        null=True, blank=True, validators=[_at_least_a_second], help_text=_("Seconds; empty means for ever.")
    )

    # Tokens: lifetimes in seconds, where nothing means the server's
    access_token_type = models.CharField(
        max_length=10, choices=_choices(AccessTokenType), default=AccessTokenType.JWT.value
    )
    authorization_code_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    identity_token_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    access_token_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    device_code_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    ciba_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    pushed_request_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    refresh_token_absolute_lifetime = models.PositiveIntegerField(
        null=True, blank=True, validators=[_at_least_a_second]
    )
    refresh_token_sliding_lifetime = models.PositiveIntegerField(null=True, blank=True, validators=[_at_least_a_second])
    refresh_token_usage = models.CharField(
        max_length=10, choices=_choices(RefreshTokenUsage), default=RefreshTokenUsage.AUTO.value
    )
    refresh_token_expiration = models.CharField(
        max_length=10, choices=_choices(RefreshTokenExpiration), default=RefreshTokenExpiration.SLIDING.value
    )
    update_access_token_claims_on_refresh = models.BooleanField(default=False)
    always_include_user_claims_in_id_token = models.BooleanField(default=False)
    claims = models.JSONField(default=dict, blank=True, help_text=_("Fixed claims of the client itself."))
    always_send_client_claims = models.BooleanField(
        default=False, help_text=_("Also when a user is involved, not only with client credentials.")
    )
    client_claims_prefix = models.CharField(max_length=40, blank=True, default="client_")
    id_token_signed_response_alg = models.CharField(max_length=10, blank=True, choices=_choices(Algorithm))
    id_token_encrypted_response_alg = models.CharField(max_length=40, blank=True)
    id_token_encrypted_response_enc = models.CharField(max_length=40, blank=True)
    userinfo_signed_response_alg = models.CharField(max_length=10, blank=True, choices=_choices(Algorithm))
    userinfo_encrypted_response_alg = models.CharField(max_length=40, blank=True)
    userinfo_encrypted_response_enc = models.CharField(max_length=40, blank=True)
    request_object_signing_alg = models.CharField(max_length=10, blank=True, choices=_choices(Algorithm))
    request_object_encryption_alg = models.CharField(max_length=40, blank=True)
    request_object_encryption_enc = models.CharField(max_length=40, blank=True)
    introspection_signed_response_alg = models.CharField(max_length=10, blank=True, choices=_choices(Algorithm))
    introspection_encrypted_response_alg = models.CharField(max_length=40, blank=True)
    introspection_encrypted_response_enc = models.CharField(max_length=40, blank=True)
    authorization_signed_response_alg = models.CharField(max_length=10, blank=True, choices=_choices(Algorithm))
    authorization_encrypted_response_alg = models.CharField(max_length=40, blank=True)
    authorization_encrypted_response_enc = models.CharField(max_length=40, blank=True)
    subject_type = models.CharField(max_length=10, choices=_choices(SubjectType), default=SubjectType.PUBLIC.value)

    # Session
    coordinate_lifetime_with_user_session = models.BooleanField(
        null=True, blank=True, help_text=_("End its tokens when the user signs out; unknown means the server's choice.")
    )

    class Meta:
        ordering: ClassVar = ["name", "client_id"]
        verbose_name = _("client")
        verbose_name_plural = _("clients")

    _frozen = False

    def __str__(self) -> str:
        return self.name or self.client_id

    def __setattr__(self, name: str, value: Any) -> None:
        if self._frozen:
            raise AttributeError(
                f"This {type(self).__name__} is shared between requests; load a row of your own to change it."
            )
        super().__setattr__(name, value)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it; its secrets stay recoverable only where it authenticates by client_secret_jwt."""
        super().save(*args, **kwargs)
        if not self.keeps_secrets_recoverable:
            self.secrets.exclude(encrypted="").update(encrypted="")

    def freeze(self) -> None:
        """Make the row read only, so that it can be shared between requests."""
        self._frozen = True

    def clean(self) -> None:
        """Refuse combinations that cannot work, with messages a person can act on."""
        super().clean()
        problems: dict[str, Any] = {}
        if GrantType.AUTHORIZATION_CODE in self.allowed_grant_types and not self.redirect_uris:
            problems["redirect_uris"] = _("The authorization code grant needs at least one redirect URI.")
        if self.is_public and not self.require_pkce:
            problems["require_pkce"] = _("A public client needs PKCE (RFC 9700 §2.1.1).")
        if self.allow_offline_access != (GrantType.REFRESH_TOKEN in self.allowed_grant_types):
            problems["allow_offline_access"] = _("Offline access and the refresh_token grant type go together.")
        if unknown := {" ".join(sorted(name.split())) for name in self.response_types} - _RESPONSE_TYPES:
            problems["response_types"] = _("Unknown response type: %s") % ", ".join(sorted(unknown))
        if self.subject_type == SubjectType.PAIRWISE and not self.sector:
            problems["sector_identifier_uri"] = _("Pairwise subjects need it unless all redirect URIs have one host.")
        problems.update({**_key_problems(self), **_grant_type_problems(self), **_json_problems(self)})
        if problems:
            raise ValidationError(problems)

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 §2.1)."""
        return self.token_endpoint_auth_method == AuthMethod.NONE

    @property
    def has_secrets(self) -> bool:
        """Whether it authenticates by a secret."""
        return self.token_endpoint_auth_method in SECRET_METHODS

    @property
    def keeps_secrets_recoverable(self) -> bool:
        """Whether its secrets are keys of MACs, so that a digest is not enough (OpenID Connect Core §10.1)."""
        return self.token_endpoint_auth_method == AuthMethod.CLIENT_SECRET_JWT

    @cached_property
    def accepted_auth_methods(self) -> frozenset[str]:
        """The methods by which it may authenticate."""
        registered = AuthMethod(self.token_endpoint_auth_method)
        if (
            self.accept_either_secret_method
            and registered in SENT_SECRET_METHODS
            and self.source == ClientSource.MANUAL
        ):
            return SENT_SECRET_METHODS
        return frozenset({registered})

    @property
    def assertion_algorithms(self) -> frozenset[str]:
        """The algorithms of its client assertions, where it authenticates by them."""
        allowed: frozenset[str] = frozenset(ASSERTION_ALGORITHMS.get(self.token_endpoint_auth_method, ()))
        only = self.token_endpoint_auth_signing_alg
        return allowed & {only} if only else allowed

    @cached_property
    def registered_keys(self) -> KeySet:
        """The keys that were registered by value (RFC 7591 §2), read once for a row that is shared."""
        return KeySet.of(self.jwks or {"keys": []})

    @cached_property
    def sector(self) -> str:
        """The host that its pairwise subjects are for (OpenID Connect Core §8.1); ``""`` where that is not certain."""
        if self.sector_identifier_uri:
            parts = uris.parse(self.sector_identifier_uri)
            return (parts.hostname or "").lower() if parts is not None else ""
        hosts = {uris.own_host(uri) for uri in self.redirect_uris}
        return hosts.pop() if len(hosts) == 1 else ""

    @property
    def coordinates_with_session(self) -> bool:
        """Whether its grants end with the user session."""
        if self.coordinate_lifetime_with_user_session is None:
            return options().coordinate_lifetime_with_user_session
        return self.coordinate_lifetime_with_user_session

    @property
    def rotates_refresh_tokens(self) -> bool:
        """Whether each use of a refresh token replaces it."""
        if self.refresh_token_usage == RefreshTokenUsage.AUTO:
            return self.is_public
        return self.refresh_token_usage == RefreshTokenUsage.ONE_TIME

    @property
    def is_silent_allowed(self) -> bool:
        """Whether no page need be shown: any app can impersonate a public native client (RFC 8252 §8.6)."""
        if not self.is_public:
            return True
        return not any(_is_native(uri) for uri in self.redirect_uris)

    def lifetime(self, name: str) -> timedelta:
        """The lifetime ``name``, such as ``access_token_lifetime``: the client's own or else the server's."""
        own = getattr(self, name)
        server: timedelta = getattr(options(), name)
        return server if own is None else timedelta(seconds=own)

    @cached_property
    def longest_token_lifetime(self) -> int:
        """Seconds that the longest-lived token it is issued is valid: whatever signs one must be kept as long."""
        lifetimes = (self.lifetime("access_token_lifetime"), self.lifetime("identity_token_lifetime"))
        return int(max(lifetimes).total_seconds())

    def text(self, field: str, language: str) -> str:
        """``name``, ``description`` or a link in the person's language, or else as registered."""
        translated = self.translations.get(field, {})
        return str(translated.get(language) or translated.get(language.partition("-")[0]) or getattr(self, field))

    @cached_property
    def secrets_in_use(self) -> tuple["ClientSecret", ...]:
        """Its secrets; whether one has expired is asked at the time of use."""
        return tuple(self.secrets.all())

    @cached_property
    def has_guessable_secret(self) -> bool:
        """Whether a person may have chosen one of its secrets, so that guessing must be slowed down."""
        return any(secret.kind != ClientSecret.Kind.GENERATED for secret in self.secrets_in_use)

    @cached_property
    def identity_scopes(self) -> dict[str, IdentityResource]:
        """The enabled identity resources it may ask for, by name."""
        return {resource.name: resource for resource in self.identity_resources.all() if resource.enabled}

    @cached_property
    def access_scopes(self) -> dict[str, ApiScope]:
        """The enabled API scopes it may ask for, by name; one whose APIs are all disabled is of no use."""
        return {scope.name: scope for scope in self.api_scopes.all() if scope.enabled and scope.leads_somewhere}

    @cached_property
    def particular_apis(self) -> tuple[Any, ...]:
        """The APIs of its scopes that can only verify some signing algorithms."""
        apis = (api for scope in self.access_scopes.values() for api in scope.apis)
        return tuple(api for api in apis if api.allowed_access_token_signing_algorithms)

    @cached_property
    def taken_scopes(self) -> frozenset[str]:
        """Names of scopes of their own that a parameterised scope of the client's does not stand for."""
        return frozenset(
            name
            for scope in self.access_scopes.values()
            if scope.parameterised
            for name in ApiScope.objects.filter(name__startswith=f"{scope.name}:").values_list("name", flat=True)
        )

    @cached_property
    def group_ids(self) -> frozenset[int]:
        """The groups whose members may use it, where it is restricted to groups."""
        return frozenset(group.pk for group in self.allowed_groups.all())

    @cached_property
    def admits_everybody(self) -> bool:
        """Whether it is for no groups in particular; not so where those it was for have been deleted."""
        return not self.is_restricted_to_groups and not self.group_ids

    def admits(self, user: Any) -> bool:
        """Whether ``user`` may use it."""
        if self.admits_everybody:
            return True
        return hasattr(user, "groups") and user.groups.filter(pk__in=self.group_ids).exists()


class ClientSecret(Secret):
    """A secret of a client; several at once make rotation possible."""

    HOLDER = "client"

    client = models.ForeignKey(Client, models.CASCADE, related_name="secrets")

    class Meta(Secret.Meta):
        verbose_name = _("client secret")
        verbose_name_plural = _("client secrets")


def _key_problems(client: Client) -> dict[str, Any]:
    """What is wrong with the keys of a client and what it wants to do with them (RFC 7591 §2)."""
    problems: dict[str, Any] = {}
    if client.jwks is not None and client.jwks_uri:
        problems["jwks_uri"] = _("Register the keys or where they are, not both (RFC 7591 §2).")
    elif client.jwks_uri and (problem := key_address_problem(client.jwks_uri)):
        problems["jwks_uri"] = problem
    if client.jwks is not None and (problem := key_set_problem(client.jwks)):
        problems["jwks"] = problem
    elif client.token_endpoint_auth_method == AuthMethod.PRIVATE_KEY_JWT and not _has_keys(client):
        problems["jwks"] = _("private_key_jwt needs a public key for signatures, here or at jwks_uri.")
    algorithms = ASSERTION_ALGORITHMS.get(client.token_endpoint_auth_method)
    if algorithms and client.token_endpoint_auth_signing_alg not in {"", *algorithms}:
        problems["token_endpoint_auth_signing_alg"] = _("The authentication method has no such algorithm.")
    return problems


def _has_keys(client: Client) -> bool:
    """Whether it registered a key that can verify its assertions, or where to find one."""
    if client.jwks_uri:
        return True
    keys = KeySet.of(client.jwks) if client.jwks is not None else KeySet(())
    return any(key.algorithm in client.assertion_algorithms for key in keys.verifiers)


def key_address_problem(uri: str) -> str:
    try:
        read_target(uri)
    except UrlRefused as refusal:
        return str(refusal)
    return ""


def _grant_type_problems(client: Client) -> dict[str, Any]:
    """What the grant types of a client ask of it; whether the server's options allow them is another matter."""
    types, problems = client.allowed_grant_types, {}
    is_dynamic = client.source in {ClientSource.DCR, ClientSource.CIMD}
    if GrantType.CLIENT_CREDENTIALS in types and client.is_public:
        problems["allowed_grant_types"] = _("Client credentials need a client that authenticates (RFC 6749 §4.4).")
    if GrantType.TOKEN_EXCHANGE in types and client.is_public:
        problems["allowed_grant_types"] = _("Token exchange needs a client that authenticates (RFC 8693 §5).")
    if GrantType.TOKEN_EXCHANGE in types and not client.token_exchange_audiences:
        problems["token_exchange_audiences"] = _("Token exchange needs at least one API to exchange tokens for.")
    if GrantType.PASSWORD in types and client.is_public and is_dynamic:
        problems["allowed_grant_types"] = _("No password is given to software that anybody may have registered.")
    return problems


def _is_native(uri: str) -> bool:
    parts = uris.parse(uri)
    return parts is None or parts.scheme not in {"http", "https"} or uris.is_loopback(parts.hostname)


def _json_problems(client: Client) -> dict[str, Any]:
    problems: dict[str, Any] = {}
    if not isinstance(client.claims, dict):
        problems["claims"] = _("Enter a JSON object.")
    if not _is_translations(client.translations):
        problems["translations"] = _("Enter a JSON object of field, language and text.")
    return problems


def _is_translations(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values()) for texts in value.values()
    )
