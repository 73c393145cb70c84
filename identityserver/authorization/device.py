"""Device authorization: what a device asks for, and what a person on another one decides (RFC 8628 §3.1, §3.3).

The decision makes the grant, as it does in an authorization request; the device fetches its tokens later.
"""

from datetime import datetime

from django.db import router, transaction
from django.utils import timezone

from identityserver.authorization.request_object import refuse_unsupported
from identityserver.clients import find_client
from identityserver.errors import InvalidScope, ProtocolError, UnauthorizedClient
from identityserver.grant_types.device_code import grant_lifetime
from identityserver.models import Client, DeviceRequest, Grant, UserSession
from identityserver.parameters import Parameters
from identityserver.scopes import Resources, resolve
from identityserver.tokens.subject import subject_of
from identityserver.vocabulary import GrantType


def read_device_request(client: Client, parameters: Parameters) -> Resources:
    """What the device asks for (§3.1).

    Raises:
        UnauthorizedClient: the client may not use this grant type.
        InvalidScope: no scope is named, or one that the client may not ask for.
        InvalidTarget: a resource is unknown, or none of the scopes belongs to it.
    """
    if GrantType.DEVICE_CODE not in client.allowed_grant_types:
        raise UnauthorizedClient("The client may not use the device authorization grant.", parameter="client_id")
    refuse_unsupported(parameters)
    names = parameters.words("scope")
    if not names:
        raise InvalidScope("The parameter scope is missing.", parameter="scope")
    return resolve(client, names, parameters.repeated.get("resource", ()))


def client_of(request: DeviceRequest) -> Client | None:
    """The client as it is now; ``None`` where it may no longer make the request."""
    client = find_client(request.client.client_id)
    return client if client is not None and GrantType.DEVICE_CODE in client.allowed_grant_types else None


def grantable(request: DeviceRequest, client: Client, session: UserSession) -> Resources:
    """What the user may grant of what was asked for: nothing where they may not use the client at all."""
    try:
        asked = resolve(client, request.scopes, request.resources)
    except ProtocolError:  # the registration has changed since
        return Resources()
    return asked.permitted_to(session.user) if client.admits(session.user) else Resources()


def needs_sign_in(request: DeviceRequest, client: Client, session: UserSession) -> bool:
    """Whether the client wants the user to have signed in more recently; doing so after the request began is enough."""
    if session.auth_time >= request.created:
        return False
    age = (timezone.now() - session.auth_time).total_seconds()
    limits = (client.default_max_age, client.user_sso_lifetime)
    return any(limit is not None and age >= limit for limit in limits)


def approve(request: DeviceRequest, client: Client, session: UserSession, granted: Resources) -> bool:
    """Store the decision with its grant, which is what the device redeems; false where the request waits no more."""
    now, subject = timezone.now(), subject_of(session.user, client)
    with transaction.atomic(using=router.db_for_write(Grant)):
        if not request.approve(granted.scopes):
            return False
        grant = _grant(client, session, subject, granted, now)
        DeviceRequest.objects.filter(pk=request.pk).update(grant=grant)
        session.take_part(client)
    return True


def _grant(client: Client, session: UserSession, subject: str, granted: Resources, now: datetime) -> Grant:
    return Grant.objects.create(
        client_id=client.pk,
        user=session.user,
        subject=subject,
        session_id=session.pk,
        sid=session.sid,
        kind=GrantType.DEVICE_CODE.value,
        scopes=list(granted.scopes),
        resources=list(granted.indicators),
        acr=session.acr,
        amr=session.amr,
        auth_time=session.auth_time,
        created=now,
        last_used=now,
        expires=now + grant_lifetime(client, granted),
    )
