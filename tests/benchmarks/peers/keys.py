"""Private keys for the peers that are given theirs, so that all their workers have the same."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def rsa_key() -> str:
    """A key for RS256, as PEM."""
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def elliptic_key() -> str:
    """A key for ES256, as PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
