"""The token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

from typing import Any

from django.utils import timezone

from identityserver import signals
from identityserver.conf import options
from identityserver.models import Client
from identityserver.tokens.access_token import access_token
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.id_token import id_token, id_token_algorithm
from identityserver.tokens.keys import signer


def issue_tokens(authorization: Authorization) -> dict[str, Any]:
    """Every token that ``authorization`` stands for, as the members of the token response."""
    now = timezone.now()
    token = access_token(authorization, now)
    response: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(authorization.client.lifetime("access_token_lifetime").total_seconds()),
        "scope": " ".join(authorization.scopes),
    }
    if authorization.refresh_token:
        response["refresh_token"] = authorization.refresh_token
    if authorization.is_openid:
        response["id_token"] = id_token(authorization, now, access_token=token)
    signals.tokens_issued.send(sender=Client, authorization=authorization, grant_type=authorization.grant_type)
    return response


def ready_to_sign(client: Client) -> None:
    """Have the keys at hand before anything is consumed that a client could not get back.

    Raises:
        TemporarilyUnavailable: a key is missing or cannot be decrypted.
    """
    signer(options().access_token_signing_algorithm)
    signer(id_token_algorithm(client))
