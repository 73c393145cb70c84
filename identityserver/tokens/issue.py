"""The token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from identityserver import jose, signals
from identityserver.caching import ConfigurationCache
from identityserver.conf import options
from identityserver.models import Client
from identityserver.scopes import algorithm_for
from identityserver.tokens.access_token import (
    access_token,
    access_token_claims,
    authentication_claims,
    seconds_valid,
)
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.id_token import id_token
from identityserver.tokens.keys import signer
from identityserver.vocabulary import Algorithm, ResponseType


@dataclass(frozen=True)
class Signers:
    """The keys for one client's tokens, taken out before anything is consumed that it could not get back."""

    access_token: jose.Signer
    id_token: jose.Signer


#: By the ID token's algorithm and by the seconds that tokens are valid, of which there are few.
_signers: ConfigurationCache[tuple[str, int], Signers] = ConfigurationCache(16 * len(Algorithm))


def signers_for(client: Client) -> Signers:
    """The keys that sign by default what ``client`` gets; those that its APIs ask for are there, too.

    Raises:
        TemporarilyUnavailable: one is missing or cannot be decrypted.
    """
    lifetime = client.longest_token_lifetime
    for api in client.particular_apis:
        signer(algorithm_for([api]), lifetime)
    asked = (client.id_token_signed_response_alg or options().id_token_signing_algorithm, lifetime)
    return _signers.get(asked) or _signers.load(asked, partial(_find_signers, *asked))


def _find_signers(id_token_algorithm: str, lifetime: int) -> Signers:
    return Signers(
        access_token=signer(options().access_token_signing_algorithm, lifetime),
        id_token=signer(id_token_algorithm, lifetime),
    )


def issue_tokens(authorization: Authorization, signers: Signers) -> dict[str, Any]:
    """Every token that ``authorization`` stands for, as the members of the token response."""
    if authorization.resources.access:
        authorization = replace(authorization, resources=authorization.resources.within_audience())
    now, authentication = timezone.now(), authentication_claims(authorization)
    response = _access_token(authorization, signers, now, authentication)
    if authorization.issued_token_type:
        response["issued_token_type"] = authorization.issued_token_type
    if authorization.refresh_token:
        response["refresh_token"] = authorization.refresh_token
    if authorization.is_openid:
        beside = {"at_hash": response["access_token"]}
        response["id_token"] = id_token(authorization, signers.id_token, now, authentication, beside=beside)
    signals.tokens_issued.send(sender=Client, authorization=authorization, grant_type=authorization.grant_type)
    return response


def issue_in_front(
    authorization: Authorization, signers: Signers, response_type: ResponseType, *, code: str, state: str
) -> dict[str, Any]:
    """The tokens of an authorization response (OpenID Connect Core §3.2.2.5, §3.3.2.5, RFC 6749 §4.2.2).

    Args:
        code: what is delivered beside them, ``""`` for none; likewise ``state``. The ID token holds their hashes
            (§3.3.2.11, FAPI 1.0 Part 2 §5.2.2.1).
    """
    if authorization.resources.access:
        authorization = replace(authorization, resources=authorization.resources.within_audience())
    now, authentication = timezone.now(), authentication_claims(authorization)
    gives_access_token = response_type.gives_access_token
    response = _access_token(authorization, signers, now, authentication) if gives_access_token else {}
    if response_type.gives_id_token:
        hashed = {"at_hash": response.get("access_token", ""), "c_hash": code, "s_hash": state}
        response["id_token"] = id_token(
            authorization,
            signers.id_token,
            now,
            authentication,
            beside={name: value for name, value in hashed.items() if value},
            with_user_claims=response_type == ResponseType.ID_TOKEN,
        )
    signals.tokens_issued.send(sender=Client, authorization=authorization, grant_type=authorization.grant_type)
    return response


def _access_token(
    authorization: Authorization, signers: Signers, now: datetime, authentication: Mapping[str, Any]
) -> dict[str, Any]:
    """The members of a response that tell of an access token (RFC 6749 §5.1)."""
    expires_in, token = seconds_valid(authorization, now), authorization.access_token
    if not token:
        claims = access_token_claims(authorization, now, expires_in, authentication)
        token = access_token(authorization, claims, signers.access_token)
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "scope": " ".join(authorization.resources.scopes),
    }
