"""Client registration and client configuration (RFC 7591 §3, RFC 7592 §2, OpenID Connect Dynamic Client Registration).

The registration access token stays the same for the life of the client: were it exchanged on updates, an answer that
gets lost would lock the client out for good. It is kept as a digest, so answers repeat the one that was presented.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from identityserver import jose
from identityserver.conf import options
from identityserver.endpoints.base import (
    ProtocolEndpoint,
    body_of,
    error_response,
    json_response,
    refuse_secrets,
    report,
)
from identityserver.errors import (
    ContentTooLarge,
    InvalidClientMetadata,
    InvalidRequest,
    InvalidToken,
    MissingToken,
    NotOffered,
    ProtocolError,
    SlowDown,
    UnsupportedMediaType,
)
from identityserver.models import InitialAccessToken, Registration
from identityserver.models.fields import is_storable
from identityserver.parameters import Parameters
from identityserver.registration.create import register_client
from identityserver.registration.manage import (
    delete_registration,
    find_registration,
    read_registration,
    replace_registration,
)
from identityserver.vocabulary import RegistrationMode
from identityserver.web.address import client_address, sender_at
from identityserver.web.headers import no_store
from identityserver.web.rate_limits import allow

_JSON = "application/json"

#: The largest body, in bytes: a key set with certificates fits in, and little else is as large.
_LARGEST = 64 * 1024
#: Deepest nesting: a set holds keys, which hold lists.
_DEPTH = 8

_MINUTE, _HOUR = 60, 3600


class _Endpoint(ProtocolEndpoint):
    """Not there where the option ``registration`` is off; the bearer token is in the header, and nowhere else."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """404 where nobody may register clients."""
        if not _is_offered():
            return error_response(NotOffered("There is nothing here."))
        return super().dispatch(request, *args, **kwargs)

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """401 names the scheme (RFC 6750 §3), and without a token no error."""
        report(request, error, self.name)
        response = error_response(error)
        if error.status == 401:
            said = f', error="{error.code}", error_description="{error.error_description}"'
            response["WWW-Authenticate"] = (
                f'Bearer realm="{self.name}"{"" if isinstance(error, MissingToken) else said}'
            )
        return response


class RegistrationEndpoint(_Endpoint):
    """RFC 7591 §3: client metadata in, a client out."""

    name = "registration"
    path = "connect/register"

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8414 §2."""
        return {"registration_endpoint": cls.url()} if _is_offered() else {}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Who may register is asked before what is sent is read."""
        permit = _permit(request)
        registered = register_client(_metadata(request), permit)
        management = _management(registered.client_id, registered.token)
        return json_response({**registered.information, **management}, status=201)


class ClientConfigurationEndpoint(_Endpoint):
    """RFC 7592 §2: a client reads, replaces and deletes its registration."""

    name = "client_configuration"
    path = "connect/register/<path:client_id>"
    http_method_names: Sequence[str] = ["get", "put", "delete", "options"]

    def get(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """§2.1."""
        token = _token(request)
        registration = _registration(request, client_id, token)
        return json_response({**read_registration(registration), **_management(client_id, token)})

    def put(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """§2.2."""
        token = _token(request)
        registration = _registration(request, client_id, token)
        if registration.initial_access_token is None:
            _slow_down(request, "open registration", options().registration_limit_per_hour, _HOUR)
        return json_response(
            {**replace_registration(registration, _metadata(request)), **_management(client_id, token)}
        )

    def delete(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """§2.3."""
        delete_registration(_registration(request, client_id, _token(request)))
        response = HttpResponse(status=204)
        no_store(response)
        return response


def _is_offered() -> bool:
    """A mode that is none, which the checks report, offers nothing."""
    return options().registration in {RegistrationMode.INITIAL_ACCESS_TOKEN, RegistrationMode.OPEN}


def _permit(request: HttpRequest) -> InitialAccessToken | None:
    """The initial access token; ``None`` where none is presented and none is needed."""
    presented = _bearer(request)
    if not presented and options().registration == RegistrationMode.OPEN:
        _slow_down(request, "open registration", options().registration_limit_per_hour, _HOUR)
        return None
    if not presented:
        raise MissingToken("An initial access token is needed.")
    permit = InitialAccessToken.objects.good(presented)
    if permit is None:
        _count_failure(request)
        raise InvalidToken("The initial access token is unknown, expired or used up.")
    return permit


def _registration(request: HttpRequest, client_id: str, token: str) -> Registration:
    try:
        return find_registration(client_id, token)
    except InvalidToken:
        _count_failure(request)
        raise


def _token(request: HttpRequest) -> str:
    """The registration access token."""
    presented = _bearer(request)
    if not presented:
        raise MissingToken("The registration access token is needed.")
    return presented


def _bearer(request: HttpRequest) -> str:
    """The token of the Authorization header (RFC 6750 §2.1); nothing secret may be in the query."""
    if query := request.META.get("QUERY_STRING", ""):
        refuse_secrets(Parameters.parse(query))
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _metadata(request: HttpRequest) -> dict[str, Any]:
    """The body: one JSON object that any database can store (RFC 7591 §3.1)."""
    if request.content_type != _JSON:
        raise UnsupportedMediaType(f"The body must be {_JSON}.")
    body = body_of(request)
    if len(body) > _LARGEST:
        raise ContentTooLarge(f"The body is larger than {_LARGEST} bytes.")
    try:
        members = jose.read_object(body)
    except jose.InvalidJws as error:
        raise InvalidRequest("The body must be one JSON object in UTF-8, with each member once.") from error
    if not is_storable(members, _DEPTH):
        raise InvalidClientMetadata("The metadata is nested too deeply, or holds what cannot be stored.")
    return members


def _management(client_id: str, token: str) -> dict[str, str]:
    """RFC 7592 §3: where the client manages its registration, and by which token."""
    uri = f"{RegistrationEndpoint.url()}/{quote(client_id, safe='')}"
    return {"registration_client_uri": uri, "registration_access_token": token}


def _count_failure(request: HttpRequest) -> None:
    limit = options().client_authentication_failures_per_minute
    _slow_down(request, "failed registration", limit, _MINUTE)


def _slow_down(request: HttpRequest, kind: str, limit: int, seconds: int) -> None:
    """Count an attempt of this sender; 429 from the limit on."""
    wait = allow(kind, sender_at(client_address(request)), limit, seconds)
    if wait is not None:
        raise SlowDown("Too many attempts from this address.", retry_after=wait)
