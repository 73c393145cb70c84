"""Signing in as a device without a browser does (RFC 8628): show a code, and poll until somebody has allowed it.

A television would keep what is in the session here; everything else is what it would do.
"""

from typing import Any

import requests
import segno
from authlib.integrations.django_client import OAuthError
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST

from example_project.relying_party.provider import CLIENT_ID, CLIENT_SECRET, SCOPE, provider
from example_project.relying_party.traffic import record_response, traffic
from example_project.relying_party.views import shows_errors, store_tokens

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_BY = 5  # seconds, after each slow_down


@require_POST
@shows_errors
def start(request: HttpRequest) -> HttpResponse:
    """Ask for a code to show, and one to poll with."""
    answer = requests.post(
        provider.load_server_metadata()["device_authorization_endpoint"],
        data={"scope": f"{SCOPE} offline_access"},
        auth=(CLIENT_ID, CLIENT_SECRET),
        timeout=10,
        hooks={"response": record_response},
    )
    found = answer.json()
    if not answer.ok:
        raise OAuthError(found.get("error"), found.get("error_description"))
    request.session["device"] = {**found, "interval": found.get("interval", 5), "next_poll": now()}
    return redirect("device")


@require_GET
@shows_errors
def device(request: HttpRequest) -> HttpResponse:
    """The code, as a link and as a picture too; once it is allowed, what came of it."""
    if "device_error" in request.session:
        raise OAuthError(*request.session.pop("device_error"))
    if "device" not in request.session or poll(request):
        return redirect("home")
    waiting = request.session["device"]
    context = {"device": waiting, "qr_code": qr_code(waiting["verification_uri_complete"]), "traffic": traffic(request)}
    return render(request, "relying_party/device.html", context)


@require_GET
@shows_errors
def status(request: HttpRequest) -> HttpResponse:
    """For the script of the page: whether to look again, and when. An error waits for the page itself."""
    try:
        goes_on = "device" in request.session and not poll(request)
    except OAuthError as error:
        request.session["device_error"] = [error.error, error.description]
        goes_on = False
    return JsonResponse({"seconds": seconds_to_wait(request.session["device"]) if goes_on else 0})


def poll(request: HttpRequest) -> bool:
    """Ask for the tokens, unless it is too early for that; whether they are there."""
    waiting: dict[str, Any] = request.session["device"]
    if waiting["next_poll"] > now():
        return False
    try:
        token = provider.fetch_access_token(grant_type=GRANT_TYPE, device_code=waiting["device_code"])
    except OAuthError as error:
        wait_or_give_up(request, waiting, error)
        return False
    del request.session["device"]
    token["userinfo"] = provider.parse_id_token(token, nonce=None)
    store_tokens(request, token)
    messages.success(request, "This device was allowed.")
    return True


def wait_or_give_up(request: HttpRequest, waiting: dict[str, Any], error: OAuthError) -> None:
    """RFC 8628 §3.5: two errors say to go on, one of them more slowly; any other ends it."""
    if error.error not in {"authorization_pending", "slow_down"}:
        del request.session["device"]
        raise error
    interval = waiting["interval"] + (SLOWER_BY if error.error == "slow_down" else 0)
    request.session["device"] = {**waiting, "interval": interval, "next_poll": now() + interval}


def seconds_to_wait(waiting: dict[str, Any]) -> float:
    return max(1.0, float(waiting["next_poll"]) - now())


def now() -> float:
    return timezone.now().timestamp()


def qr_code(address: str) -> SafeString:
    """A picture of the address, black on white in either colour scheme, with the quiet zone that cameras need."""
    drawn: str = segno.make(address, micro=False).svg_inline(border=4, dark="#000", light="#fff", omitsize=True)
    return mark_safe(drawn)  # noqa: S308  the library draws paths, and the address is in none of its text
