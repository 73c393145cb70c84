"""What django-oauth-toolkit asks about a presented token, answered by our rules (RFC 9068 §4, RFC 6750)."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.functional import SimpleLazyObject
from oauth2_provider.models import get_access_token_model, get_application_model
from oauth2_provider.oauth2_validators import OAuth2Validator

from identityserver import jose
from identityserver.conf import options
from identityserver.errors import InsufficientScope, InvalidRequest, InvalidToken, ProtocolError
from identityserver.models import Grant, Subject
from identityserver.tokens.live import UnknownToken, live_reference_token
from identityserver.tokens.verify import AccessTokenClaims, verify_access_token
from identityserver.vocabulary import SubjectType


class ResourceServerValidator(OAuth2Validator):
    """Accepts access tokens of this provider, a JWT without a query, and those that DOT issued as DOT does.

    For ``OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"]``. Whatever bears our issuer is judged here alone: DOT
    knows neither audience nor ``cnf``, and takes an ID token for a bearer token.
    """

    def validate_bearer_token(self, token: str | None, scopes: Sequence[str] | None, request: Any) -> bool:
        """Whether ``token`` opens a resource that needs ``scopes``; if so, ``request`` says for whom."""
        try:
            _refuse_query(request)
            if token is None or not _may_be_ours(token):
                return bool(super().validate_bearer_token(token, scopes, request))
            claims, user = accepted(token, scopes or ())
        except UnknownToken:
            return bool(super().validate_bearer_token(token, scopes, request))
        except ProtocolError as error:
            request.oauth2_error = _challenge(error, scopes or ())
            return False
        access_token = _unsaved_access_token(claims, user)
        request.client = access_token.application
        request.user = access_token.user
        request.scopes = sorted(claims.scopes)
        request.access_token = access_token
        return True

    def validate_jwt_bearer_token(self, token: str | None, scopes: Sequence[str] | None, request: Any) -> bool:
        """The same rules for what looks like a JWT; DOT's own would accept an ID token (RFC 8725 §3.11)."""
        return self.validate_bearer_token(token, scopes, request)


def accepted(token: str, scopes: Collection[str]) -> tuple[AccessTokenClaims, Any]:
    """What an access token of ours says, if it is good for an API of this deployment that needs ``scopes``.

    Returns:
        The claims, and their user, who is looked up when first asked for; ``None`` for a client of its own.

    Raises:
        UnknownToken: it may be anything but a token of ours.
        InvalidToken: it is not valid, for another audience, or bound to a key.
        InsufficientScope: it lacks one of ``scopes``.
    """
    claims, user = _verified(token, options().resource_server_audiences or (options().issuer,))
    if claims.confirmation is not None:  # without its proof it is a stolen one (RFC 9449 §7.2, RFC 8705 §3)
        raise InvalidToken("The access token is bound to a key, and here only bearer tokens are accepted.")
    if not claims.scopes.issuperset(scopes):
        raise InsufficientScope("The access token lacks a scope.")
    return claims, user


def _verified(token: str, audiences: Collection[str]) -> tuple[AccessTokenClaims, Any]:
    """A JWT by its signature alone; a reference token by its row, with which its user comes."""
    if _is_jwt(token):
        claims = verify_access_token(token, audiences=audiences)
        return claims, _user_of(claims) if claims.subject is not None else None
    live = live_reference_token(token, audiences=audiences)
    return live.token, live.user if live.token.subject is not None else None


def _refuse_query(request: Any) -> None:
    """Refuse a token in the URL, which logs and Referer headers carry on (RFC 9700 §4.3.2)."""
    if "access_token" in parse_qs(request.uri_query, keep_blank_values=True):
        raise InvalidRequest("An access token belongs in the Authorization header.")


def _is_jwt(token: str) -> bool:
    return "." in token


def _may_be_ours(token: str) -> bool:
    """A JWT says so; of a handle the database must be asked."""
    if not _is_jwt(token):
        return True
    try:
        return jose.parse(token).claims.get("iss") == options().issuer
    except jose.InvalidJws:
        return False


def _challenge(error: ProtocolError, scopes: Collection[str]) -> dict[str, str]:
    """The parameters of the ``WWW-Authenticate`` challenge (RFC 6750 §3)."""
    challenge = {"error": error.code, "error_description": error.description}
    return {**challenge, "scope": " ".join(scopes)} if isinstance(error, InsufficientScope) else challenge


def _unsaved_access_token(claims: AccessTokenClaims, user: Any) -> Any:
    """The token as DOT's classes read it. It cannot be saved: its application is not.

    ``claims`` on it holds everything that was signed; its text stays out of it, and so out of logs.
    """
    application = get_application_model()(client_id=claims.client_id, client_secret="", name=claims.client_id)
    model = get_access_token_model()
    access_token = model(
        application=application,
        expires=claims.expires,
        scope=" ".join(sorted(claims.scopes)),
        resource=list(claims.audience),
    )
    if user is not None:  # through the descriptor it would be looked up now, to see its class
        model._meta.get_field("user").set_cached_value(access_token, user)
    access_token.claims = claims.claims
    return access_token


def _user_of(claims: AccessTokenClaims) -> Any:
    """The user, looked up when first asked for; an anonymous one where there is none, or an inactive one."""
    return SimpleLazyObject(partial(_found_user, claims))


def _found_user(claims: AccessTokenClaims) -> AbstractBaseUser | AnonymousUser:
    """By the public subject or, where that of the token is pairwise, by the grant that it came from."""
    found: Subject | Grant | None = Subject.objects.select_related("user").filter(value=claims.subject).first()
    if found is None and claims.grant_id is not None:
        grants = Grant.objects.filter(pk=claims.grant_id, client__subject_type=SubjectType.PAIRWISE)
        found = grants.select_related("user").first()
    user = found.user if found is not None else None
    return user if user is not None and user.is_active else AnonymousUser()
