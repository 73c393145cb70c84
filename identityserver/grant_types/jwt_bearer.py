"""What a trusted issuer vouches for: an assertion for an access token (RFC 7523 §2.1)."""

import unicodedata
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist

from identityserver import scopes
from identityserver.errors import InvalidGrant, InvalidScope
from identityserver.grant_types.base import TokenRequest
from identityserver.grant_types.granting import check_user, granted_to_user, permitted_resources, requested_resources
from identityserver.grant_types.trusted_issuer import Assertion, judge_assertion
from identityserver.models import Subject, TrustedIssuer
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import GrantType


class JwtBearerGrant:
    """``urn:ietf:params:oauth:grant-type:jwt-bearer``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """A grant of the user that the assertion is about, for API scopes alone and without a refresh token."""
        resources = requested_resources(request)
        if resources.identity or resources.offline_access:
            raise InvalidScope("An assertion gives access to APIs only.", parameter="scope")
        return judge_assertion(request.parameters["assertion"], partial(_judged, request, resources))


def _judged(request: TokenRequest, resources: scopes.Resources, assertion: Assertion) -> Authorization:
    """Everything is decided before the assertion is used up; that is committed before anything is granted."""
    user = _user_of(assertion)
    check_user(request, user)
    granted = permitted_resources(_vouched_for(resources, assertion.issuer), user)
    if not assertion.use():
        raise InvalidGrant("The assertion has been used.", parameter="assertion")
    return granted_to_user(request, user, granted, grant_type=GrantType.JWT_BEARER)


def _vouched_for(resources: scopes.Resources, issuer: TrustedIssuer) -> scopes.Resources:
    return resources.narrowed_to([name for name, scope in resources.access if scope.name in issuer.scope_names])


def _user_of(assertion: Assertion) -> Any:
    """Which user the issuer means by its ``sub``.

    Raises:
        InvalidGrant: nobody, or not one person.
    """
    match assertion.issuer.subject_mapping:
        case TrustedIssuer.SubjectMapping.SUBJECT:
            user = _by_subject(assertion.subject)
        case TrustedIssuer.SubjectMapping.USERNAME:
            user = _by_username(assertion.subject)
        case _:
            user = _by_email(assertion.subject)
    if user is None:
        raise InvalidGrant("The assertion is about nobody who is known here.", parameter="assertion")
    return user


def _by_subject(subject: str) -> Any:
    row = Subject.objects.filter(value=subject).select_related("user").first()
    return row.user if row is not None else None


def _by_username(username: str) -> Any:
    try:
        return get_user_model()._default_manager.get_by_natural_key(username)
    except ObjectDoesNotExist:
        return None


def _by_email(address: str) -> Any:
    """The one user with this address. What the database takes for equal may differ for people (CVE-2019-19844)."""
    field = get_user_model().get_email_field_name()
    found = list(get_user_model()._default_manager.filter(**{f"{field}__iexact": address})[:2])
    if len(found) == 1 and _folded(getattr(found[0], field)) == _folded(address):
        return found[0]
    return None


def _folded(address: str) -> str:
    return unicodedata.normalize("NFKC", address).casefold()
