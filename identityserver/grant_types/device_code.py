"""The device authorization grant: polling for, and redeeming, a person's decision (RFC 8628 §3.4, §3.5).

How fast a device polls, and which of several polls gets the tokens, is decided by conditional updates.
"""

from datetime import timedelta

from django.db import router
from django.utils import timezone

from identityserver import scopes, signals
from identityserver.digests import digest
from identityserver.errors import (
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    PollingTooFast,
    ProtocolError,
    RefusedByUser,
)
from identityserver.grant_types.base import RedeemingGrant, Replayed, TokenRequest, check_still_good
from identityserver.models import Client, DeviceRequest, Grant
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.refresh_token import new_refresh_token
from identityserver.vocabulary import GrantType


class _Replayed(Replayed):
    """A second use gives away what the first one got, as with an authorization code (RFC 6749 §4.1.2)."""

    signal = signals.device_code_replayed
    reason = "device code used twice"


class DeviceCodeGrant(RedeemingGrant):
    """``urn:ietf:params:oauth:grant-type:device_code``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """Redeem the device code, once, or say why not yet."""
        device = _of(request)
        if device.is_waiting:
            raise _not_yet(device)
        return super().authorize(request)

    def redeem(self, request: TokenRequest) -> Authorization:
        """Take the decision, which is there, for exactly one poll."""
        now, client = timezone.now(), request.client
        allowed = DeviceRequest.objects.filter(
            digest=digest(request.parameters["device_code"]), client_id=client.pk, approved_at__isnull=False
        )
        taken = allowed.filter(consumed_at=None, expires__gt=now).update(consumed_at=now)
        device = _of(request)
        if not taken or device.grant is None:
            raise _refusal(device)
        check_still_good(device, client, now)
        if device.session_ended_at is not None:
            raise InvalidGrant("The user has signed out.")
        return _authorization(device.grant, request)


def _of(request: TokenRequest) -> DeviceRequest:
    """The request of the device code.

    Raises:
        InvalidGrant: there is none, or it is another client's.
    """
    requests = DeviceRequest.objects.using(router.db_for_write(DeviceRequest))  # a replica may not know it yet
    holders = requests.with_circumstances().filter(digest=digest(request.parameters["device_code"]))
    device: DeviceRequest | None = holders.filter(client_id=request.client.pk).first()
    if device is None:
        raise InvalidGrant("The device code is unknown, or was issued to another client.", parameter="device_code")
    return device


def _not_yet(device: DeviceRequest) -> ProtocolError:
    if device.poll():
        return AuthorizationPending("Nobody has allowed it yet; poll again after the interval.")
    return PollingTooFast("Poll less often: wait five seconds longer than before.")


def _refusal(device: DeviceRequest) -> ProtocolError:
    """Why a request that waits no more gives nothing."""
    if device.denied_at is not None:
        return RefusedByUser("The user refused.")
    if device.consumed_at is None:
        return ExpiredToken("The device code has expired.")
    if device.grant is None:
        return InvalidGrant("The grant is gone.")
    return _Replayed("The device code has been used.", device.grant)


def _authorization(grant: Grant, request: TokenRequest) -> Authorization:
    client = request.client
    granted = scopes.resolve_granted(client, grant.scopes, grant.resources)
    resources = scopes.narrow_to_targets(granted, request.parameters.repeated.get("resource", ()))
    token = new_refresh_token(grant, client, timezone.now()) if granted.offline_access else ""
    return from_grant(grant, client, resources, grant_type=GrantType.DEVICE_CODE, refresh_token=token)


def grant_lifetime(client: Client, resources: scopes.Resources) -> timedelta:
    """How long a grant made by a device may be used: as long as its refresh tokens, or else its access token."""
    if resources.offline_access:
        return client.lifetime("refresh_token_absolute_lifetime")
    return client.lifetime("device_code_lifetime") + client.lifetime("access_token_lifetime")
