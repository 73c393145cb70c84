"""Granting to a client what a user may do, where no browser and no stored request is involved (RFC 6749 §3.3)."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router, transaction
from django.utils import timezone

from identityserver import scopes
from identityserver.errors import InvalidGrant, InvalidScope, InvalidTarget
from identityserver.grant_types.base import TokenRequest
from identityserver.models import Client, Grant
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.reference_token import with_reference_token
from identityserver.tokens.refresh_token import new_refresh_token
from identityserver.tokens.subject import subject_of
from identityserver.vocabulary import AccessTokenType


def requested_resources(request: TokenRequest) -> scopes.Resources:
    """What the request asks for by ``scope`` and ``resource``; without a scope, every API scope that the client has.

    Raises:
        InvalidScope: the client may not have it.
        InvalidTarget: a resource is unknown, or none of the scopes belongs to it.
    """
    asked = request.parameters.words("scope") or scopes.every_access_scope(request.client)
    return scopes.resolve(request.client, asked, request.parameters.repeated.get("resource", ()))


def check_user(request: TokenRequest, user: AbstractBaseUser) -> None:
    """Whether ``user`` may use the client at all.

    Raises:
        InvalidGrant: inactive, or in none of the groups that may.
    """
    if not user.is_active:
        raise InvalidGrant("The user is inactive.")
    if not request.client.admits(user):
        raise InvalidGrant("The user may not use this client.")


def permitted_resources(resources: scopes.Resources, user: AbstractBaseUser) -> scopes.Resources:
    """What of it ``user`` has the permissions for.

    Raises:
        InvalidScope: nothing.
        InvalidTarget: nothing for an API that was asked for, so that the token would be for another.
    """
    permitted = resources.permitted_to(user)
    if not permitted.scopes:
        raise InvalidScope("None of the scopes can be granted.", parameter="scope")
    if len(permitted.apis) < len(permitted.indicators):
        raise InvalidTarget("Nothing can be granted for the resource.", parameter="resource")
    return permitted


def granted_to_user(
    request: TokenRequest,
    user: AbstractBaseUser,
    resources: scopes.Resources,
    *,
    grant_type: str,
    auth_time: datetime | None = None,
    acr: str = "",
    amr: tuple[str, ...] = (),
) -> Authorization:
    """A new grant of ``user`` for the client, stored in one transaction with all the tokens that hang off it.

    Args:
        user: who is certain to be the one: authenticated, or vouched for.
        resources: what is granted at most; scopes that the user lacks the permission for are left out.
        grant_type: the name of the grant type.
        auth_time: when the user authenticated, where that is known; likewise ``acr`` and ``amr``.

    Raises:
        InvalidGrant: the user is inactive or may not use the client.
        InvalidScope: nothing is left to grant.
    """
    check_user(request, user)
    granted = permitted_resources(resources, user)
    how = {"auth_time": auth_time, "acr": acr, "amr": list(amr)}
    grant = _grant(request.client, user, granted, kind=str(grant_type), **how)
    with transaction.atomic(using=router.db_for_write(Grant)):
        grant.save(force_insert=True)
        token = new_refresh_token(grant, request.client, grant.created) if granted.offline_access else ""
        return with_stored_access_token(
            from_grant(grant, request.client, granted, grant_type=grant_type, refresh_token=token)
        )


def with_stored_access_token(authorization: Authorization) -> Authorization:
    """The same with its access token stored, where the client gets reference tokens and none is there yet."""
    wanted = authorization.client.access_token_type == AccessTokenType.REFERENCE
    return with_reference_token(authorization) if wanted and not authorization.access_token else authorization


def _grant(client: Client, user: Any, granted: scopes.Resources, *, kind: str, **how: Any) -> Grant:
    now = timezone.now()
    return Grant(
        client_id=client.pk,
        user=user,
        subject=subject_of(user, client),
        kind=kind,
        scopes=list(granted.scopes),
        resources=list(granted.indicators),
        created=now,
        last_used=now,
        expires=now + _lifetime(client, granted),
        **how,
    )


def _lifetime(client: Client, granted: scopes.Resources) -> timedelta:
    """As long as its refresh tokens may be used, or else its access token."""
    name = "refresh_token_absolute_lifetime" if granted.offline_access else "access_token_lifetime"
    return client.lifetime(name)
