"""The one gate for request parameters (RFC 6749 §3.1 and §3.2).

A parameter without a value counts as omitted; one sent twice, with a NUL or control character, in
broken UTF-8 or over its length is refused before any query is made.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from identityserver.errors import InvalidRequest

#: Parameters that may be repeated: RFC 8707 §2 and RFC 8693 §2.1.
REPEATABLE = frozenset({"resource", "audience"})

#: Longest value in octets of UTF-8. JWTs may be large; whatever else is stored has its column's width, and what is
#: echoed fits into a Location, percent-encoded (Django redirects to no more than 16384 characters).
_JWT_LENGTH = 50_000
_LENGTHS = {
    "actor_token": _JWT_LENGTH,
    "assertion": _JWT_LENGTH,
    "claims": 16_000,
    "client_assertion": _JWT_LENGTH,
    "client_id": 255,
    "id_token_hint": _JWT_LENGTH,
    "nonce": 2_000,
    "registration": 16_000,
    "request": _JWT_LENGTH,
    "state": 4_000,
    "subject_token": _JWT_LENGTH,
    "token": _JWT_LENGTH,
    "access_token": _JWT_LENGTH,
}
_LENGTH = 2_000
_NAME_LENGTH = 255

#: Fields in one request; the largest legitimate request has about forty.
_FIELDS = 200
_BYTES = 200_000

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: JSON values may hold line breaks, as OpenID Connect Core §5.5 prints them.
_IN_JSON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROLS = {"claims": _IN_JSON, "authorization_details": _IN_JSON, "registration": _IN_JSON}

_NAME_SHOWN = re.compile(r"[^A-Za-z0-9_.:-]")


class Parameters(dict[str, str]):
    """The parameters of one request, never changed after they were read.

    ``parameters["code"]`` is required and refuses a request without it; ``parameters.get("state", "")`` is not.
    """

    #: Every value of the repeatable parameters that were sent.
    repeated: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @classmethod
    def of(cls, values: Mapping[str, str], repeated: Mapping[str, tuple[str, ...]]) -> "Parameters":
        """Parameters that were read before."""
        parameters = cls(values)
        parameters.repeated = repeated
        return parameters

    @classmethod
    def parse(cls, encoded: str | bytes) -> "Parameters":
        """Read ``application/x-www-form-urlencoded`` text: a query string or a body.

        Raises:
            InvalidRequest: as the module's first lines say.
        """
        values: dict[str, str] = {}
        repeated: dict[str, tuple[str, ...]] = {}
        for name, value in _pairs(encoded) if encoded else ():
            if not value:
                continue
            too_long = len(value.encode()) > _LENGTHS.get(name, _LENGTH) or len(name) > _NAME_LENGTH
            if too_long or _CONTROL.search(name) or _CONTROLS.get(name, _CONTROL).search(value):
                problem = "is too long" if too_long else "has a control character"
                raise InvalidRequest(f"The parameter {_shown(name)} {problem}.", parameter=_shown(name))
            if name in REPEATABLE:
                repeated[name] = (*repeated.get(name, ()), value)
            elif name in values:
                raise InvalidRequest(f"The parameter {_shown(name)} is repeated.", parameter=_shown(name))
            values.setdefault(name, value)
        return cls.of(values, repeated) if repeated else cls(values)

    def __missing__(self, name: str) -> str:
        """RFC 6749 §5.2: a required parameter is missing."""
        raise InvalidRequest(f"The parameter {name} is missing.", parameter=name)

    def words(self, name: str) -> tuple[str, ...]:
        """A space-separated list (RFC 6749 §3.3), each word once, in order."""
        return tuple(dict.fromkeys(self.get(name, "").split()))


def _pairs(encoded: str | bytes) -> list[tuple[str, str]]:
    if len(encoded) > _BYTES:
        raise InvalidRequest("The request is too long.")
    try:
        octets = encoded if isinstance(encoded, bytes) else encoded.encode("ascii")
        text = octets.decode("ascii")
        if _BROKEN_ESCAPE.search(text):
            raise InvalidRequest("The request has a broken percent-encoding.")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except UnicodeError:
        raise InvalidRequest("The request is not valid UTF-8.") from None
    except ValueError:
        raise InvalidRequest("The request has too many parameters.") from None


def _shown(name: str) -> str:
    """A parameter's name as it may be echoed: short and of harmless characters."""
    return _NAME_SHOWN.sub("?", name)[:60]
