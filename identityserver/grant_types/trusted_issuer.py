"""Assertions of trusted issuers: who says it, whom it is about, and that it is meant for us (RFC 7523 §3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.urls import reverse

from identityserver import jose
from identityserver.caching import ConfigurationCache
from identityserver.client_authentication.assertion import MARGIN, check_time
from identityserver.client_keys import client_verifier
from identityserver.conf import options
from identityserver.errors import InvalidGrant, ProtocolError
from identityserver.models import TrustedIssuer, UsedIdentifier
from identityserver.vocabulary import Algorithm

T = TypeVar("T")

#: Issuers kept in memory by one worker.
_CAPACITY = 100

#: Types that are no assertions, such as at+jwt, are refused (RFC 8725 §3.11); many issuers name none.
_TYPES = frozenset({"", "jwt"})

#: Longest subject that any user could have.
_LONGEST_SUBJECT = 255

_PURPOSE = "jwt_bearer"

_issuers: ConfigurationCache[str, TrustedIssuer] = ConfigurationCache(_CAPACITY)


@dataclass(frozen=True)
class Assertion:
    """A verified assertion: what ``issuer`` says of ``subject``, until ``expires``, under the name ``jti``."""

    issuer: TrustedIssuer
    subject: str
    jti: str
    expires: datetime

    def use(self) -> bool:
        """Whether it is used for the first time: true for exactly one caller, by the database."""
        return UsedIdentifier.objects.accept(_PURPOSE, self.issuer.issuer, self.jti, self.expires + MARGIN)


def judge_assertion(token: str, judge: Callable[[Assertion], T]) -> T:
    """What ``judge`` says of the assertion; before a refusal is final, its issuer's row is read anew.

    Raises:
        InvalidGrant: it is malformed, of nobody we trust, not for us, or not good at this time.
        ClientKeysUnavailable: nobody can tell, since the issuer's keys cannot be fetched.
    """
    try:
        jws = jose.parse(token)
        name = jws.claims.get("iss")
    except jose.InvalidJws as error:
        raise InvalidGrant("The assertion is malformed.", detail=str(error), parameter="assertion") from error
    known = _issuers.get(name) if isinstance(name, str) else None
    if known is not None:
        try:
            return judge(_verified(known, jws))
        except ProtocolError:
            return judge(_verified(_read(known.issuer), jws))
    return judge(_verified(_read(name), jws))


def _read(name: object) -> TrustedIssuer:
    issuer = None
    if isinstance(name, str) and name.isprintable():
        rows = TrustedIssuer.objects.filter(issuer=name, enabled=True).prefetch_related("api_scopes")
        issuer = _issuers.load(name, rows.first)
    if issuer is None:
        raise InvalidGrant("The assertion is from nobody that is trusted here.", parameter="assertion")
    return issuer


def _verified(issuer: TrustedIssuer, jws: jose.Jws) -> Assertion:
    """The assertion, once everything but its first use is certain; no keys are fetched for one that is wrong anyway."""
    try:
        assertion = _read_claims(issuer, jws.claims)
        _check_signature(issuer, jws)
    except jose.InvalidJws as error:
        raise InvalidGrant("The assertion is not good here.", detail=str(error), parameter="assertion") from error
    return assertion


def _check_signature(issuer: TrustedIssuer, jws: jose.Jws) -> None:
    algorithm = str(jws.header.get("alg", ""))
    if str(jws.header.get("typ", "")).lower() not in _TYPES:
        raise jose.InvalidJws("Its typ is not that of an assertion.")
    if algorithm not in issuer.algorithms:
        raise jose.InvalidJws("The issuer is not registered with its algorithm.")
    client_verifier(issuer, Algorithm(algorithm), str(jws.header.get("kid", ""))).verify(jws)


def _read_claims(issuer: TrustedIssuer, claims: Mapping[str, Any]) -> Assertion:
    audience, ours = claims.get("aud"), _audiences()
    if not any(name in ours for name in (audience if isinstance(audience, list) else [audience])):
        raise jose.InvalidJws("Its aud is neither this issuer nor the token endpoint.")
    check_time(claims, options().jwt_bearer_assertion_lifetime)
    return Assertion(
        issuer=issuer,
        subject=_text(claims, "sub"),
        jti=_text(claims, "jti"),
        expires=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST_SUBJECT:
        raise jose.InvalidJws(f"Its {name} is missing, too long or no plain text.")
    return value


def _audiences() -> tuple[str, str]:
    """By which names the server may be addressed; never by the Host header."""
    parts = urlsplit(options().issuer)
    return options().issuer, f"{parts.scheme}://{parts.netloc}{reverse('identityserver:token')}"
