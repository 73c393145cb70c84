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
from functools import cached_property
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from identityserver import encryption, jose
from identityserver.caching import ConfigurationCache
from identityserver.conf import options
from identityserver.errors import TemporarilyUnavailable
from identityserver.models import SigningKey
from identityserver.models.keys import MARGIN
from identityserver.tokens import rotation
from identityserver.vocabulary import Algorithm

logger = logging.getLogger("identityserver")

#: Times that the ring is read again for a key that may sign.
_TRIES = 5


@dataclass(frozen=True)
class KeyRing:
    """The keys as they were at ``read_at`` (``time.monotonic()``), the deleted ones too."""

    keys: tuple[SigningKey, ...]
    read_at: float

    def signing_key(self, algorithm: str) -> SigningKey | None:
        """The oldest key that may sign with ``algorithm`` now.

        Raises:
            TemporarilyUnavailable: the ring was read so long ago that a key in it may have been withdrawn since.
        """
        if time.monotonic() - self.read_at > options().configuration_cache_seconds + MARGIN.total_seconds():
            raise TemporarilyUnavailable("The server cannot sign now.", detail="The key ring could not be read anew.")
        now = timezone.now()
        eligible = [key for key in self.keys if key.algorithm == algorithm and key.signs_at(now)]
        return min(eligible, key=lambda key: (key.activates_at, key.sequence), default=None)

    @cached_property
    def published(self) -> tuple[SigningKey, ...]:
        """Keys that a live token may need, and those announced to sign next."""
        now = timezone.now()
        return tuple(key for key in self.keys if key.is_published_at(now))

    @cached_property
    def verifiers(self) -> Mapping[str, jose.Verifier]:
        """Every published key, by kid."""
        return _verifiers(self.published)

    @cached_property
    def hint_verifiers(self) -> Mapping[str, jose.Verifier]:
        """By kid, the keys that verify an ``id_token_hint``: those published, and those that were."""
        now = timezone.now()
        return _verifiers(key for key in self.keys if key.verifies_hints_at(now))

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that a key signs with, or is announced to."""
        now = timezone.now()
        return tuple(dict.fromkeys(key.algorithm for key in self.published if now < key.retires_at))

    @cached_property
    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517 §5), public halves only."""
        return {"keys": [key.public_jwk for key in self.published]}


class _Memory:
    """The ring in this process: from memory where it is fresh, and the last one known while the database fails."""

    def __init__(self) -> None:
        self._rings: ConfigurationCache[str, KeyRing] = ConfigurationCache(1)
        self._last_known: KeyRing | None = None
        self._renewed = float("-inf")

    def ring(self) -> KeyRing:
        try:
            ring = self._rings.get("ring") or self._rings.load("ring", _read)
        except (DatabaseError, InterfaceError):
            if self._last_known is None:
                raise
            return self._last_known
        self._last_known = ring
        return ring

    def forget(self) -> None:
        self._rings.clear()

    def renewed(self) -> KeyRing:
        if time.monotonic() - self._renewed >= 1:
            self._renewed = time.monotonic()
            self.forget()
        return self.ring()


_memory = _Memory()


def key_ring() -> KeyRing:
    """The ring, from memory where it is fresh.

    A database that fails leaves the last one known in use: published keys do not change by its failing.
    """
    return _memory.ring()


def renewed_ring() -> KeyRing:
    """The ring read anew, at most once a second: another worker may have made a key a moment ago."""
    return _memory.renewed()


def signer(algorithm: str, lifetime: int = 0) -> jose.Signer:
    """The key that signs with ``algorithm`` now, made if the ring has none.

    Args:
        lifetime: for how many seconds what it signs is to be valid. The key's row records it before it signs
            such a token for the first time, so that the key is published until the last of them has expired.

    Raises:
        TemporarilyUnavailable: it cannot be decrypted, or the ring is not known well enough.
    """
    for _ in range(_TRIES):
        key = key_ring().signing_key(algorithm)
        if key is not None and key.longest_lifetime >= lifetime:
            return _signer(key)
        if key is None:
            rotation.provide(Algorithm(algorithm))
        else:
            rotation.cover(algorithm, lifetime)
        _memory.forget()
    raise TemporarilyUnavailable("The server cannot sign now.", detail=f"No {algorithm} key is active.")


def _read() -> KeyRing:
    read_at, rows = time.monotonic(), list(SigningKey.objects.all())
    due = rotation.due(rows)
    for algorithm in due:
        _announce(Algorithm(algorithm), rows)
    return KeyRing(tuple(SigningKey.objects.all() if due else rows), read_at)


def _announce(algorithm: Algorithm, rows: Iterable[SigningKey]) -> None:
    """Make the next key; a key management service that fails must not cost the keys that there are."""
    try:
        rotation.announce(algorithm, rows)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:  # host code, which may raise anything
        logger.exception("The next %s key could not be made.", algorithm)


def _signer(key: SigningKey) -> jose.Signer:
    try:
        return _decrypted_signer(key.kid, key.algorithm, key.private_jwk)
    except encryption.Undecryptable as error:
        logger.error("The signing key %s cannot be decrypted: %s %s", key.kid, error, encryption.REMEDY)  # noqa: TRY400
        raise TemporarilyUnavailable("The server cannot sign now.", detail=f"{error} {encryption.REMEDY}") from error


@functools.lru_cache(maxsize=64)
def _decrypted_signer(kid: str, algorithm: str, envelope: str) -> jose.Signer:
    """Loading an RSA key costs 41 ms: once a key, never a request."""
    private = encryption.decrypt(envelope, SigningKey.context(kid))
    return jose.Signer(kid=kid, algorithm=Algorithm(algorithm), private_jwk=private)


def _verifiers(keys: Iterable[SigningKey]) -> Mapping[str, jose.Verifier]:
    verifiers = (_verifier(key.kid, key.algorithm, json.dumps(key.public_jwk)) for key in keys)
    return {verifier.kid: verifier for verifier in verifiers if verifier is not None}


@functools.lru_cache(maxsize=256)
def _verifier(kid: str, algorithm: str, public_jwk: str) -> jose.Verifier | None:
    """The public half; one row that is damaged must not cost the tokens of all others."""
    try:
        return jose.Verifier(kid=kid, algorithm=Algorithm(algorithm), public_jwk=json.loads(public_jwk))
    except jose.InvalidJws:
        logger.exception("The public key %s cannot be read.", kid)
        return None
