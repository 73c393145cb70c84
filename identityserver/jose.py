"""JOSE: the only importer of jwcrypto. Signs, verifies and makes keys, with pinned algorithms and sizes.

Which algorithms and types are good is the caller's explicit list, never the header's word (RFC 8725 §3.1,
§3.11). Keys are parsed once and kept as ``cryptography`` keys: a signature then costs a tenth.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from identityserver.vocabulary import Algorithm, MacAlgorithm

#: Longest token that is looked at, in characters; checked before anything is parsed.
MAX_LENGTH = 50_000

#: Deepest nesting of JSON in a header or payload.
MAX_DEPTH = 30

_BASE64URL = re.compile("[A-Za-z0-9_-]+")
_RSA_BITS = range(2048, 4097)
_RSA_MAX_EXPONENT = 1 << 32

#: Header members that would let a token choose its own key or meaning (RFC 8725 §3.10, RFC 7515 §4.1.11).
_REFUSED_HEADERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"})

_GENERATE: dict[Algorithm, dict[str, Any]] = {
    Algorithm.ES256: {"kty": "EC", "crv": "P-256"},
    Algorithm.ES384: {"kty": "EC", "crv": "P-384"},
    Algorithm.RS256: {"kty": "RSA", "size": 2048},
    Algorithm.PS256: {"kty": "RSA", "size": 2048},
    Algorithm.EDDSA: {"kty": "OKP", "crv": "Ed25519"},
}

#: The hash of each HMAC algorithm, and the least octets of its key (RFC 7518 §3.2).
_MACS = {MacAlgorithm.HS256: ("sha256", 32), MacAlgorithm.HS384: ("sha384", 48), MacAlgorithm.HS512: ("sha512", 64)}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class InvalidJws(ValueError):
    """The token is malformed, its algorithm, type or key is not allowed, or its signature is wrong."""


class UnknownKey(InvalidJws):
    """The token names a key that is not among those given."""


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A generated key pair; ``kid`` is its RFC 7638 thumbprint."""

    kid: str
    private_jwk: str
    public_jwk: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Jws:
    """A compact JWS, parsed and not yet verified."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def claims(self) -> dict[str, Any]:
        """The payload as a JSON object (RFC 7519 §7.2)."""
        return read_object(self.payload)


class Signer:
    """A private key that signs JWTs, with its header made once per type."""

    def __init__(self, *, kid: str, algorithm: Algorithm, private_jwk: bytes) -> None:
        key = JWK.from_json(private_jwk.decode())
        self.kid = kid
        self.algorithm = algorithm
        self._sign = _signing(algorithm, key.get_op_key("sign"))
        self._headers: dict[str, bytes] = {}

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """``claims`` as a signed JWT in compact serialization (RFC 7515 §3.1)."""
        payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
        header = self._headers.get(typ) or self._make_header(typ)
        signing_input = header + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
        signature = base64.urlsafe_b64encode(self._sign(signing_input)).rstrip(b"=")
        return (signing_input + b"." + signature).decode()

    def _make_header(self, typ: str) -> bytes:
        header = {"alg": self.algorithm.value, "typ": typ, "kid": self.kid}
        encoded = base64.urlsafe_b64encode(json.dumps(header, separators=(",", ":")).encode()).rstrip(b"=")
        self._headers[typ] = encoded
        return encoded


class Verifier:
    """A public key that verifies signatures of one algorithm."""

    def __init__(self, *, kid: str, algorithm: Algorithm, public_jwk: Mapping[str, Any]) -> None:
        try:
            key = JWK(**public_jwk)
            self._verify = _verifying(algorithm, key.get_op_key("verify"))
        except (JWException, ValueError, TypeError) as error:
            raise InvalidJws(f"The key {kid} cannot be used with {algorithm}.") from error
        self.kid = kid
        self.algorithm = algorithm

    def verify(self, jws: Jws) -> None:
        """Check the signature.

        Raises:
            InvalidJws: the header's algorithm is not this key's, or the signature is wrong.
        """
        if jws.header.get("alg") != self.algorithm:
            raise InvalidJws("The algorithm is not the key's.")
        try:
            self._verify(jws.signature, jws.signing_input)
        except (InvalidSignature, ValueError) as error:
            raise InvalidJws("The signature is wrong.") from error


class MacVerifier:
    """A secret that verifies HMACs of one algorithm. It is never made from a key that others may know."""

    def __init__(self, *, algorithm: MacAlgorithm, key: bytes) -> None:
        self.algorithm = algorithm
        self._digest, least = _MACS[algorithm]
        if len(key) < least:
            raise InvalidJws(f"The secret is too short for {algorithm}.")
        self._key = key

    def verify(self, jws: Jws) -> None:
        """Check the MAC, in constant time.

        Raises:
            InvalidJws: the header's algorithm is not this one, or the MAC is wrong.
        """
        if jws.header.get("alg") != self.algorithm:
            raise InvalidJws("The algorithm is not the key's.")
        if not hmac.compare_digest(hmac.digest(self._key, jws.signing_input, self._digest), jws.signature):
            raise InvalidJws("The signature is wrong.")


def generate(algorithm: Algorithm) -> NewKey:
    """A new key pair for ``algorithm``."""
    key = JWK.generate(**_GENERATE[algorithm])
    kid = key.thumbprint()
    public = {**key.export_public(as_dict=True), "kid": kid, "use": "sig", "alg": algorithm.value}
    return NewKey(kid=kid, private_jwk=key.export_private(), public_jwk=public)


def parse(token: str) -> Jws:
    """The parts of a compact JWS, without trusting any.

    Raises:
        InvalidJws: it is too long, malformed, or its header tries to choose key or meaning.
    """
    if len(token) > MAX_LENGTH:
        raise InvalidJws("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise InvalidJws("The token is not a compact JWS.")
    header = read_object(_octets(parts[0]))
    if refused := _REFUSED_HEADERS & header.keys():
        raise InvalidJws(f"The header member {min(refused)} is not allowed.")
    return Jws(
        header=header,
        payload=_octets(parts[1]),
        signing_input=f"{parts[0]}.{parts[1]}".encode(),
        signature=_octets(parts[2]),
    )


def verify(token: str, verifiers: Mapping[str, Verifier], *, types: Collection[str]) -> dict[str, Any]:
    """The claims of a token signed by one of ``verifiers``, by kid.

    Args:
        types: the acceptable ``typ`` header values, compared without case (RFC 7515 §4.1.9).

    Raises:
        UnknownKey: its kid is not among them.
        InvalidJws: anything else is wrong.
    """
    jws = parse(token)
    if str(jws.header.get("typ", "")).lower() not in {typ.lower() for typ in types}:
        raise InvalidJws("The token is of another type.")
    verifier = verifiers.get(str(jws.header.get("kid", "")))
    if verifier is None:
        raise UnknownKey("The token names an unknown key.")
    verifier.verify(jws)
    return jws.claims


def read_object(octets: bytes | str) -> dict[str, Any]:
    """A JSON object, strictly: UTF-8, and no duplicate member, NaN or deep nesting.

    Raises:
        InvalidJws: it is anything else.
    """
    try:
        text = octets.decode() if isinstance(octets, bytes) else octets  # json itself would take UTF-16 and -32, too
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidJws("The JSON is malformed.") from error
    if not isinstance(value, dict) or _depth([value]) > MAX_DEPTH:
        raise InvalidJws("The JSON is not a plain object.")
    return value


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"duplicate member {name[:40]!r}")
        members[name] = value
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(level: list[Any]) -> int:
    """Levels of nesting, counted breadth first so that hostile JSON costs no stack."""
    depth = 0
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return depth


def _octets(text: str) -> bytes:
    try:
        if not _BASE64URL.fullmatch(text):  # the decoder takes padding and the plain alphabet, too (RFC 7515 §2)
            raise ValueError("another alphabet")
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise InvalidJws("The token is not base64url.") from error


def _signing(algorithm: Algorithm, key: Any) -> Callable[[bytes], bytes]:
    match algorithm:
        case Algorithm.ES256 | Algorithm.ES384:
            signature_of, size = ec.ECDSA(_hash(algorithm)), key.key_size // 8
            return partial(_sign_ecdsa, key, signature_of, size)
        case Algorithm.RS256 | Algorithm.PS256:
            pad, digest = _padding(algorithm), _hash(algorithm)
            return partial(key.sign, padding=pad, algorithm=digest)
        case Algorithm.EDDSA:
            return key.sign  # type: ignore[no-any-return]  # of an Ed25519 key


def _verifying(algorithm: Algorithm, key: Any) -> Callable[[bytes, bytes], None]:
    _check_size(algorithm, key)
    match algorithm:
        case Algorithm.ES256 | Algorithm.ES384:
            signature_of, size = ec.ECDSA(_hash(algorithm)), key.key_size // 8
            return lambda signature, message: key.verify(_der(signature, size), message, signature_of)
        case Algorithm.RS256 | Algorithm.PS256:
            pad, digest = _padding(algorithm), _hash(algorithm)
            return lambda signature, message: key.verify(signature, message, pad, digest)
        case Algorithm.EDDSA:
            return key.verify  # type: ignore[no-any-return]  # of an Ed25519 key


def _check_size(algorithm: Algorithm, key: PublicKey) -> None:
    match algorithm, key:
        case ((Algorithm.RS256 | Algorithm.PS256), rsa.RSAPublicKey()):
            if key.key_size not in _RSA_BITS or key.public_numbers().e > _RSA_MAX_EXPONENT:
                raise ValueError("RSA keys have 2048 to 4096 bits and a small exponent")
        case (Algorithm.ES256, ec.EllipticCurvePublicKey(curve=ec.SECP256R1())):
            return
        case (Algorithm.ES384, ec.EllipticCurvePublicKey(curve=ec.SECP384R1())):
            return
        case (Algorithm.EDDSA, ed25519.Ed25519PublicKey()):
            return
        case _:
            raise ValueError("the key is not of the algorithm")


def _hash(algorithm: Algorithm) -> hashes.HashAlgorithm:
    return hashes.SHA384() if algorithm is Algorithm.ES384 else hashes.SHA256()


def _padding(algorithm: Algorithm) -> padding.AsymmetricPadding:
    if algorithm is Algorithm.RS256:
        return padding.PKCS1v15()
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)


def _sign_ecdsa(key: ec.EllipticCurvePrivateKey, signature_of: ec.ECDSA, size: int, message: bytes) -> bytes:
    """An ECDSA signature as JWS wants it: R and S side by side (RFC 7518 §3.4)."""
    r, s = decode_dss_signature(key.sign(message, signature_of))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _der(raw: bytes, size: int) -> bytes:
    if len(raw) != 2 * size:
        raise ValueError("wrong signature length")
    return encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
