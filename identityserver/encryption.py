"""Encryption at rest: AES-256-GCM envelopes for what must be recovered (private keys, recoverable secrets).

The associated data names table, row and purpose, so that a ciphertext moved to another row does not open.
"""

import base64
import hashlib
import hmac
import json
import os
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.encoding import force_bytes

from identityserver import conf

#: What whoever runs the site does about it.
REMEDY = "Put the key it was encrypted under back into key_encryption_keys or SECRET_KEY_FALLBACKS."


class KeyProtector(Protocol):
    """What the option ``key_protector`` names: a class that wraps and unwraps with a key management service."""

    def wrap(self, plaintext: bytes, context: str) -> str:
        """Encrypt; ``context`` must be given again to open."""

    def unwrap(self, envelope: str, context: str) -> bytes:
        """Decrypt, or raise :class:`Undecryptable`."""

    def is_current(self, envelope: str) -> bool:
        """Whether ``wrap`` would use the same key; ``identityserver_keys rekey`` wraps the others again."""


class Undecryptable(Exception):
    """No configured key opens the envelope: ``key_encryption_keys`` or SECRET_KEY changed."""


def encrypt(plaintext: bytes, context: str) -> str:
    """An envelope that only :func:`decrypt` with the same ``context`` opens."""
    return _protector().wrap(plaintext, context)


def decrypt(envelope: str, context: str) -> bytes:
    """The plaintext.

    Raises:
        Undecryptable: no configured key opens it, or it belongs to another context.
    """
    protector = LocalProtector() if LocalProtector.made(envelope) else _protector()
    return protector.unwrap(envelope, context)


def is_current(envelope: str) -> bool:
    """Whether :func:`encrypt` would use the same key of the same protector now."""
    protector = _protector()
    if LocalProtector.made(envelope) != isinstance(protector, LocalProtector):
        return False
    return protector.is_current(envelope)


class LocalProtector:
    """Keys from the option ``key_encryption_keys``, or else derived from SECRET_KEY and its fallbacks."""

    def wrap(self, plaintext: bytes, context: str) -> str:
        """Encrypt under the first key, which the envelope names."""
        key = _keys()[0]
        nonce = os.urandom(12)
        sealed = AESGCM(key).encrypt(nonce, plaintext, context.encode())
        return json.dumps({"v": 1, "key": _key_id(key), "box": base64.b64encode(nonce + sealed).decode()})

    def is_current(self, envelope: str) -> bool:
        """Whether the first key encrypted it."""
        return _parts(envelope).get("key") == _key_id(_keys()[0])

    @staticmethod
    def made(envelope: str) -> bool:
        """Whether the envelope is one of these: they stay readable once a ``key_protector`` is named."""
        parts = _parts(envelope)
        return parts.get("v") == 1 and parts.keys() == {"v", "key", "box"}  # a protector's may be JSON, too

    def unwrap(self, envelope: str, context: str) -> bytes:
        """Decrypt under the key that the envelope names."""
        try:
            parts = json.loads(envelope)
            box = base64.b64decode(parts["box"])
            key = next(key for key in _keys() if _key_id(key) == parts["key"])
            return AESGCM(key).decrypt(box[:12], box[12:], context.encode())
        except StopIteration:
            raise Undecryptable(f"No configured key encryption key opens {context}.") from None
        except (InvalidTag, ValueError, KeyError, TypeError) as error:
            raise Undecryptable(f"The stored value of {context} is damaged or belongs elsewhere.") from error


def _parts(envelope: str) -> dict[str, Any]:
    try:
        parts = json.loads(envelope)
    except ValueError:
        return {}
    return parts if isinstance(parts, dict) else {}


def _protector() -> KeyProtector:
    named = conf.load("key_protector")
    return named() if named is not None else LocalProtector()


def _keys() -> list[bytes]:
    given = conf.options().key_encryption_keys
    sources: tuple[str | bytes, ...] = given or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [hmac.digest(b"identityserver key encryption", force_bytes(source), "sha256") for source in sources]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"id:" + key).hexdigest()[:16]
