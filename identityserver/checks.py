"""System checks: what is missing or unsafe in the host's settings, each with what to do about it.

``ready()`` never touches settings; these say what is wrong. Errors would break sign-in or its safety,
warnings are for ``check --deploy`` and production.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router
from django.urls import NoReverseMatch, Resolver404, URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils import timezone

from identityserver import conf, encryption, uris
from identityserver.conf import options
from identityserver.endpoints.discovery import DiscoveryEndpoint
from identityserver.grant_types import served_grant_types
from identityserver.models import ApiResource, Client, ClientSecret, ServerSecret, SigningKey
from identityserver.tokens.rotation import propagation
from identityserver.vocabulary import Algorithm, RegistrationMode

_MIDDLEWARE = "identityserver.web.session.UserSessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"

_DOT = "oauth2_provider"
_OUR_DOT = "identityserver.resource_server."

#: DOT's authorization server beside ours would bypass our clients' policy; its resource-server parts are welcome.
_DOT_VIEWS = frozenset(
    {
        "AuthorizationView",
        "ConnectDiscoveryInfoView",
        "DeviceAuthorizationView",
        "DeviceConfirmView",
        "DeviceGrantStatusView",
        "DeviceUserCodeView",
        "DynamicClientRegistrationManagementView",
        "DynamicClientRegistrationView",
        "IntrospectTokenView",
        "JwksInfoView",
        "OAuthServerMetadataView",
        "RPInitiatedLogoutView",
        "RevokeTokenView",
        "TokenView",
        "UserInfoView",
    }
)

#: The newest secrets of clients that are tried: each may be a call to a key management service.
_SECRETS_TRIED = 50


@register
def check_options(**_: object) -> Iterable[CheckMessage]:
    """Every option is known, of its type, and points at something that exists."""
    try:
        options()
        for name in (
            "key_protector",
            "claims_source",
            "subject_source",
            "token_exchange_policy",
            "registration_policy",
        ):
            conf.load(name)
        served_grant_types()
        for path in (*options().event_sinks, *map(str, options().claim_functions.values())):
            conf.imported(path)
    except ImproperlyConfigured as error:
        yield Error(str(error), hint="docs/reference/settings.md lists every option.", id="identityserver.E001")
        return
    for name in ("access_token_signing_algorithm", "id_token_signing_algorithm"):
        if getattr(options(), name) not in set(Algorithm):
            yield Error(
                f"{conf.SETTING}[{name!r}] is not a supported algorithm.",
                hint=f"Use one of {', '.join(Algorithm)}.",
                id="identityserver.E002",
            )


@register
def check_registration(**_: object) -> Iterable[CheckMessage]:
    """Who may register clients is one of the ways there are (RFC 7591 §3)."""
    try:
        mode = options().registration
    except ImproperlyConfigured:  # check_options says so
        return
    if mode not in set(RegistrationMode):
        yield Error(
            f"{conf.SETTING}['registration'] is {mode!r}, which is no way to register clients.",
            hint=f"Use one of {', '.join(RegistrationMode)}.",
            id="identityserver.E018",
        )


@register
def check_issuer(**_: object) -> Iterable[CheckMessage]:
    """The issuer is set, https outside DEBUG, and a plain URL (RFC 8414 §2)."""
    issuer = _issuer()
    if issuer is None:
        return
    if not issuer:
        yield Error(
            f"{conf.SETTING}['issuer'] is not set.",
            hint="Set it to the public address of the site, such as 'https://id.example.com'.",
            id="identityserver.E003",
        )
        return
    parts = uris.parse(issuer)
    if parts is None or not parts.hostname or parts.query or parts.fragment or issuer.endswith("/"):
        yield Error(
            f"{conf.SETTING}['issuer'] must be an absolute URL without query, fragment or trailing slash.",
            id="identityserver.E004",
        )
    elif parts.scheme != "https" and not settings.DEBUG and not uris.is_loopback(parts.hostname):
        yield Error(
            f"{conf.SETTING}['issuer'] must be https outside DEBUG.",
            hint="Tokens sent over http can be read and used by anybody on the way (RFC 9700 §2.6).",
            id="identityserver.E005",
        )


@register(Tags.urls)
def check_urls(**_: object) -> Iterable[CheckMessage]:
    """Our URLs are included, where the issuer says they are."""
    try:
        mounted = reverse("identityserver:openid_configuration").partition("/.well-known/")[0]
    except NoReverseMatch:
        yield Error(
            "The URLs of identityserver are not included.",
            hint='Add path("", include("identityserver.urls")) to the root URLconf.',
            id="identityserver.E006",
        )
        return
    path = urlsplit(_issuer() or "").path.rstrip("/")
    if path != mounted and not (path == "" and _has_metadata_at_root()):
        yield Error(
            f"The issuer's path is {path or '/'!r}, but the URLs are mounted at {mounted or '/'!r}.",
            hint='Make them the same, or include "identityserver.well_known_urls" at the root.',
            id="identityserver.E007",
        )


@register
def check_dot_is_not_mounted(**_: object) -> Iterable[CheckMessage]:
    """django-oauth-toolkit's own endpoints, or a host's subclasses, would issue tokens past our clients' policy."""
    for pattern in _patterns():
        ancestry = getattr(getattr(pattern.callback, "view_class", None), "__mro__", ())
        names = [
            cls.__name__ for cls in ancestry if cls.__module__.startswith(f"{_DOT}.") and cls.__name__ in _DOT_VIEWS
        ]
        if names:
            yield Error(
                f"django-oauth-toolkit's {names[0]} is mounted beside identityserver.",
                hint="Remove oauth2_provider's URLs; its authentication classes and permissions keep working.",
                id="identityserver.E008",
            )


@register(Tags.security)
def check_dot_backend(**_: object) -> Iterable[CheckMessage]:
    """DOT's backend looks at the bearer token whatever credentials are given: a small scope becomes a session."""
    if f"{_DOT}.backends.OAuth2Backend" in settings.AUTHENTICATION_BACKENDS:
        yield Error(
            "oauth2_provider.backends.OAuth2Backend takes an access token for a password on any login form.",
            hint=f"Use '{_OUR_DOT}backends.AccessTokenBackend' in its place.",
            id="identityserver.E015",
        )


@register
def check_dot_settings(**_: object) -> Iterable[CheckMessage]:
    """Where DOT protects APIs, it must judge our tokens by our rules."""
    named = (getattr(settings, "OAUTH2_PROVIDER", None) or {}).get("OAUTH2_VALIDATOR_CLASS", "")
    is_ours = isinstance(named, str) and named.startswith(_OUR_DOT)
    if is_ours and not apps.is_installed(_DOT):
        yield Error(f"OAUTH2_PROVIDER names our validator, but {_DOT!r} is not installed.", id="identityserver.E016")
    if apps.is_installed(_DOT) and not named:
        yield checks.Warning(
            "django-oauth-toolkit does not accept the tokens of this provider.",
            hint="docs/how-to/protect-an-api.md shows the settings.",
            id="identityserver.W004",
        )


@register
def check_host(**_: object) -> Iterable[CheckMessage]:
    """Sessions, authentication and time zones are there, in the order that works."""
    for label in ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"):
        if not apps.is_installed(label):
            yield Error(f"identityserver needs {label!r} in INSTALLED_APPS.", id="identityserver.E009")
    middleware = list(settings.MIDDLEWARE)
    if _MIDDLEWARE not in middleware:
        yield Error(
            f"{_MIDDLEWARE!r} is not in MIDDLEWARE.",
            hint=f"Add it after {_AUTHENTICATION!r}: it signs a browser out whose session was ended.",
            id="identityserver.E010",
        )
    elif _AUTHENTICATION not in middleware or middleware.index(_AUTHENTICATION) > middleware.index(_MIDDLEWARE):
        yield Error(f"{_MIDDLEWARE!r} must come after {_AUTHENTICATION!r}.", id="identityserver.E011")
    if not settings.USE_TZ:
        yield Error("identityserver needs USE_TZ = True: lifetimes are judged in UTC.", id="identityserver.E012")
    user_database = router.db_for_write(apps.get_model(settings.AUTH_USER_MODEL))
    if router.db_for_write(Client) != user_database:
        yield Error("The tables of identityserver must share the users' database.", id="identityserver.E013")


@register(Tags.database, deploy=False)
def check_sqlite(databases: Iterable[str] | None = None, **_: object) -> Iterable[CheckMessage]:
    """SQLite waits for its lock and writes ahead, or a busy site answers with errors."""
    alias = router.db_for_write(Client)
    if alias not in (databases or ()) or connections[alias].vendor != "sqlite":
        return
    given = connections[alias].settings_dict.get("OPTIONS", {})
    if given.get("timeout", 5) < 5 or given.get("transaction_mode", "DEFERRED") == "DEFERRED":
        yield checks.Warning(
            f"The SQLite database {alias!r} gives up early when two requests write at once.",
            hint='Set "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"}; in production use PostgreSQL.',
            id="identityserver.W001",
        )


@register
def check_key_periods(**_: object) -> Iterable[CheckMessage]:
    """Keys are known before they sign, and each is announced while the last one signs."""
    try:
        chosen, needed = options(), propagation()
    except ImproperlyConfigured:  # check_options says so
        return
    if chosen.key_announcement >= chosen.key_signing_period:
        yield Error(
            f"{conf.SETTING}['key_announcement'] must be shorter than ['key_signing_period'].",
            hint="A key is announced while the one before it signs.",
            id="identityserver.E017",
        )
    if chosen.key_announcement < needed:
        yield checks.Warning(
            f"{conf.SETTING}['key_announcement'] is shorter than others may keep the key set.",
            hint=f"They refuse tokens of a key that they do not have yet. Make it {needed.seconds} seconds or more.",
            id="identityserver.W006",
        )


@register(Tags.database)
def check_clients(databases: Iterable[str] | None = None, **_: object) -> Iterable[CheckMessage]:
    """No client is meant for a grant type that the options leave out, or exchanges tokens for an API there is not."""
    if router.db_for_read(Client) not in (databases or ()) or _issuer() is None:
        return
    try:
        served, apis = set(served_grant_types()), set(ApiResource.objects.values_list("name", flat=True))
        rows = Client.objects.filter(enabled=True).values_list(*_CHECKED_FIELDS)
        for client_id, grant_types, targets, sources in rows.iterator():
            yield from _check_client(client_id, {*grant_types} - served, {*targets, *sources} - apis)
    except (DatabaseError, ImproperlyConfigured):  # not migrated yet; check_options says so
        return


@register(Tags.database)
def check_keys(databases: Iterable[str] | None = None, **_: object) -> Iterable[CheckMessage]:
    """Every key that signs, or is to, and every secret can be decrypted; none is ever silently replaced."""
    if router.db_for_read(SigningKey) not in (databases or ()):
        return
    try:
        signing = SigningKey.objects.filter(deleted_at=None, revoked_at=None, retires_at__gt=timezone.now())
        of_clients = ClientSecret.objects.exclude(encrypted="").select_related("client")[:_SECRETS_TRIED]
        every: list[SigningKey | ServerSecret | ClientSecret] = [*signing, *ServerSecret.objects.all(), *of_clients]
        for sealed in every:
            yield from _check_sealed(sealed)
    except DatabaseError:  # not migrated yet
        return


@register(Tags.security, deploy=True)
def check_key_encryption(**_: object) -> Iterable[CheckMessage]:
    """Private keys deserve a secret of their own."""
    try:
        chosen = options()
    except ImproperlyConfigured:
        return
    if not chosen.key_encryption_keys and not chosen.key_protector:
        yield checks.Warning(
            "Private keys are encrypted under SECRET_KEY.",
            hint=f"Set {conf.SETTING}['key_encryption_keys'], so that SECRET_KEY can change without losing them.",
            id="identityserver.W002",
        )


@register(Tags.security, deploy=True)
def check_csp_form_action(**_: object) -> Iterable[CheckMessage]:
    """A host-wide form-action stops the redirect from our pages to a client (Chromium enforces it along the chain)."""
    policy = getattr(settings, "SECURE_CSP", None) or getattr(settings, "CONTENT_SECURITY_POLICY", {})
    if "form-action" in (policy or {}) or "form-action" in (policy or {}).get("DIRECTIVES", {}):
        yield checks.Warning(
            "The site's Content-Security-Policy sets form-action.",
            hint="identityserver's pages send their own policy; make sure nothing on the way replaces it.",
            id="identityserver.W003",
        )


@register(Tags.security, deploy=True)
def check_cache(**_: object) -> Iterable[CheckMessage]:
    """Attempts are counted in Django's cache."""
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    if backend.endswith((".LocMemCache", ".DummyCache")):
        yield checks.Warning(
            "The default cache is not shared between processes, so each of them counts attempts to sign in by itself.",
            hint="Use Redis, Memcached or the database for CACHES['default'].",
            id="identityserver.W005",
        )


def _check_sealed(sealed: SigningKey | ServerSecret | ClientSecret) -> Iterator[CheckMessage]:
    try:
        sealed.decrypted()
    except encryption.Undecryptable as error:
        named = _named(sealed)
        yield Error(f"The {named} cannot be decrypted: {error}", hint=encryption.REMEDY, id="identityserver.E014")


def _named(sealed: SigningKey | ServerSecret | ClientSecret) -> str:
    match sealed:
        case SigningKey():
            return f"signing key {sealed.kid}"
        case ServerSecret():
            return f"server secret {sealed.purpose}"
    return f"secret {sealed} of the client {sealed.client.client_id}"


_CHECKED_FIELDS = ("client_id", "allowed_grant_types", "token_exchange_audiences", "token_exchange_sources")


def _check_client(client_id: str, unserved: set[str], unknown: set[str]) -> Iterator[CheckMessage]:
    if unserved:
        yield checks.Warning(
            f"The client {client_id} may use grant types that are not served: {', '.join(sorted(unserved))}.",
            hint="Turn them on by optional_grant_types or extension_grant_types, or take them from the client.",
            id="identityserver.W007",
        )
    if unknown:
        yield checks.Warning(
            f"The client {client_id} exchanges tokens for APIs that there are not: {', '.join(sorted(unknown))}.",
            hint="token_exchange_audiences and token_exchange_sources hold names of API resources.",
            id="identityserver.W008",
        )


def _issuer() -> str | None:
    try:
        return options().issuer
    except ImproperlyConfigured:  # check_options says so
        return None


def _has_metadata_at_root() -> bool:
    try:
        view = resolve("/.well-known/openid-configuration").func
    except Resolver404:
        return False
    return getattr(view, "view_class", None) is DiscoveryEndpoint


def _patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern)
        else:
            yield pattern
