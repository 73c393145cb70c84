"""The ``claims`` parameter (OpenID Connect Core §5.5)."""

import math
import re
from collections.abc import Mapping
from typing import Any

from identityserver import jose
from identityserver.errors import InvalidRequest
from identityserver.parameters import Parameters

_MEMBERS = ("userinfo", "id_token")

#: What a JSON escape can say and no database keeps: NUL and halves of surrogate pairs (RFC 8259 §8.2).
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def read_claims(parameters: Parameters) -> Mapping[str, Any]:
    """The claims asked for in ``userinfo`` and ``id_token``; other members are ignored, as §5.5 says.

    Raises:
        InvalidRequest: it is not JSON of that form.
    """
    text = parameters.get("claims", "")
    if not text:
        return {}
    try:
        asked = jose.read_object(text)
    except jose.InvalidJws:
        raise InvalidRequest("claims must be a JSON object.", parameter="claims") from None
    claims = {member: asked[member] for member in _MEMBERS if asked.get(member) is not None}
    if not all(_is_well_formed(wanted) and _is_storable(wanted) for wanted in claims.values()):
        raise InvalidRequest("claims must name each claim with null or an object.", parameter="claims")
    return claims


def essential_acr(claims: Mapping[str, Any]) -> frozenset[str]:
    """The values of ``acr`` of which one must be met (§5.5.1.1); empty where none is essential."""
    asked = claims.get("id_token", {}).get("acr") or {}
    if not asked.get("essential"):
        return frozenset()
    values = asked.get("values") or [asked.get("value")]
    return frozenset(value for value in values if isinstance(value, str))


def asked_subjects(claims: Mapping[str, Any]) -> list[frozenset[Any]]:
    """Each set of values of ``sub`` of which the user must have one (§5.5.1)."""
    requests = [claims[member]["sub"] for member in _MEMBERS if (claims.get(member) or {}).get("sub")]
    lists = [asked["values"] for asked in requests if "values" in asked]
    lists += [[asked["value"]] for asked in requests if "value" in asked]
    return [frozenset(value for value in values if isinstance(value, str)) for values in lists]


def _is_well_formed(wanted: Any) -> bool:
    return isinstance(wanted, dict) and all(_is_request(request) for request in wanted.values())


def _is_request(request: Any) -> bool:
    if request is None:
        return True
    return (
        isinstance(request, dict)
        and isinstance(request.get("essential", False), bool)
        and isinstance(request.get("values", []), list)
    )


def _is_storable(value: Any) -> bool:
    """Whether every database keeps it as JSON: PostgreSQL refuses some text, and none has infinity."""
    match value:
        case str():
            return _NO_TEXT.search(value) is None
        case float():
            return math.isfinite(value)
        case dict():
            return all(_is_storable(name) and _is_storable(part) for name, part in value.items())
        case list():
            return all(_is_storable(part) for part in value)
        case _:
            return True
