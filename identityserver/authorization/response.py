"""Answering an authorization request with a code (RFC 6749 §4.1.2, RFC 9207)."""

from collections.abc import Mapping
from datetime import datetime

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
from identityserver.tokens.authorization import from_grant
from identityserver.tokens.subject import subject_of
from identityserver.vocabulary import GrantType


class AlreadyAnswered(Exception):
    """The stored request was answered before, perhaps in another tab."""


def success(request: AuthorizationRequest, outcome: Proceed, stored: StoredRequest | None = None) -> Mapping[str, str]:
    """The parameters of a successful response; grant, code and consent are stored in one transaction.

    Raises:
        AlreadyAnswered: the stored request has been used.
    """
    now = timezone.now()
    subject = subject_of(outcome.session.user)
    with transaction.atomic(using=router.db_for_write(Grant)):
        if stored is not None and not stored.use():
            raise AlreadyAnswered
        grant = _grant(request, outcome, subject, now)
        code = _code(request, grant, now)
        outcome.session.take_part(request.client)
        if stored is not None and stored.remember_consent:
            _remember(request, outcome)
    authorization = from_grant(grant, request.client, outcome.granted, grant_type=GrantType.AUTHORIZATION_CODE)
    signals.code_issued.send(sender=Grant, authorization=authorization)
    return response(request.destination, {"code": code})


def failure(destination: Destination, error: ProtocolError) -> Mapping[str, str]:
    """The parameters of an error response (RFC 6749 §4.1.2.1)."""
    return response(destination, {"error": error.code, "error_description": error.error_description})


def response(destination: Destination, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """``parameters`` with the state as it came, and the issuer (RFC 9207 §2)."""
    state = {"state": destination.state} if destination.state else {}
    return {**parameters, **state, "iss": options().issuer}


def _grant(request: AuthorizationRequest, outcome: Proceed, subject: str, now: datetime) -> Grant:
    session = outcome.session
    return Grant.objects.create(
        client_id=request.client.pk,
        user=session.user,
        subject=subject,
        session_id=session.pk,
        sid=session.sid,
        kind=GrantType.AUTHORIZATION_CODE.value,
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


def _code(request: AuthorizationRequest, grant: Grant, now: datetime) -> str:
    value = digests.new_handle()
    AuthorizationCode.objects.create(
        grant=grant,
        digest=digests.digest(value),
        redirect_uri=request.destination.redirect_uri,
        redirect_uri_was_sent=request.redirect_uri_was_sent,
        code_challenge=request.code_challenge,
        nonce=request.nonce,
        created=now,
        expires=now + request.client.lifetime("authorization_code_lifetime"),
    )
    return value


def _remember(request: AuthorizationRequest, outcome: Proceed) -> None:
    Consent.objects.remember(
        outcome.session.user,
        request.client,
        scopes=outcome.granted.scopes,
        claims=consent_claims(request),
        resources=outcome.granted.indicators,
    )
