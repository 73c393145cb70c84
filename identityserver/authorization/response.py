"""Answering an authorization request (RFC 6749 §4.1.2, §4.2.2, RFC 9207, OpenID Connect Core §3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from identityserver import digests, signals
from identityserver.authorization.interaction import Proceed, consent_claims
from identityserver.authorization.request import AuthorizationRequest, Destination
from identityserver.conf import options
from identityserver.errors import ProtocolError
from identityserver.grant_types.authorization_code import grant_lifetime
from identityserver.models import AuthorizationCode, Consent, Grant
from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.models.prepared import Insert
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.issue import issue_in_front, signers_for
from identityserver.tokens.reference_token import with_reference_token
from identityserver.tokens.subject import subject_of
from identityserver.vocabulary import AccessTokenType, GrantType

_ADD_GRANT = Insert(Grant)
_ADD_CODE = Insert(AuthorizationCode)


class AlreadyAnswered(Exception):
    """The stored request was answered before, perhaps in another tab."""


def success(request: AuthorizationRequest, outcome: Proceed, stored: StoredRequest | None = None) -> Mapping[str, str]:
    """The parameters of a successful response; grant, code and consent are stored in one transaction.

    Raises:
        AlreadyAnswered: the stored request has been used.
        TemporarilyUnavailable: the server cannot sign what it would have to; nothing is stored.
    """
    now, response_type = timezone.now(), request.response_type
    subject = subject_of(outcome.session.user, request.client)
    signers = signers_for(request.client) if response_type.has_tokens else None
    with transaction.atomic(using=router.db_for_write(Grant)):
        if stored is not None and not stored.use():
            raise AlreadyAnswered
        grant = _grant(request, outcome, subject, now)
        code = _code(request, grant, now) if response_type.gives_code else ""
        outcome.session.take_part(request.client)
        if stored is not None and stored.remember_consent:
            _remember(request, outcome)
        authorization = _authorization(request, outcome, grant)
    tokens: Mapping[str, Any] = {}
    if signers is not None:
        tokens = issue_in_front(authorization, signers, response_type, code=code, state=request.destination.state)
    if code:
        signals.code_issued.send(sender=Grant, authorization=authorization)
    return response(request.destination, {**({"code": code} if code else {}), **tokens})


def failure(destination: Destination, error: ProtocolError) -> Mapping[str, str]:
    """The parameters of an error response (RFC 6749 §4.1.2.1)."""
    return response(destination, {"error": error.code, "error_description": error.error_description})


def response(destination: Destination, parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """``parameters`` with the state as it came, and the issuer (RFC 9207 §2)."""
    state = {"state": destination.state} if destination.state else {}
    return {**{name: str(value) for name, value in parameters.items()}, **state, "iss": options().issuer}


def _authorization(request: AuthorizationRequest, outcome: Proceed, grant: Grant) -> Authorization:
    """What was granted, with the reference token that goes to the browser, where one does."""
    authorization = from_grant(
        grant, request.client, outcome.granted, grant_type=grant.kind, user=outcome.session.user, nonce=request.nonce
    )
    is_reference = request.client.access_token_type == AccessTokenType.REFERENCE
    wanted = is_reference and request.response_type.gives_access_token
    return with_reference_token(authorization) if wanted else authorization


def _grant(request: AuthorizationRequest, outcome: Proceed, subject: str, now: datetime) -> Grant:
    session, gives_code = outcome.session, request.response_type.gives_code
    grant = Grant(
        client_id=request.client.pk,
        user=session.user,
        subject=subject,
        session_id=session.pk,
        sid=session.sid,
        kind=GrantType.AUTHORIZATION_CODE.value if gives_code else GrantType.IMPLICIT.value,
        scopes=list(outcome.granted.scopes),
        resources=list(outcome.granted.indicators),
        claims=dict(request.claims),
        acr=session.acr,
        amr=session.amr,
        auth_time=session.auth_time,
        created=now,
        last_used=now,
        expires=now + grant_lifetime(request.client, outcome.granted),
    )
    _ADD_GRANT.run(grant)
    return grant


def _code(request: AuthorizationRequest, grant: Grant, now: datetime) -> str:
    value = digests.new_handle()
    code = AuthorizationCode(
        grant=grant,
        digest=digests.digest(value),
        redirect_uri=request.destination.redirect_uri,
        redirect_uri_was_sent=request.redirect_uri_was_sent,
        code_challenge=request.code_challenge,
        nonce=request.nonce,
        created=now,
        expires=now + request.client.lifetime("authorization_code_lifetime"),
    )
    _ADD_CODE.run(code)
    return value


def _remember(request: AuthorizationRequest, outcome: Proceed) -> None:
    Consent.objects.remember(
        outcome.session.user,
        request.client,
        scopes=outcome.granted.scopes,
        claims=consent_claims(request),
        resources=outcome.granted.indicators,
    )
