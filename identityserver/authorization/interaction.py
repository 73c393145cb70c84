"""What must happen before a request is answered: sign in, consent, a refusal, or nothing more.

The order is that of ``_RULES``; with ``prompt=none`` each page becomes its error (OpenID Connect Core §3.1.2.6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from identityserver.authorization.claims_request import essential_acr
from identityserver.authorization.request import AuthorizationRequest
from identityserver.errors import (
    AccessDenied,
    ConsentRequired,
    LoginRequired,
    ProtocolError,
    UnmetAuthenticationRequirements,
)
from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.models import Consent, UserSession
from identityserver.scopes import Resources
from identityserver.tokens.claims import requested_claims
from identityserver.tokens.subject import subject_of
from identityserver.vocabulary import Prompt, Scope


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Show the login page; with ``reauthenticate`` the same user must prove to be there."""

    reauthenticate: bool = False


@dataclass(frozen=True, kw_only=True)
class AskConsent:
    """Show the consent page for ``new``; ``known`` was allowed before and is not asked again."""

    new: Resources
    known: Resources


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """Tell the client no."""

    error: ProtocolError


@dataclass(frozen=True, kw_only=True)
class Proceed:
    """Answer with what is granted."""

    session: UserSession
    granted: Resources


Interaction = SignIn | AskConsent | Refuse | Proceed


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A request of a signed-in user, and what was stored of earlier steps.

    Attributes:
        began: when the request began; an authentication since then satisfies a forced login.
    """

    request: AuthorizationRequest
    session: UserSession
    stored: StoredRequest | None
    began: datetime


def next_interaction(
    request: AuthorizationRequest, session: UserSession | None, stored: StoredRequest | None = None
) -> Interaction:
    """The first thing that is still to happen, in the order of the rules; ``Proceed`` where nothing is."""
    if stored is not None and stored.denied_at is not None:
        return Refuse(error=AccessDenied("The user refused."))
    needed = SignIn() if session is None else _first_needed(request, session, stored)
    return _as_error(needed) if Prompt.NONE in request.prompt else needed


def _first_needed(request: AuthorizationRequest, session: UserSession, stored: StoredRequest | None) -> Interaction:
    began = stored.created if stored is not None else timezone.now()
    situation = Situation(request=request, session=session, stored=stored, began=began)
    needed = (outcome for rule in _RULES if (outcome := rule(situation)) is not None)
    return next(needed, None) or _outcome(situation)


def permitted(request: AuthorizationRequest, user: Any) -> Resources:
    """What the request asks for without the scopes whose permission the user lacks."""
    return request.resources.permitted_to(user)


def _hint(situation: Situation) -> Interaction | None:
    """Somebody else than the request names is signed in (OpenID Connect Core §3.1.2.1)."""
    allowed = situation.request.subjects
    if allowed is None or subject_of(situation.session.user, situation.request.client) in allowed:
        return None
    return Refuse(error=LoginRequired("Another user is signed in than the request names."))


def _forced_login(situation: Situation) -> Interaction | None:
    """Asked for at most once: an authentication after the request began satisfies it."""
    request, session = situation.request, situation.session
    if session.auth_time >= situation.began:
        return None
    age = (timezone.now() - session.auth_time).total_seconds()
    limits = [limit for limit in (request.max_age, request.client.user_sso_lifetime) if limit is not None]
    if Prompt.LOGIN in request.prompt or any(age >= limit for limit in limits):
        return SignIn(reauthenticate=True)
    return None


def _essential_acr(situation: Situation) -> Interaction | None:
    """An essential ``acr`` that the session does not have (OpenID Connect Core §5.5.1.1)."""
    wanted = essential_acr(situation.request.claims)
    if not wanted or situation.session.acr in wanted:
        return None
    return Refuse(error=UnmetAuthenticationRequirements("The essential acr cannot be met."))


def _access_policy(situation: Situation) -> Interaction | None:
    """The client is for members of some groups, and the user is not one."""
    if situation.request.client.admits(situation.session.user):
        return None
    return Refuse(error=AccessDenied("The user may not use this application."))


def _consent(situation: Situation) -> Interaction | None:
    if _is_approved(situation):
        return None
    known = _allowed_before(situation)
    asked = permitted(situation.request, situation.session.user)
    forced = Prompt.CONSENT in situation.request.prompt or not situation.request.client.is_silent_allowed
    if forced:
        return AskConsent(new=asked, known=asked.narrowed_to(()))
    if known is None or set(asked.scopes) <= known:
        return None
    return AskConsent(
        new=asked.narrowed_to([scope for scope in asked.scopes if scope not in known]),
        known=asked.narrowed_to([scope for scope in asked.scopes if scope in known]),
    )


_RULES: tuple[Callable[[Situation], Interaction | None], ...] = (
    _forced_login,
    _hint,
    _essential_acr,
    _access_policy,
    _consent,
)


def _is_approved(situation: Situation) -> bool:
    """Whether the user allowed this very request, in this very session."""
    stored = situation.stored
    return stored is not None and bool(stored.approved_sid) and stored.approved_sid == situation.session.sid


def _allowed_before(situation: Situation) -> frozenset[str] | None:
    """Scopes that need not be asked for; ``None`` where the client needs no consent at all.

    Everything is asked for again once claims or resources are that the remembered consent does not cover.
    """
    request = situation.request
    if not request.client.require_consent:
        return None
    consent = Consent.objects.remembered(situation.session.user, request.client)
    if consent is None or not consent.covers(
        scopes=(), claims=consent_claims(request), resources=request.resources.indicators
    ):
        return frozenset()
    return frozenset(consent.scopes) - asked_every_time(request)


def asked_every_time(request: AuthorizationRequest) -> frozenset[str]:
    """Scopes that no remembered consent covers: ``offline_access``, and those with a value."""
    return frozenset({Scope.OFFLINE_ACCESS, *request.resources.parameterised})


def consent_claims(request: AuthorizationRequest) -> tuple[str, ...]:
    """Claims that the request asks for by name, beside its scopes."""
    members = ("userinfo", "id_token")
    return tuple(name for member in members for name in requested_claims(request.resources, request.claims, member))


def _outcome(situation: Situation) -> Interaction:
    """Nothing is left to ask: what the user may have, and did not leave out."""
    granted = permitted(situation.request, situation.session.user)
    if situation.stored is not None and _is_approved(situation):
        granted = granted.narrowed_to(situation.stored.approved_scopes)
    if not granted.scopes:
        return Refuse(error=AccessDenied("The user may not, or did not, grant any of the scopes."))
    return Proceed(session=situation.session, granted=granted)


def _as_error(needed: Interaction) -> Interaction:
    match needed:
        case SignIn():
            return Refuse(error=LoginRequired("The user must sign in."))
        case AskConsent():
            return Refuse(error=ConsentRequired("The user must consent."))
        case _:
            return needed
