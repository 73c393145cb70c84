"""Client assertions: a JWT that only the client can have made (RFC 7523 §2.2, OpenID Connect Core §9).

The method follows from the JWT's algorithm and counts only where the client is registered for it, so no public key
is ever taken for a shared secret. Where there is no key to try, another one is tried: refusals come no sooner.
"""

import functools
from contextlib import suppress
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.urls import reverse

from identityserver import digests, encryption, jose
from identityserver.client_authentication.assertion import Assertion
from identityserver.client_authentication.client_secret import note_use
from identityserver.client_authentication.credentials import Credentials
from identityserver.client_keys import client_verifier
from identityserver.conf import options
from identityserver.errors import TemporarilyUnavailable
from identityserver.models import Client, ClientSecret
from identityserver.parameters import Parameters
from identityserver.vocabulary import Algorithm, AuthMethod, MacAlgorithm

#: RFC 7523 §2.2.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#: The parameters of RFC 7521 §4.2.
PARAMETERS = frozenset({"client_assertion", "client_assertion_type"})

_SHARED = frozenset(MacAlgorithm)
_OWN = frozenset(Algorithm)


def present(request: HttpRequest, parameters: Parameters) -> Credentials:
    """The assertion in the body. It says itself which client it is about, where client_id does not (RFC 7521 §4.2).

    Raises:
        InvalidRequest: one of its two parameters is missing.
    """
    token, kind = parameters["client_assertion"], parameters["client_assertion_type"]
    is_strict = options().strict_assertion_audience
    audiences = {options().issuer} if is_strict else _audiences(request)
    assertion = Assertion(token if kind == ASSERTION_TYPE else "", audiences=audiences, is_strict=is_strict)
    return Credentials(
        method=AuthMethod.CLIENT_SECRET_JWT if assertion.algorithm in _SHARED else AuthMethod.PRIVATE_KEY_JWT,
        client_id=parameters.get("client_id", "") or assertion.subject,
        assertion=assertion,
    )


class _ByAssertion:
    """What both methods have in common."""

    def refusal(self, client: Client | None, credentials: Credentials) -> str:
        """Why the assertion does not prove the client, for staff; ``""`` where it does, which uses it up.

        Raises:
            TemporarilyUnavailable, ClientKeysUnavailable: its keys cannot be had, so that nobody can say.
        """
        assertion = credentials.assertion
        if assertion is None:
            return "There is no assertion."
        try:
            jws = assertion.checked(credentials.client_id)
            self.verify(client, assertion, jws)
        except jose.InvalidJws as error:
            return str(error)
        return "" if assertion.is_first_use else "Its jti was used before."

    def verify(self, client: Client | None, assertion: Assertion, jws: jose.Jws) -> None:
        """Check the signature by a key of the client's.

        Raises:
            InvalidJws: it has none that made it.
        """
        raise NotImplementedError


class SharedKey(_ByAssertion):
    """``client_secret_jwt``: a MAC under one of the client's secrets."""

    def verify(self, client: Client | None, assertion: Assertion, jws: jose.Jws) -> None:
        """Check the MAC by each secret that is kept for it."""
        algorithm = MacAlgorithm(assertion.algorithm)
        if client is None or algorithm not in client.assertion_algorithms:
            return _verify_in_vain(_mac_decoy(algorithm), jws, "The client makes no such assertions.")
        used = _secret_behind(client, algorithm, jws)
        if used is None:
            raise jose.InvalidJws("No secret of the client's that can be recovered made it.")
        return note_use(used)


class OwnKey(_ByAssertion):
    """``private_key_jwt``: a signature by a key of which the client published the public half."""

    def verify(self, client: Client | None, assertion: Assertion, jws: jose.Jws) -> None:
        """Check the signature by the one key that fits."""
        if assertion.algorithm not in _OWN:
            raise jose.InvalidJws("No client may use its algorithm.")
        algorithm = Algorithm(assertion.algorithm)
        if client is None or algorithm not in client.assertion_algorithms:
            return _verify_in_vain(_decoy(algorithm), jws, "The client makes no such assertions.")
        try:
            key = client_verifier(client, algorithm, assertion.kid)
        except jose.UnknownKey as unknown:
            return _verify_in_vain(_decoy(algorithm), jws, str(unknown))
        return key.verify(jws)


def _audiences(request: HttpRequest) -> set[str]:
    """The issuer, the token endpoint and the endpoint that is called (RFC 9126 §2); never by the Host header."""
    parts = urlsplit(options().issuer)
    origin = f"{parts.scheme}://{parts.netloc}"
    return {options().issuer, origin + reverse("identityserver:token"), origin + request.path}


def _secret_behind(client: Client, algorithm: MacAlgorithm, jws: jose.Jws) -> ClientSecret | None:
    """The client's secret that made the MAC."""
    unreadable = ""
    for secret in client.secrets_in_use:
        if not secret.encrypted or secret.has_expired:
            continue
        try:
            _mac_verifier(secret.encrypted, secret.context(secret.digest), algorithm).verify(jws)
        except encryption.Undecryptable as error:
            unreadable = str(error)
        except jose.InvalidJws:
            continue
        else:
            return secret
    if unreadable:
        raise TemporarilyUnavailable("The server cannot check this client's assertions now.", detail=unreadable)
    return None


@functools.lru_cache(maxsize=256)
def _mac_verifier(envelope: str, context: str, algorithm: MacAlgorithm) -> jose.MacVerifier:
    """An envelope is opened once: that may be a call to a key management service."""
    return jose.MacVerifier(algorithm=algorithm, key=encryption.decrypt(envelope, context))


def _verify_in_vain(verifier: jose.Verifier | jose.MacVerifier, jws: jose.Jws, reason: str) -> None:
    """Do the work of a verification, and refuse whatever comes of it."""
    with suppress(jose.InvalidJws):
        verifier.verify(jws)
    raise jose.InvalidJws(reason)


@functools.cache
def _mac_decoy(algorithm: MacAlgorithm) -> jose.MacVerifier:
    return jose.MacVerifier(algorithm=algorithm, key=digests.new_handle().encode() * 2)


@functools.cache
def _decoy(algorithm: Algorithm) -> jose.Verifier:
    """A key that nobody has the other half of. An RSA key takes long to make, and any modulus will do."""
    if algorithm in {Algorithm.RS256, Algorithm.PS256}:
        public = {"kty": "RSA", "n": digests.base64url(b"\xff" * 256), "e": "AQAB"}
    else:
        public = jose.generate(algorithm).public_jwk
    return jose.Verifier(kid="", algorithm=algorithm, public_jwk=public)
