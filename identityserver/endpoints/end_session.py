"""The end-session endpoint (OpenID Connect RP-Initiated Logout 1.0 §2)."""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from identityserver.endpoints.base import FORM, body_of
from identityserver.endpoints.browser import BrowserEndpoint
from identityserver.errors import UnsupportedMediaType
from identityserver.logout.request import LogoutRequest, destination, read_logout_request
from identityserver.models import LogoutRequest as StoredRequest
from identityserver.parameters import Parameters
from identityserver.web import pending
from identityserver.web.session import current_session


class EndSessionEndpoint(BrowserEndpoint):
    """Where a client sends the browser of a user who signs out."""

    name = "end_session"
    path = "connect/endsession"

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RP-Initiated Logout §2.1."""
        return {"end_session_endpoint": cls.url()}

    def get(self, request: HttpRequest) -> HttpResponse:
        """Sign out at once where a hint proves that it is meant; else ask the person."""
        asked = read_logout_request(Parameters.parse(request.META.get("QUERY_STRING", "")))
        session = current_session(request)
        if session is not None and asked.is_proved_for(session):
            logout(request)
        elif request.user.is_authenticated:  # also by a sign-in from before this app was installed
            return _wait(request, asked, "logout")
        if asked.post_logout_redirect_uri:
            return pending.see_other(destination(asked.post_logout_redirect_uri, asked.state))
        return _wait(request, asked, "signed_out")

    def post(self, request: HttpRequest) -> HttpResponse:
        """A cross-site POST carries no Lax cookie, so it goes on with a GET of our own, where the person is asked."""
        if request.content_type != FORM:
            raise UnsupportedMediaType(f"The body must be {FORM}.")
        return _wait(request, read_logout_request(Parameters.parse(body_of(request))), "logout")


def _wait(request: HttpRequest, asked: LogoutRequest, page: str) -> HttpResponse:
    _, handle, binding = StoredRequest.store(
        client_id=asked.client.pk if asked.client else None,
        post_logout_redirect_uri=asked.post_logout_redirect_uri,
        state=asked.state,
        ui_locales=asked.ui_locales,
    )
    response = pending.redirect_to(page, handle)
    pending.bind(response, request, handle, binding)
    return response
