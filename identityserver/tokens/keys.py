"""The key ring: which key signs, which keys verify, and that there always is one (OpenID Connect Core §10.1).

Keys are made on first need, exactly once even when workers start together, announced before they
sign and published after. The oldest eligible key signs, so all workers agree.
"""

import functools
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from identityserver import encryption, jose
from identityserver.caching import ConfigurationCache
from identityserver.conf import options
from identityserver.errors import TemporarilyUnavailable
from identityserver.models import SigningKey
from identityserver.models.keys import ANNOUNCED_FOR, PUBLISHED_FOR, SIGNS_FOR
from identityserver.vocabulary import Algorithm


@dataclass(frozen=True)
class KeyRing:
    """The announced keys as they were when read."""

    keys: tuple[SigningKey, ...]

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
        return {key.kid: _verifier(key.kid, key.algorithm, json.dumps(key.public_jwk)) for key in self.published}

    @cached_property
    def published(self) -> tuple[SigningKey, ...]:
        """Keys that a live token may need, and those announced to sign next."""
        after = max(PUBLISHED_FOR, options().access_token_lifetime, options().identity_token_lifetime)
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
        _make_next(Algorithm(algorithm), [key for key in ring.keys if key.algorithm == algorithm])
        _rings.clear()
        ring = key_ring()
    return ring.signer(algorithm)


def _read() -> KeyRing:
    rows = _rows()
    wanted = {options().access_token_signing_algorithm, options().id_token_signing_algorithm}
    due = [algorithm for algorithm in sorted(wanted | {key.algorithm for key in rows}) if _needs_next(algorithm, rows)]
    for algorithm in due:
        _make_next(Algorithm(algorithm), [key for key in rows if key.algorithm == algorithm])
    return KeyRing(tuple(_rows() if due else rows))


def _rows() -> list[SigningKey]:
    return list(SigningKey.objects.filter(deleted_at=None))


def _needs_next(algorithm: str, rows: Iterable[SigningKey]) -> bool:
    """Whether the last key of ``algorithm`` retires so soon that the next must be announced."""
    ends = [key.retires_at for key in rows if key.algorithm == algorithm]
    return not ends or max(ends) - timezone.now() <= ANNOUNCED_FOR


def _make_next(algorithm: Algorithm, existing: Iterable[SigningKey]) -> None:
    """Add the key after ``existing``; it signs at once where nothing else can, and only one worker's is kept."""
    now = timezone.now()
    last = max(existing, key=lambda key: key.sequence, default=None)
    activates = max(now, last.retires_at) if last is not None else now
    key = jose.generate(algorithm)
    row = SigningKey(
        kid=key.kid,
        algorithm=algorithm.value,
        sequence=last.sequence + 1 if last is not None else 1,
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
def _verifier(kid: str, algorithm: str, public_jwk: str) -> jose.Verifier:
    return jose.Verifier(kid=kid, algorithm=Algorithm(algorithm), public_jwk=json.loads(public_jwk))
