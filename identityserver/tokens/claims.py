"""Claims about the user: which are asked for, and where their values come from (OpenID Connect Core §5)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from math import isfinite
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Q

from identityserver import conf
from identityserver.caching import ConfigurationCache
from identityserver.models import ClaimMapping
from identityserver.models.resources import is_safe_attribute_path
from identityserver.scopes import Resources

#: What no claims request, mapping or claims source may set: the server itself says these.
PROTOCOL_CLAIMS = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "sid", "auth_time", "acr", "amr", "at_hash"}
    | {"c_hash", "s_hash", "client_id", "scope", "cnf", "act"}
)

#: What counts as not being there.
_NO_VALUE: tuple[Any, ...] = (None, "", [], {})


def requested_claims(resources: Resources, claims: Mapping[str, Any], member: str) -> tuple[str, ...]:
    """Names asked for in the ``userinfo`` or ``id_token`` member of the claims parameter (§5.5).

    Limited to what the client's identity resources, as granted, may give.
    """
    allowed = set(scope_claims(resources))
    return tuple(name for name in claims.get(member) or {} if name in allowed)


def scope_claims(resources: Resources) -> tuple[str, ...]:
    """Names that the granted identity resources stand for (§5.4)."""
    names = (name for resource in resources.identity for name in resource.user_claims)
    return tuple(dict.fromkeys(name for name in names if name not in PROTOCOL_CLAIMS))


def access_token_claims(resources: Resources) -> tuple[str, ...]:
    """Names that the granted API scopes and their APIs ask for in access tokens."""
    names = [name for _, scope in resources.access for name in scope.user_claims]
    names += [name for api in resources.apis for name in api.user_claims]
    return tuple(dict.fromkeys(name for name in names if name not in PROTOCOL_CLAIMS))


def claims_of(user: AbstractBaseUser | None, names: Iterable[str], resources: Resources) -> dict[str, Any]:
    """The values that ``user`` has for ``names``; a claim without a value is left out (§5.3.2)."""
    wanted = tuple(names)
    if not wanted or user is None:
        return {}
    sources = {**_BUILT_IN, **_general_mappings(), **_mappings_of(resources)}
    claims = {name: sources[name](user) for name in wanted if name in sources}
    host = conf.load("claims_source")
    if host is not None:
        given = dict(host(user, wanted))
        claims.update({name: value for name, value in given.items() if name in wanted})
    typed = {name: _typed(name, value) for name, value in claims.items() if value not in _NO_VALUE}
    return {name: value for name, value in typed.items() if value not in _NO_VALUE}


Reader = Callable[[Any], Any]


def _attribute(path: str) -> Reader:
    def read(user: Any) -> Any:
        value = user
        for name in path.split(".") if is_safe_attribute_path(path) else ():
            try:
                value = getattr(value, name, None)
            except ObjectDoesNotExist:  # a one-to-one row that this user lacks
                return None
        return None if callable(value) or value is user else value

    return read


def _full_name(user: Any) -> str:
    return str(user.get_full_name()) if hasattr(user, "get_full_name") else ""


def _groups(user: Any) -> list[str]:
    return sorted(user.groups.values_list("name", flat=True)) if hasattr(user, "groups") else []


def _permissions(user: Any) -> list[str]:
    return sorted(user.get_all_permissions()) if hasattr(user, "get_all_permissions") else []


#: Django's user model; an attribute that a custom model lacks gives no claim.
_BUILT_IN: dict[str, Reader] = {
    "name": _full_name,
    "given_name": _attribute("first_name"),
    "family_name": _attribute("last_name"),
    "preferred_username": lambda user: str(user.get_username()),
    "email": lambda user: getattr(user, user.get_email_field_name(), ""),
}

_mappings: ConfigurationCache[str, dict[str, Reader]] = ConfigurationCache(1)


def _general_mappings() -> dict[str, Reader]:
    """Mappings that hold for every resource."""
    found = _mappings.get("general")
    if found is None:
        rows = ClaimMapping.objects.filter(Q(identity_resource=None) & Q(api_scope=None))
        found = _mappings.load("general", lambda: _readers(rows))
    return found or {}


def _mappings_of(resources: Resources) -> dict[str, Reader]:
    """Mappings of the granted identity resources and API scopes."""
    rows = [mapping for resource in resources.identity for mapping in resource.mappings]
    rows += [mapping for _, scope in resources.access for mapping in scope.mappings]
    return _readers(rows)


def _readers(mappings: Iterable[ClaimMapping]) -> dict[str, Reader]:
    return {mapping.claim: _reader(mapping) for mapping in mappings}


def _reader(mapping: ClaimMapping) -> Reader:
    match mapping.source:
        case ClaimMapping.Source.GROUPS:
            return _groups
        case ClaimMapping.Source.PERMISSIONS:
            return _permissions
        case ClaimMapping.Source.FUNCTION:
            function: Reader = conf.imported(conf.options().claim_functions.get(mapping.path, "")) or _nothing
            return function
        case _:
            return _attribute(mapping.path)


def _nothing(_user: Any) -> None:
    """A mapping that names a function which the option no longer lists gives no claim."""


def _typed(name: str, value: Any) -> Any:
    """The JSON type that OpenID Connect Core §5.1 gives the claim; ``None`` for what has none of it."""
    if name.endswith("_verified"):
        return _is_true(value)
    if name == "updated_at":
        return _seconds(value)
    if name == "address" and not isinstance(value, dict):
        return {"formatted": str(value)}
    return _json(value)


def _is_true(value: Any) -> bool:
    """Whether something is confirmed; the date when that happened says so, too."""
    if isinstance(value, (bool, date)):
        return value is not False
    return str(value).lower() in {"true", "1", "yes"}


def _seconds(value: Any) -> int | None:
    """Seconds since 1970, or ``None`` for what is no moment."""
    try:
        return int(value.timestamp() if isinstance(value, datetime) else value)
    except (TypeError, ValueError, OverflowError):
        return None


def _json(value: Any) -> Any:
    """A value that JSON has; a date in ISO 8601, anything else as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case dict():
            return {str(name): _json(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_json(inner) for inner in value]
        case date():
            return value.isoformat()
        case _:
            return str(value)
