"""Handles and secrets: random values that are kept only as SHA-256 digests.

At 128 bits and more of entropy a slow hash adds nothing, and is a denial of service and a timing oracle.
"""

import base64
import hashlib
import secrets

#: Characters of a digest, and of a 256-bit handle, in base64url without padding.
LENGTH = 43


def new_handle() -> str:
    """A random value of 256 bits in 43 base64url characters."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> str:
    """The SHA-256 digest of ``value`` in 43 base64url characters."""
    octets = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(octets)[:LENGTH].decode()


def base64url(octets: bytes) -> str:
    """RFC 4648 §5 without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
