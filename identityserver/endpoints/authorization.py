"""The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2, RFC 9207)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

from identityserver import uris
from identityserver.authorization.interaction import AskConsent, Proceed, Refuse, SignIn, next_interaction
from identityserver.authorization.request import (
    AuthorizationRequest,
    read_authorization_request,
)
from identityserver.authorization.response import AlreadyAnswered, success
from identityserver.authorization.response_type import served_response_types
from identityserver.authorization.storing import restored, storable
from identityserver.conf import options
from identityserver.endpoints.base import FORM, body_of, refuse_secrets, report
from identityserver.endpoints.browser import BrowserEndpoint, tell_client
from identityserver.endpoints.response_modes import deliver
from identityserver.errors import RequestAnswered, UnsupportedMediaType
from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.parameters import Parameters
from identityserver.pkce import METHOD as S256
from identityserver.vocabulary import Prompt, ResponseMode
from identityserver.web import pending
from identityserver.web.error_page import render_error
from identityserver.web.session import current_session, sign_out_stranger


class AuthorizationEndpoint(BrowserEndpoint):
    """Where a client sends the user's browser."""

    name = "authorization"
    path = "connect/authorize"

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """OpenID Connect Discovery §3, RFC 8414 §2, RFC 9207 §3."""
        return {
            "authorization_endpoint": cls.url(),
            "response_types_supported": [response_type.value for response_type in served_response_types()],
            "response_modes_supported": [mode.value for mode in ResponseMode],
            "prompt_values_supported": [value.value for value in Prompt],
            "code_challenge_methods_supported": [S256],
            "authorization_response_iss_parameter_supported": True,
        }

    def get(self, request: HttpRequest) -> HttpResponse:
        """A request by redirect; answered at once where nothing is to be asked."""
        asked = _read(request.META.get("QUERY_STRING", ""))
        outcome = next_interaction(asked, current_session(request))
        if isinstance(outcome, (SignIn, AskConsent)):
            return _wait(request, asked, partial(_to_page, request, outcome))
        return _answer(request, asked, outcome, None)

    def post(self, request: HttpRequest) -> HttpResponse:
        """A request by form: a cross-site POST carries no Lax cookie, so it goes on with a GET of our own."""
        if request.content_type != FORM:
            raise UnsupportedMediaType(f"The body must be {FORM}.")
        asked = _read(body_of(request))
        return _wait(request, asked, partial(pending.redirect_to, "resume"))


class ResumeEndpoint(BrowserEndpoint):
    """Where every page sends the person back to: the stored request goes on from where it is."""

    name = "resume"
    path = "connect/authorize/resume"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The next page, or the answer."""
        stored = pending.found(request, StoredRequest)
        if stored is None or not stored.is_pending:
            return _answered(request, stored)
        asked = read_authorization_request(restored(stored))
        outcome = next_interaction(asked, current_session(request), stored)
        if isinstance(outcome, (SignIn, AskConsent)):
            return _to_page(request, outcome, pending.handle_of(request))
        try:
            return _answer(request, asked, outcome, stored)
        except AlreadyAnswered:
            return _answered(request, stored)


def _read(encoded: str | bytes) -> AuthorizationRequest:
    parameters = Parameters.parse(encoded)
    refuse_secrets(parameters)
    return read_authorization_request(parameters)


def _to_page(request: HttpRequest, outcome: SignIn | AskConsent, handle: str) -> HttpResponse:
    """The page that asks; a forced sign-in is always at our own, which knows what it is for."""
    if isinstance(outcome, AskConsent):
        return pending.redirect_to("consent", handle)
    host_page = options().login_url
    if not host_page or outcome.reauthenticate:
        return pending.redirect_to("login", handle)
    sign_out_stranger(request)
    return pending.see_other(uris.with_query(resolve_url(host_page), {"next": pending.url_of("resume", handle)}))


def _wait(request: HttpRequest, asked: AuthorizationRequest, send_on: Callable[[str], HttpResponse]) -> HttpResponse:
    """Store the request and send the browser on with its handle."""
    _, handle, binding = StoredRequest.store(client_id=asked.client.pk, parameters=storable(asked.parameters))
    response = send_on(handle)
    pending.bind(response, request, handle, binding)
    return response


def _answer(
    request: HttpRequest, asked: AuthorizationRequest, outcome: Proceed | Refuse, stored: StoredRequest | None
) -> HttpResponse:
    if isinstance(outcome, Proceed):
        return deliver(request, asked.destination, success(asked, outcome, stored))
    if stored is not None and not stored.use():
        raise AlreadyAnswered
    return tell_client(request, asked.destination, outcome.error, asked.client.client_id)


def _answered(request: HttpRequest, stored: StoredRequest | None) -> HttpResponse:
    """A used, expired or bookmarked request: a page with a way on, never a dead end."""
    error = RequestAnswered("The request was answered already, has expired or was made in another browser.")
    report(request, error, ResumeEndpoint.name)
    return render_error(request, error, client=stored.client if stored is not None else None)
