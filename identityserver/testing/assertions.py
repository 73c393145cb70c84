"""Client assertions as a client makes them (RFC 7523 §3, OpenID Connect Core §9)."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from identityserver import jose
from identityserver.conf import options
from identityserver.vocabulary import Algorithm, MacAlgorithm

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def assertion_claims(client_id: str, **changes: Any) -> dict[str, Any]:
    """What a client says to this server now, good for a minute; ``None`` leaves a claim out."""
    now = int(timezone.now().timestamp())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": options().issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims: Mapping[str, Any], key: jose.NewKey) -> str:
    """A JWT under a key pair, which its ``kid`` names (``private_key_jwt``)."""
    algorithm = Algorithm(key.public_jwk["alg"])
    signer = jose.Signer(kid=key.kid, algorithm=algorithm, private_jwk=key.private_jwk.encode())
    return signer.sign(claims, typ="JWT")


def authenticated(claims: Mapping[str, Any], secret: str, algorithm: str = MacAlgorithm.HS256) -> str:
    """A JWT with a MAC under a shared secret (``client_secret_jwt``)."""
    signing_input = f"{encoded({'alg': str(algorithm), 'typ': 'JWT'})}.{encoded(claims)}"
    mac = hmac.digest(secret.encode(), signing_input.encode(), f"sha{algorithm[2:]}")
    return f"{signing_input}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def encoded(members: Mapping[str, Any]) -> str:
    """A JSON object as a part of a JWS (RFC 7515 §3.1)."""
    octets = json.dumps(members, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
