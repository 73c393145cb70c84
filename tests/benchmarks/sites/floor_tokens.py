"""The least that signing and checking a JWT takes: a key loaded once, a header made once, one signature."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_ES256 = ec.ECDSA(hashes.SHA256())
_elliptic = cast(ec.EllipticCurvePrivateKey, load_pem_private_key(os.environ["BENCHMARK_EC_KEY"].encode(), None))
_elliptic_public = _elliptic.public_key()
_rsa = cast(rsa.RSAPrivateKey, load_pem_private_key(os.environ["BENCHMARK_RSA_KEY"].encode(), None))


def digest(value: str) -> str:
    """A value as it is kept."""
    return encoded(hashlib.sha256(value.encode()).digest())


def encoded(octets: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """And back."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def left_hash(token: str) -> str:
    """``at_hash`` (OpenID Connect Core §3.1.3.6)."""
    return encoded(hashlib.sha256(token.encode()).digest()[:16])


def signed(algorithm: str, typ: str, claims: Mapping[str, Any]) -> str:
    """A JWT."""
    signing_input = f"{_HEADERS[algorithm, typ]}.{encoded(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signing_input}.{encoded(_SIGN[algorithm](signing_input.encode()))}"


def verified(token: str) -> dict[str, Any]:
    """The claims of one of ours that is signed with ES256."""
    signing_input, _, signature = token.rpartition(".")
    octets = decoded(signature)
    pair = (int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big"))
    _elliptic_public.verify(encode_dss_signature(*pair), signing_input.encode(), _ES256)
    claims: dict[str, Any] = json.loads(decoded(signing_input.partition(".")[2]))
    return claims


def _sign_elliptic(octets: bytes) -> bytes:
    r, s = decode_dss_signature(_elliptic.sign(octets, _ES256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _sign_rsa(octets: bytes) -> bytes:
    return _rsa.sign(octets, padding.PKCS1v15(), hashes.SHA256())


_SIGN: dict[str, Callable[[bytes], bytes]] = {"ES256": _sign_elliptic, "RS256": _sign_rsa}
_HEADERS = {
    (algorithm, typ): encoded(json.dumps({"alg": algorithm, "typ": typ, "kid": "1"}, separators=(",", ":")).encode())
    for algorithm in _SIGN
    for typ in ("at+jwt", "JWT")
}
