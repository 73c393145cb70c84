"""The one gate for request parameters (RFC 6749 §3.1 and §3.2).

A parameter without a value counts as omitted; one sent twice, with a NUL or control character, in
broken UTF-8 or over its length is refused before any query is made.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from identityserver.errors import InvalidRequest

#: Parameters that may be repeated: RFC 8707 §2 and RFC 8693 §2.1.
REPEATABLE = frozenset({"resource", "audience"})

#: JSON values may hold line breaks, as OpenID Connect Core §5.5 prints them.
_JSON = frozenset({"claims", "authorization_details", "registration"})

#: Longest value in characters. JWTs may be large; whatever else is stored has its column's width.
_JWT_LENGTH = 50_000
_LENGTHS = {
    "assertion": _JWT_LENGTH,
    "claims": 16_000,
    "client_assertion": _JWT_LENGTH,
    "client_id": 255,
    "id_token_hint": _JWT_LENGTH,
    "nonce": 2_000,
    "registration": 16_000,
    "request": _JWT_LENGTH,
    "state": 4_000,
    "token": _JWT_LENGTH,
    "access_token": _JWT_LENGTH,
}
_LENGTH = 2_000

#: Fields in one request; the largest legitimate request has about forty.
_FIELDS = 200
_BYTES = 200_000

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_JSON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NAME_SHOWN = re.compile(r"[^A-Za-z0-9_.:-]")


class Parameters(Mapping[str, str]):
    """The parameters of one request, read only. A missing one is ``""`` by :meth:`text`."""

    def __init__(self, values: Mapping[str, str], repeated: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._values = dict(values)
        self._repeated = dict(repeated or {})

    @classmethod
    def parse(cls, encoded: str | bytes) -> "Parameters":
        """Read ``application/x-www-form-urlencoded`` text: a query string or a body.

        Raises:
            InvalidRequest: as the module's first lines say.
        """
        pairs = _pairs(encoded)
        values: dict[str, str] = {}
        repeated: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if not value:
                continue
            _check(name, value)
            if name in REPEATABLE:
                repeated[name] = (*repeated.get(name, ()), value)
            elif name in values:
                raise InvalidRequest(f"The parameter {_shown(name)} is repeated.", parameter=_shown(name))
            values.setdefault(name, value)
        return cls(values, repeated)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str) -> str:
        """The value, or ``""`` where it was not sent."""
        return self._values.get(name, "")

    def words(self, name: str) -> tuple[str, ...]:
        """A space-separated list (RFC 6749 §3.3), each word once, in order."""
        return tuple(dict.fromkeys(self._values.get(name, "").split()))

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a repeatable parameter."""
        return self._repeated.get(name, ())

    @property
    def repeated(self) -> Mapping[str, tuple[str, ...]]:
        """The repeatable parameters that were sent, each with every value."""
        return self._repeated

    def required(self, name: str) -> str:
        """The value.

        Raises:
            InvalidRequest: the parameter is missing (RFC 6749 §5.2).
        """
        if not (value := self._values.get(name, "")):
            raise InvalidRequest(f"The parameter {name} is missing.", parameter=name)
        return value


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


def _check(name: str, value: str) -> None:
    if _CONTROL.search(name) or len(name) > 255:
        raise InvalidRequest("The name of a parameter is malformed.")
    if len(value) > _LENGTHS.get(name, _LENGTH):
        raise InvalidRequest(f"The parameter {_shown(name)} is too long.", parameter=_shown(name))
    if (_CONTROL_IN_JSON if name in _JSON else _CONTROL).search(value):
        raise InvalidRequest(f"The parameter {_shown(name)} has a control character.", parameter=_shown(name))


def _shown(name: str) -> str:
    """A parameter's name as it may be echoed: short and of harmless characters."""
    return _NAME_SHOWN.sub("?", name)[:60]
