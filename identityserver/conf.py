"""Options: one frozen, typed value read from ``settings.IDENTITYSERVER``.

An option is one field below, with its type, default, help and source. The manual
(``docs/reference/settings.md``), the checks and the error messages derive from it.
What belongs to a client lives on the client, not here.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar, get_origin, get_type_hints

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

SETTING = "IDENTITYSERVER"

T = TypeVar("T")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_derived: list[Callable[[], None]] = []


def option(default: T, help: str, *, spec: str = "") -> T:
    """Declare an option: its default, what it does in one sentence, and where it comes from."""
    metadata = {"help": help, "spec": spec}
    if isinstance(default, Mapping):  # a mapping is unhashable, which dataclasses takes for mutable
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What a deployment decides. Read it with :func:`options`."""

    # The server
    issuer: str = option(
        "",
        "The issuer identifier: the public https address under which the endpoints are mounted, without a trailing "
        "slash. Required where DEBUG is off; with DEBUG on it falls back to http://localhost:8000.",
        spec="OpenID Connect Discovery §3, RFC 8414 §2",
    )
    configuration_cache_seconds: int = option(
        10,
        "How long clients, resources and keys may be served from memory after another process changed them; "
        "0 reads them anew for each request.",
    )
    trusted_proxy_count: int = option(
        0, "How many reverse proxies stand before the site and append to X-Forwarded-For; 0 ignores the header."
    )

    # Signing in
    login_url: str = option(
        "",
        "The host's own login page, as a path or URL name; it must honour ?next=. Empty means the page of this app.",
    )
    authentication_contexts: Mapping[str, Any] = option(
        _NOTHING,
        'What a sign-in through a Django authentication backend is worth: {"dotted.Backend": {"acr": "…", '
        '"amr": ["…"]}}.',
        spec="OpenID Connect Core §2, RFC 8176",
    )
    interaction_lifetime: timedelta = option(
        timedelta(hours=1), "How long a person may take to sign in and consent before the request expires."
    )
    user_session_lifetime: timedelta = option(
        timedelta(days=14), "The longest time that one sign-in may last, whatever the Django session's age."
    )
    coordinate_lifetime_with_user_session: bool = option(
        False,
        "End a client's grants when the user session they were issued in ends; each client may decide otherwise.",
    )
    login_attempts_per_minute: int = option(
        10, "Failed sign-ins per user name and address, and four times as many per address, before a wait."
    )
    client_authentication_failures_per_minute: int = option(
        60, "Failed client authentications per client_id and address before 429 answers them; 0 sets no limit."
    )
    strict_assertion_audience: bool = option(
        False,
        "Take client assertions only where their aud is the issuer, as a string; otherwise a list, the token endpoint "
        "and the endpoint that is called will do, too.",
        spec="RFC 7523 §3, FAPI 2.0 Security Profile §5.3.2.1",
    )

    # Devices
    device_polling_interval: timedelta = option(
        timedelta(seconds=5),
        "How long a device waits between polls; one that does not is told to, and waits five seconds longer each time.",
        spec="RFC 8628 §3.2, §3.5",
    )
    device_requests_per_minute: int = option(
        60, "Device authorization requests per client_id and address before 429 answers them; 0 sets no limit."
    )
    user_code_attempts: int = option(
        5,
        "Wrong user codes per person in five minutes, and four times as many per address, before a wait; "
        "0 sets no limit.",
        spec="RFC 8628 §5.1",
    )

    # Lifetimes; a client may set its own
    authorization_code_lifetime: timedelta = option(
        timedelta(seconds=60), "How long an authorization code may be redeemed.", spec="RFC 6749 §4.1.2"
    )
    device_code_lifetime: timedelta = option(
        timedelta(minutes=5),
        "How long a person has to allow a device, and the device to fetch its tokens.",
        spec="RFC 8628 §3.2",
    )
    access_token_lifetime: timedelta = option(
        timedelta(hours=1), "How long an access token is valid.", spec="RFC 6749 §5.1"
    )
    identity_token_lifetime: timedelta = option(
        timedelta(minutes=5), "How long an ID token is valid.", spec="OpenID Connect Core §2"
    )
    refresh_token_absolute_lifetime: timedelta = option(
        timedelta(days=30), "The longest life of a family of refresh tokens.", spec="RFC 9700 §4.14.2"
    )
    refresh_token_sliding_lifetime: timedelta = option(
        timedelta(days=15), "How long an unused refresh token stays valid where the client's expiration is sliding."
    )
    refresh_token_retry_window: timedelta = option(
        timedelta(seconds=10),
        "How long a client that lost the answer may use a one-time refresh token once more; zero allows no retry.",
        spec="RFC 9700 §4.14.2",
    )

    # Tokens and keys
    access_token_signing_algorithm: str = option(
        "ES256", "The algorithm of JWT access tokens unless an API asks for another.", spec="RFC 9068 §2.1"
    )
    id_token_signing_algorithm: str = option(
        "RS256", "The algorithm of ID tokens unless a client registers another.", spec="OpenID Connect Core §2"
    )
    key_announcement: timedelta = option(
        timedelta(days=14),
        "How long a key is published before it signs, so that everybody who verifies tokens has it by then.",
        spec="OpenID Connect Core §10.1.1",
    )
    key_signing_period: timedelta = option(timedelta(days=90), "How long a key signs before the next one takes over.")
    key_retention: timedelta = option(
        timedelta(days=14),
        "How long a key stays published at least once it no longer signs; it stays in any case until the last token "
        "that it may have signed has expired.",
    )
    id_token_hint_key_retention: timedelta = option(
        timedelta(days=180),
        "How long after it last signed the public half of a key verifies an id_token_hint, which may have expired "
        "long ago.",
        spec="OpenID Connect RP-Initiated Logout §2",
    )
    key_encryption_keys: tuple[str, ...] = option(
        (),
        "Secrets that encrypt private keys at rest: the first encrypts, all decrypt. Empty derives them from "
        "SECRET_KEY and SECRET_KEY_FALLBACKS.",
    )
    key_protector: str = option(
        "",
        "Dotted path of a KeyProtector (identityserver.encryption) that wraps private keys in a key management "
        "service instead.",
    )

    # Claims
    claims_source: str = option(
        "",
        "Dotted path of a callable (user, claim names) -> mapping of claims that adds to, and overrides, the built-in "
        "and mapped claims.",
        spec="OpenID Connect Core §5",
    )
    claim_functions: Mapping[str, Any] = option(
        _NOTHING,
        'Callables (user) -> value that claim mappings in the admin may name: {"name": "dotted.path"}. Only those '
        "listed here can be chosen, so that the admin cannot run arbitrary code.",
    )
    subject_source: str = option(
        "",
        "Dotted path of a callable (user) -> str giving a new user's sub; it must never give one value to two users.",
        spec="OpenID Connect Core §8",
    )

    # Grant types
    optional_grant_types: tuple[str, ...] = option(
        (),
        "Grant types that are off unless they are named here: "
        "urn:ietf:params:oauth:grant-type:jwt-bearer (assertions of trusted issuers), password (discouraged) and "
        "implicit (discouraged), with which every response type is served that puts an access token into the browser.",
        spec="RFC 7523 §2.1, RFC 6749 §4.2, §4.3, RFC 9700 §2.1.2, §2.4",
    )
    extension_grant_types: Mapping[str, Any] = option(
        _NOTHING,
        'Grant types of the site\'s own: {"https://example.com/grants/voucher": "dotted.path"}. Each name is an '
        "absolute URI, each path a class or an instance with the method authorize(request) -> Authorization "
        "(identityserver.grant_types.TokenGrant).",
        spec="RFC 6749 §4.5",
    )
    client_assertion_lifetime: timedelta = option(
        timedelta(minutes=5),
        "How far ahead the exp of a client's assertion may be. Some libraries say an hour unless they are told.",
        spec="RFC 7523 §3, OpenID Connect Core §9",
    )
    jwt_bearer_assertion_lifetime: timedelta = option(
        timedelta(minutes=5),
        "How far ahead the exp of an assertion of a trusted issuer may be.",
        spec="RFC 7523 §3",
    )
    token_exchange_policy: str = option(
        "",
        "Dotted path of a TokenExchangePolicy (identityserver.grant_types.token_exchange) that may narrow or refuse "
        "an exchange of tokens.",
        spec="RFC 8693 §2.1",
    )

    # Clients that register themselves
    registration: str = option(
        "off",
        'Who may register clients at connect/register: nobody ("off"), whoever has an initial access token '
        '("initial_access_token"), or anybody ("open").',
        spec="RFC 7591 §3",
    )
    registration_limit_per_hour: int = option(
        20,
        "Registrations, and changes of registrations, per address without an initial access token before 429 answers "
        "them; 0 sets no limit.",
        spec="RFC 7591 §5",
    )
    registration_policy: str = option(
        "",
        "Dotted path of a RegistrationPolicy (identityserver.registration.policy) that may change the metadata of a "
        "client, or refuse it, whenever it registers or changes its registration.",
        spec="RFC 7591 §2",
    )
    registration_grant_types: tuple[str, ...] = option(
        (
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
        ),
        "The grant types that clients may register for themselves.",
        spec="RFC 7591 §2",
    )
    registration_scopes: tuple[str, ...] = option(
        (),
        "API scopes, and identity resources beside the standard ones, that clients may register for themselves.",
        spec="RFC 7591 §2",
    )
    registration_require_pkce: bool = option(
        False,
        "Require PKCE of clients that register themselves and authenticate; it is always required of those that "
        "do not.",
        spec="RFC 9700 §2.1.1",
    )
    registration_require_consent: bool = option(
        True, "Ask people before a client that registered itself gets anything; their choice is remembered."
    )
    registration_secret_lifetime: timedelta = option(
        timedelta(0),
        "How long the secret of a client that registered itself is good; zero means for ever. A client gets the next "
        "one when it replaces its registration in the second half of that time, or later.",
        spec="RFC 7591 §3.2.1",
    )

    # APIs in this deployment
    resource_server_audiences: tuple[str, ...] = option(
        (),
        "The audiences whose access tokens this deployment's own APIs accept; empty means the issuer alone.",
        spec="RFC 9068 §4",
    )

    # Outbound requests
    outbound_private_hosts: tuple[str, ...] = option(
        (), "Host names that may resolve to private or loopback addresses, for development and private networks."
    )
    outbound_ports: tuple[int, ...] = option((443,), "Ports that outbound requests may use.")

    # Events
    store_issuance_events: bool = option(
        False, "Store ordinary successful issuance too, which is otherwise only logged."
    )
    event_retention: timedelta = option(
        timedelta(days=180), "How long identityserver_clean_up keeps events; zero keeps them for ever."
    )
    event_sinks: tuple[str, ...] = option(
        (), "Dotted paths of callables (event) that receive every event, to send it on."
    )

    # Hosted pages
    site_name: str = option("", "The name on the hosted pages; empty means the issuer's host.")
    logo_url: str = option("", "The logo on the hosted pages: a path or https URL.")
    stylesheet_url: str = option(
        "",
        "A stylesheet of the site's own, loaded after that of the hosted pages: set the --is-* variables in it to "
        "bring in the site's colours. A path or https URL.",
    )
    privacy_url: str = option("", "A link to the privacy policy, in the footer of the hosted pages.")
    terms_url: str = option("", "A link to the terms of service, in the footer of the hosted pages.")
    support_url: str = option("", "A link to where people find help, in the footer and on error pages.")
    password_reset_url: str = option("", "A link for a forgotten password, on the login page: a path or URL name.")
    registration_url: str = option("", "A link to create an account, on the login page: a path or URL name.")


def fields() -> tuple[dataclasses.Field[Any], ...]:
    """The options in order, for the manual and the checks."""
    return dataclasses.fields(Options)


@functools.cache
def options() -> Options:
    """The options of this deployment.

    Raises:
        ImproperlyConfigured: an unknown name (with a suggestion) or a value of the wrong type.
    """
    given = getattr(settings, SETTING, {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{SETTING} must be a dictionary of options.")
    values = {name: _converted(name, value) for name, value in given.items()}
    if not values.get("issuer") and settings.DEBUG:
        values["issuer"] = "http://localhost:8000"
    return Options(**values)


def derived(function: Callable[[], T]) -> Callable[[], T]:
    """A function of the options alone, worked out once; again where settings change, as they do in tests."""
    kept = functools.cache(function)
    _derived.append(kept.cache_clear)
    return kept


def load(name: str) -> Any:
    """The object at the dotted path that the option ``name`` holds, or ``None`` where it is empty.

    Raises:
        ImproperlyConfigured: the path cannot be imported.
    """
    return imported(getattr(options(), name))


@functools.cache
def imported(path: str) -> Any:
    """The object at a dotted path, or ``None`` for an empty one."""
    try:
        return import_string(path) if path else None
    except ImportError as error:
        raise ImproperlyConfigured(f"{SETTING} names {path!r}, which cannot be imported: {error}") from error


def _converted(name: str, value: Any) -> Any:
    if name not in _TYPES:
        raise ImproperlyConfigured(f"{SETTING} has no option {name!r}.{_suggestion(name)}")
    wanted = get_origin(_TYPES[name]) or _TYPES[name]
    if wanted is timedelta and isinstance(value, int) and not isinstance(value, bool):
        value = timedelta(seconds=value)
    if wanted is tuple and isinstance(value, list):
        value = tuple(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        expected = {tuple: "list", Mapping: "dict"}.get(wanted, wanted)
        label = expected if isinstance(expected, str) else expected.__name__
        raise ImproperlyConfigured(f"{SETTING}[{name!r}] must be of type {label}, not {type(value).__name__}.")
    if (wanted is int and value < 0) or (wanted is timedelta and value < timedelta()):
        raise ImproperlyConfigured(f"{SETTING}[{name!r}] must not be negative.")
    return MappingProxyType(dict(value)) if isinstance(value, Mapping) else value


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(str(name), _TYPES, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {SETTING, "DEBUG"}:
        options.cache_clear()
        imported.cache_clear()
        for forget in _derived:
            forget()


_TYPES = get_type_hints(Options)
setting_changed.connect(_forget)
