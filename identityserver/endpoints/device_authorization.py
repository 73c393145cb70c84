"""The device authorization endpoint: two codes for a device that has no browser (RFC 8628 §3.1, §3.2, §4)."""

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables

from identityserver import uris
from identityserver.authorization.device import read_device_request
from identityserver.conf import options
from identityserver.endpoints.base import absolute, json_response
from identityserver.endpoints.client import ClientEndpoint
from identityserver.errors import SlowDown
from identityserver.models import Client, DeviceRequest
from identityserver.models.device import shown_user_code
from identityserver.parameters import Parameters
from identityserver.web.address import client_address, sender_at
from identityserver.web.rate_limits import allow

_MINUTE = 60


class DeviceAuthorizationEndpoint(ClientEndpoint):
    """A device code to poll with, and a user code for a person to type."""

    name = "device_authorization"
    path = "connect/deviceauthorization"
    cross_origin: ClassVar[bool] = True

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8628 §4."""
        return {"device_authorization_endpoint": cls.url()}

    @sensitive_variables()
    def answer(self, request: HttpRequest, client: Client, parameters: Parameters) -> HttpResponse:
        """The codes, once what is asked for is known to be allowed."""
        asked = read_device_request(client, parameters)
        _limit(request, client)
        row, device_code, user_code = DeviceRequest.objects.begin(
            client, scopes=asked.scopes, resources=asked.indicators, ip=client_address(request)
        )
        return json_response({"device_code": device_code, **_for_people(user_code), **_times(row)})


def _for_people(user_code: str) -> dict[str, str]:
    shown, place = shown_user_code(user_code), absolute("device")
    return {
        "user_code": shown,
        "verification_uri": place,
        "verification_uri_complete": uris.with_query(place, {"user_code": shown}),
    }


def _times(row: DeviceRequest) -> dict[str, int]:
    return {"expires_in": int((row.expires - row.created).total_seconds()), "interval": row.interval}


def _limit(request: HttpRequest, client: Client) -> None:
    """A public client proves nothing, so anybody could fill the table."""
    sender = f"{sender_at(client_address(request))} {client.client_id}"
    wait = allow("device request", sender, options().device_requests_per_minute, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many device authorization requests.", retry_after=wait)
