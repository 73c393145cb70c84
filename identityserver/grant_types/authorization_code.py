"""Redeeming an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6, OpenID Connect Core §3.1.3).

One transaction that begins with a conditional UPDATE, which is the lock: on SQLite a transaction that
reads first deadlocks. A refusal rolls it back, so an invalid use consumes nothing.
"""

from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from identityserver import pkce, scopes, signals
from identityserver.digests import digest
from identityserver.errors import InvalidGrant
from identityserver.grant_types.base import TokenRequest, check_still_good
from identityserver.models import AuthorizationCode, Client, Grant
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.refresh_token import new_refresh_token
from identityserver.vocabulary import GrantType


class _Replayed(InvalidGrant):
    """A valid use of a code that was used before; raised to leave the transaction first."""

    def __init__(self, code: AuthorizationCode) -> None:
        super().__init__("The code has been used.")
        self.grant = code.grant


class AuthorizationCodeGrant:
    """``authorization_code``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """Redeem the code once; its second valid use revokes what the first one gave (RFC 6749 §4.1.2)."""
        value = request.parameters["code"]
        try:
            with transaction.atomic(using=router.db_for_write(AuthorizationCode)):
                return _redeem(digest(value), request)
        except _Replayed as replay:
            Grant.objects.revoke(replay.grant.pk, "authorization code used twice")
            signals.code_replayed.send(
                sender=Grant, client=request.client, grant_id=replay.grant.pk, subject=replay.grant.subject
            )
            raise


def _redeem(code_digest: str, request: TokenRequest) -> Authorization:
    now = timezone.now()
    taken = AuthorizationCode.objects.filter(digest=code_digest, consumed_at=None).update(consumed_at=now)
    code = AuthorizationCode.objects.filter(digest=code_digest).with_circumstances().first()
    if code is None:
        raise InvalidGrant("The code is unknown.")
    _check_binding(code, request.client, request.parameters)
    if not taken:
        raise _Replayed(code)
    check_still_good(code, request.client, now)
    if code.session_ended_at is not None:
        raise InvalidGrant("The user has signed out.")
    return _authorization(code.grant, request, nonce=code.nonce, now=now)


def _check_binding(code: AuthorizationCode, client: Client, parameters: Parameters) -> None:
    """The code is presented by who it was issued to, as it was asked for."""
    if code.grant.client_id != client.pk:
        raise InvalidGrant("The code was issued to another client.")
    sent = parameters.get("redirect_uri", "")
    if sent != code.redirect_uri and (sent or code.redirect_uri_was_sent):
        raise InvalidGrant("redirect_uri differs from the authorization request.", parameter="redirect_uri")
    verifier = parameters.get("code_verifier", "")
    if code.code_challenge and not pkce.verify(verifier, code.code_challenge):
        raise InvalidGrant("code_verifier does not fit the code_challenge.", parameter="code_verifier")
    if verifier and not code.code_challenge:
        raise InvalidGrant("code_verifier was sent, but no code_challenge before.", parameter="code_verifier")


def _authorization(grant: Grant, request: TokenRequest, *, nonce: str, now: datetime) -> Authorization:
    granted = scopes.resolve_granted(request.client, grant.scopes, grant.resources)
    targets = request.parameters.repeated.get("resource")
    resources = scopes.narrow_to_targets(granted, targets) if targets else granted
    refresh_token = new_refresh_token(grant, request.client, now) if granted.offline_access else ""
    return from_grant(
        grant,
        request.client,
        resources,
        grant_type=GrantType.AUTHORIZATION_CODE,
        nonce=nonce,
        refresh_token=refresh_token,
    )


def grant_lifetime(client: Client, resources: scopes.Resources) -> timedelta:
    """How long a grant made by a code may be used: as long as its refresh tokens, or else its access token."""
    if resources.offline_access:
        return client.lifetime("refresh_token_absolute_lifetime")
    return client.lifetime("authorization_code_lifetime") + client.lifetime("access_token_lifetime")
