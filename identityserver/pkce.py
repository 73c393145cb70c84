"""Proof Key for Code Exchange (RFC 7636), method S256 only: ``plain`` protects nothing (RFC 9700 §2.1.1)."""

import base64
import hashlib
import hmac
import re

METHOD = "S256"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(value: str) -> bool:
    """Whether ``value`` can be an S256 challenge: 43 base64url characters (RFC 7636 §4.2)."""
    return _CHALLENGE.fullmatch(value) is not None


def verify(verifier: str, challenge: str) -> bool:
    """Whether ``verifier`` is well formed (RFC 7636 §4.1) and hashes to ``challenge`` (§4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)
