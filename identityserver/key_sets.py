"""Key sets of others, as they register or publish them: public keys that verify signatures (RFC 7517 §4, §5).

Whoever writes such a set is not trusted. A key that is symmetric, private, too small or for another use is as
if it were not there; which key verifies follows from the set and the algorithm asked for, never from a token alone.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from identityserver import jose
from identityserver.vocabulary import Algorithm

#: The most keys that a set may have, and its longest JSON.
MOST_KEYS = 100
LONGEST = 64 * 1024

#: Members of a private or symmetric key (RFC 7518 §6.2.2, §6.3.2, §6.4).
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

#: What makes a public key; whatever else a member says of it stays outside.
_MATERIAL = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e"), "OKP": ("kty", "crv", "x")}

#: Characters of the longest member: the modulus of an RSA key of 4096 bits has 683.
_LONGEST_MEMBER = 700

_ALGORITHMS = {
    ("EC", "P-256"): (Algorithm.ES256,),
    ("EC", "P-384"): (Algorithm.ES384,),
    ("RSA", ""): (Algorithm.RS256, Algorithm.PS256),
    ("OKP", "Ed25519"): (Algorithm.EDDSA,),
}


@dataclass(frozen=True)
class KeySet:
    """The keys of a set that can verify signatures."""

    verifiers: tuple[jose.Verifier, ...]

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> "KeySet":
        """The usable keys of a JSON Web Key Set; others are left out (RFC 7517 §5).

        Raises:
            InvalidJws: it is no key set, or one with too many keys.
        """
        keys = members.get("keys")
        if not isinstance(keys, list) or len(keys) > MOST_KEYS:
            raise jose.InvalidJws(f"There is no list of at most {MOST_KEYS} keys.")
        return cls(tuple(verifier for jwk in keys if isinstance(jwk, dict) for verifier in _verifiers(jwk)))

    def verifier(self, algorithm: Algorithm, kid: str) -> jose.Verifier:
        """The one key for ``algorithm`` that is named ``kid``; a token that names none needs no choice, either.

        Raises:
            UnknownKey: there is none, or there are several (OpenID Connect Core §10.1).
        """
        fitting = [key for key in self.verifiers if key.algorithm == algorithm and kid in {"", key.kid}]
        if len(fitting) != 1:
            raise jose.UnknownKey(f"{len(fitting)} keys fit the token's algorithm and key ID.")
        return fitting[0]


@lru_cache(maxsize=256)
def read_key_set(document: bytes) -> KeySet:
    """The key set that a document holds, read once for each.

    Raises:
        InvalidJws: it holds none.
    """
    return KeySet.of(jose.read_object(document))


def key_set_problem(members: Any) -> str:
    """Why ``members`` cannot be registered as a key set, as a sentence for people; ``""`` where it can."""
    keys = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(jwk, dict) for jwk in keys):
        return 'Enter a JSON Web Key Set: {"keys": [{"kty": …}, …]} (RFC 7517 §5).'
    if len(keys) > MOST_KEYS or len(json.dumps(members)) > LONGEST:
        return f"It is larger than {MOST_KEYS} keys or {LONGEST} characters."
    return next((problem for jwk in keys if (problem := _problem(jwk))), "")


def _problem(jwk: Mapping[str, Any]) -> str:
    name = str(jwk.get("kid", ""))[:80] or "without a key ID"
    if jwk.get("kty") == "oct" or "k" in jwk:
        return f"The key {name} is symmetric: a key set is public."
    if _PRIVATE & jwk.keys():
        return f"The key {name} is private: register its public half, and make a new key where this one was shown."
    if _suits(jwk) and not any(_verifiers(jwk)):
        return f"The key {name} cannot be used: it is malformed, too small or too large."
    return ""


def _verifiers(jwk: Mapping[str, Any]) -> Iterator[jose.Verifier]:
    """A key for each algorithm that it is for; nothing for one that is not public or not for signatures."""
    if _PRIVATE & jwk.keys():
        return
    for algorithm in _suits(jwk):
        material = {name: jwk[name] for name in _MATERIAL[jwk["kty"]] if _is_member(jwk.get(name))}
        kid = jwk.get("kid", "")
        try:
            yield jose.Verifier(kid=kid if isinstance(kid, str) else "", algorithm=algorithm, public_jwk=material)
        except jose.InvalidJws:
            return


def _is_member(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_MEMBER


def _suits(jwk: Mapping[str, Any]) -> tuple[Algorithm, ...]:
    """The algorithms that a key may verify by its type, ``use``, ``key_ops`` and ``alg`` (RFC 7517 §4)."""
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return ()
    kind = (str(jwk.get("kty", "")), str(jwk.get("crv", "")))
    return tuple(algorithm for algorithm in _ALGORITHMS.get(kind, ()) if jwk.get("alg", algorithm) == algorithm)
