"""What a client assertion says, signature apart (RFC 7523 §3, OpenID Connect Core §9)."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.utils import timezone

from identityserver import jose
from identityserver.conf import options
from identityserver.models import UsedIdentifier

#: Seconds by which the clock that an assertion comes from may be ahead of ours.
_CLOCK_SKEW = 10

#: An identifier is remembered for longer than any node can take its assertion for fresh.
MARGIN = timedelta(minutes=5)

#: Types that are not client assertions, such as at+jwt, are refused (RFC 8725 §3.11); many clients name none.
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})

_PURPOSE = "client_assertion"


class Assertion:
    """A client assertion of one request. Nothing that it says is trusted before its signature was verified.

    Args:
        token: the JWT as it was sent.
        audiences: the names of this server by which it may be addressed.
        is_strict: its audience must be one of them as a string, not in a list.
    """

    def __init__(self, token: str, *, audiences: Collection[str], is_strict: bool) -> None:
        self._audiences = audiences
        self._is_strict = is_strict
        self._jws: jose.Jws | None = None
        self._flaw = ""
        self.claims: Mapping[str, Any] = {}
        try:
            self._jws = jose.parse(token)
            self.claims = self._jws.claims
        except jose.InvalidJws as error:
            self._flaw = str(error)

    @property
    def algorithm(self) -> str:
        """The header's ``alg``: it chooses among methods and keys that are allowed, and allows none."""
        return self._in_header("alg")

    @property
    def kid(self) -> str:
        """The header's ``kid``, or ``""``."""
        return self._in_header("kid")

    @property
    def subject(self) -> str:
        """The client that it says it is about, or ``""`` where that cannot be a client_id."""
        subject = self.claims.get("sub", "")
        return subject if isinstance(subject, str) and subject.isprintable() and len(subject) <= 255 else ""

    def checked(self, client_id: str) -> jose.Jws:
        """The JWS, where it says that ``client_id`` calls this server now; whether it is signed is judged next.

        Raises:
            InvalidJws: it does not.
        """
        if self._jws is None or self._flaw:
            raise jose.InvalidJws(self._flaw)
        if self._in_header("typ").lower() not in _TYPES:
            raise jose.InvalidJws("Its typ is not that of a client assertion.")
        if self.claims.get("iss") != client_id or self.claims.get("sub") != client_id:
            raise jose.InvalidJws("Its iss and sub are not both the client_id.")
        if not self._is_for_this_server():
            raise jose.InvalidJws("Its aud is not this server.")
        if not isinstance(self.claims.get("jti"), str) or not self.claims["jti"]:
            raise jose.InvalidJws("It has no jti.")
        check_time(self.claims, options().client_assertion_lifetime)
        return self._jws

    @cached_property
    def is_first_use(self) -> bool:
        """Whether its jti is used for the first time: settled by the database, once for this request.

        So a client that is judged again, after its registration was read anew, does not replay its own assertion.
        Ask only once the signature is known to be the client's, or anybody could use up its identifiers.
        """
        expires = datetime.fromtimestamp(self.claims["exp"], UTC) + MARGIN
        return UsedIdentifier.objects.accept(_PURPOSE, self.claims["sub"], self.claims["jti"], expires)

    def _in_header(self, name: str) -> str:
        return str(self._jws.header.get(name, "")) if self._jws else ""

    def _is_for_this_server(self) -> bool:
        audience = self.claims.get("aud")
        if isinstance(audience, str):
            return audience in self._audiences
        if self._is_strict or not isinstance(audience, list):
            return False
        return any(isinstance(name, str) and name in self._audiences for name in audience)


def check_time(claims: Mapping[str, Any], longest_life: timedelta) -> None:
    """Whether an assertion is good now: it expires, and soon, and is not from the future.

    Raises:
        InvalidJws: it is not.
    """
    now, expires = timezone.now().timestamp(), _seconds(claims, "exp")
    if expires <= now:
        raise jose.InvalidJws("It has expired.")
    if expires > now + longest_life.total_seconds():
        raise jose.InvalidJws(f"It expires more than {longest_life.total_seconds():.0f} seconds ahead.")
    if any(_seconds(claims, name) > now + _CLOCK_SKEW for name in ("iat", "nbf") if name in claims):
        raise jose.InvalidJws("Its iat or nbf is in the future.")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 §2)."""
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise jose.InvalidJws(f"Its {name} is missing or not a number.")
    return value
