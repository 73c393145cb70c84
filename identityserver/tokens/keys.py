"""The key ring: which key signs, which keys verify, and that there always is one (OpenID Connect Core §10.1).

Keys are made on first need, exactly once even when workers start together, announced before they
sign and published after. The oldest eligible key signs, so all workers agree.
"""

import functools
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Max
from django.utils import timezone

from identityserver import encryption, jose
from identityserver.caching import ConfigurationCache
from identityserver.conf import options
from identityserver.errors import TemporarilyUnavailable
from identityserver.models import Client, SigningKey
from identityserver.models.keys import ANNOUNCED_FOR, PUBLISHED_FOR, SIGNS_FOR
from identityserver.vocabulary import Algorithm

logger = logging.getLogger("identityserver")


@dataclass(frozen=True)
class KeyRing:
    """The announced keys as they were when read, and how long the longest-lived token is valid."""

    keys: tuple[SigningKey, ...]
    longest_lifetime: timedelta

    def signer(self, algorithm: str) -> jose.Signer:
        """The oldest key that may sign with ``algorithm`` now.

        Raises:
            TemporarilyUnavailable: there is none, or it cannot be decrypted.
        """
        now = timezone.now()
        eligible = [key for key in self.keys if key.algorithm == algorithm and key.signs_at(now)]
        if not eligible:
            raise TemporarilyUnavailable("The server cannot sign now.", detail=f"No {algorithm} key is active.")
        return _signer(min(eligible, key=lambda key: (key.activates_at, key.sequence)))

    def has(self, algorithm: str) -> bool:
        """Whether a key can sign with ``algorithm`` now."""
        now = timezone.now()
        return any(key.algorithm == algorithm and key.signs_at(now) for key in self.keys)

    @cached_property
    def verifiers(self) -> Mapping[str, jose.Verifier]:
        """Every published key, by kid."""
        verifiers = (_verifier(key.kid, key.algorithm, json.dumps(key.public_jwk)) for key in self.published)
        return {verifier.kid: verifier for verifier in verifiers if verifier is not None}

    @cached_property
    def published(self) -> tuple[SigningKey, ...]:
        """Keys that a live token may need, and those announced to sign next."""
        after = max(PUBLISHED_FOR, self.longest_lifetime)
        return tuple(key for key in self.keys if timezone.now() < key.retires_at + after)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms with a published key."""
        return tuple(dict.fromkeys(key.algorithm for key in self.published))

    @cached_property
    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517 §5), public halves only."""
        return {"keys": [key.public_jwk for key in self.published]}


_rings: ConfigurationCache[str, KeyRing] = ConfigurationCache(1)
_last_known: list[KeyRing] = []
_renewed = [float("-inf")]


def key_ring() -> KeyRing:
    """The ring, from memory where it is fresh.

    A database that fails leaves the last one known in use: published keys do not change by its failing.
    """
    try:
        ring = _rings.get("ring") or _rings.load("ring", _read)
    except (DatabaseError, InterfaceError):
        if not _last_known:
            raise
        return _last_known[0]
    _last_known[:] = [ring]
    return ring


def renewed_ring() -> KeyRing:
    """The ring read anew, at most once a second: another worker may have made a key a moment ago."""
    if time.monotonic() - _renewed[0] >= 1:
        _renewed[0] = time.monotonic()
        _rings.clear()
    return key_ring()


def signer(algorithm: str) -> jose.Signer:
    """The key that signs with ``algorithm`` now, made if the ring has none.

    Raises:
        TemporarilyUnavailable: it cannot be decrypted.
    """
    ring = key_ring()
    if not ring.has(algorithm):
        _make_next(Algorithm(algorithm), _rows())
        _rings.clear()
        ring = key_ring()
    return ring.signer(algorithm)


def _read() -> KeyRing:
    rows = _rows()
    wanted = {options().access_token_signing_algorithm, options().id_token_signing_algorithm}
    wanted.update(key.algorithm for key in _kept(rows))
    due = [algorithm for algorithm in sorted(wanted) if _needs_next(algorithm, rows)]
    for algorithm in due:
        _make_next(Algorithm(algorithm), rows)
    return KeyRing(_kept(_rows() if due else rows), _longest_lifetime())


def _rows() -> list[SigningKey]:
    """Every key there ever was: a place in the sequence that was taken stays taken."""
    return list(SigningKey.objects.all())


def _kept(rows: Iterable[SigningKey]) -> tuple[SigningKey, ...]:
    return tuple(key for key in rows if key.deleted_at is None)


def _longest_lifetime() -> timedelta:
    longest = Client.objects.aggregate(Max("access_token_lifetime"), Max("identity_token_lifetime"))
    own = (timedelta(seconds=seconds) for seconds in longest.values() if seconds)
    return max(options().access_token_lifetime, options().identity_token_lifetime, *own)


def _needs_next(algorithm: str, rows: Iterable[SigningKey]) -> bool:
    """Whether the last key of ``algorithm`` retires so soon that the next must be announced."""
    ends = [key.retires_at for key in _kept(rows) if key.algorithm == algorithm]
    return not ends or max(ends) - timezone.now() <= ANNOUNCED_FOR


def _make_next(algorithm: Algorithm, rows: Iterable[SigningKey]) -> None:
    """Add the key after those in ``rows``; it signs at once where nothing else can.

    Workers that saw the same rows go for the same place in the sequence, and one of them gets it.
    """
    now = timezone.now()
    own = [key for key in rows if key.algorithm == algorithm]
    activates = max([now, *(key.retires_at for key in _kept(own))])
    key = jose.generate(algorithm)
    row = SigningKey(
        kid=key.kid,
        algorithm=algorithm.value,
        sequence=max([0, *(key.sequence for key in own)]) + 1,
        private_jwk=encryption.encrypt(key.private_jwk.encode(), SigningKey.context(key.kid)),
        public_jwk=key.public_jwk,
        announced_at=now,
        activates_at=activates,
        retires_at=activates + SIGNS_FOR,
    )
    SigningKey.objects.bulk_create([row], ignore_conflicts=True)


def _signer(key: SigningKey) -> jose.Signer:
    try:
        return _decrypted_signer(key.kid, key.algorithm, key.private_jwk)
    except encryption.Undecryptable as error:
        raise TemporarilyUnavailable("The server cannot sign now.", detail=str(error)) from error


@functools.lru_cache(maxsize=64)
def _decrypted_signer(kid: str, algorithm: str, envelope: str) -> jose.Signer:
    """Loading an RSA key costs 41 ms: once a key, never a request."""
    private = encryption.decrypt(envelope, SigningKey.context(kid))
    return jose.Signer(kid=kid, algorithm=Algorithm(algorithm), private_jwk=private)


@functools.lru_cache(maxsize=256)
def _verifier(kid: str, algorithm: str, public_jwk: str) -> jose.Verifier | None:
    """The public half; one row that is damaged must not cost the tokens of all others."""
    try:
        return jose.Verifier(kid=kid, algorithm=Algorithm(algorithm), public_jwk=json.loads(public_jwk))
    except jose.InvalidJws:
        logger.exception("The public key %s cannot be read.", kid)
        return None
