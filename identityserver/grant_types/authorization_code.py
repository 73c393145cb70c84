"""Redeeming an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6, OpenID Connect Core §3.1.3)."""

from datetime import datetime, timedelta

from django.utils import timezone

from identityserver import pkce, scopes, signals
from identityserver.digests import digest
from identityserver.errors import InvalidGrant
from identityserver.grant_types.base import RedeemingGrant, Replayed, TokenRequest, check_still_good
from identityserver.models import AuthorizationCode, Client, Grant
from identityserver.models.grants import HOLDER_RELATIONS, UNNEEDED
from identityserver.models.prepared import Parameter, Select, Update
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.refresh_token import new_refresh_token
from identityserver.vocabulary import GrantType

_TAKE = Update(
    AuthorizationCode.objects.filter(digest=Parameter("digest"), consumed_at=None), consumed_at=Parameter("now")
)
_FIND = Select(
    AuthorizationCode.objects.with_circumstances().filter(digest=Parameter("digest")),
    *HOLDER_RELATIONS,
    defer=UNNEEDED,
)


class _Replayed(Replayed):
    """The code's second valid use revokes what the first one gave (RFC 6749 §4.1.2)."""

    signal = signals.code_replayed
    reason = "authorization code used twice"


class AuthorizationCodeGrant(RedeemingGrant):
    """``authorization_code``."""

    def redeem(self, request: TokenRequest) -> Authorization:
        """Redeem the code, once."""
        now, code_digest = timezone.now(), digest(request.parameters["code"])
        taken = _TAKE.run(digest=code_digest, now=now)
        code = _FIND.first(digest=code_digest)
        if code is None:
            raise InvalidGrant("The code is unknown.")
        _check_binding(code, request.client, request.parameters)
        if not taken:
            raise _Replayed("The code has been used.", code.grant)
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
