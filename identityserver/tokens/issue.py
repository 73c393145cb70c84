"""The token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

from dataclasses import dataclass, replace
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
from identityserver.vocabulary import Algorithm


@dataclass(frozen=True)
class Signers:
    """The keys for one client's tokens, taken out before anything is consumed that it could not get back."""

    access_token: jose.Signer
    id_token: jose.Signer


_signers: ConfigurationCache[str, Signers] = ConfigurationCache(len(Algorithm))


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
    expires_in, token = seconds_valid(authorization, now), authorization.access_token
    if not token:
        claims = access_token_claims(authorization, now, expires_in, authentication)
        token = access_token(authorization, claims, signers.access_token)
    response: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "scope": " ".join(authorization.resources.scopes),
    }
    if authorization.issued_token_type:
        response["issued_token_type"] = authorization.issued_token_type
    if authorization.refresh_token:
        response["refresh_token"] = authorization.refresh_token
    if authorization.is_openid:
        response["id_token"] = id_token(authorization, signers.id_token, now, authentication, access_token=token)
    signals.tokens_issued.send(sender=Client, authorization=authorization, grant_type=authorization.grant_type)
    return response
