"""What the endpoints for machines share: reading the body, and turning errors into JSON (RFC 6749 §5.2)."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import View

from identityserver import signals
from identityserver.clients import is_registered_origin
from identityserver.conf import options
from identityserver.errors import (
    ContentTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    ProtocolError,
    UnsupportedMediaType,
)
from identityserver.parameters import Parameters
from identityserver.web import events
from identityserver.web.current import Visit
from identityserver.web.failures import as_error
from identityserver.web.headers import no_store

FORM = "application/x-www-form-urlencoded"

#: Made once: an encoder costs as much as what it encodes.
_json = DjangoJSONEncoder(separators=(",", ":")).encode

#: Parameters that are secret: in a query string they end up in logs and histories (RFC 6749 §2.3.1).
_SECRETS = frozenset(
    {"client_secret", "client_assertion", "code", "code_verifier", "device_code", "assertion", "password"}
    | {"token", "access_token", "refresh_token", "subject_token", "actor_token"}
)


class ProtocolEndpoint(View):
    """An endpoint that answers machines: JSON always, ``no-store``, no CSRF token, no transaction of the host's."""

    #: The URL's name, and its path below the prefix.
    name: ClassVar[str]
    path: ClassVar[str]

    #: Whether scripts of the clients' registered origins may call it.
    cross_origin: ClassVar[bool] = False

    #: Whether people's browsers come to it, whom only the site's middleware knows; else ``front.py`` may answer.
    for_browsers: ClassVar[bool] = False

    @classmethod
    def url(cls) -> str:
        """The public address: from the issuer, never from the Host header."""
        return absolute(cls.name)

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """Its share of the discovery document."""
        return {}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, exempt from CSRF checks and from ``ATOMIC_REQUESTS`` on every database.

        Reports of exceptions show nothing of its forms and variables, which hold codes, tokens and secrets.
        """
        view = sensitive_variables()(sensitive_post_parameters()(csrf_exempt(super().as_view(**initkwargs))))
        for alias in settings.DATABASES:
            view = transaction.non_atomic_requests(using=alias)(view)
        vars(view)["unaccompanied"] = _with_visit(view)
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, and turn whatever is raised into an answer."""
        try:
            response = super().dispatch(request, *args, **kwargs)
        except ProtocolError as error:
            response = self.refuse(request, error)
        except Exception as failure:  # noqa: BLE001  a machine gets JSON whatever happens; the log gets the traceback
            response = self.refuse(request, as_error(request, failure, type(self)))
        if self.cross_origin:
            if response.has_header("Vary"):
                patch_vary_headers(response, ["Origin"])
            else:  # as it nearly always is: nothing to parse
                response["Vary"] = "Origin"
            if "HTTP_ORIGIN" in request.META:
                _allow_origin(request, response)
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """405 in the endpoint's own form, with the Allow header that RFC 9110 §15.5.6 asks for."""
        response = self.refuse(request, MethodNotAllowed("The endpoint does not know this method."))
        response["Allow"] = self.allowed_methods
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The methods, which is also the answer to a CORS preflight (Fetch §3.2.2)."""
        response = HttpResponse(status=204)
        response["Allow"] = self.allowed_methods
        return response

    @property
    def allowed_methods(self) -> str:
        """The methods that it knows, as the Allow header lists them."""
        return ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """The error as JSON, and as an event for staff."""
        report(request, error, self.name)
        return error_response(error)


def _with_visit(view: Callable[..., HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The view for requests that come past ``UserSessionMiddleware``, which begins and concludes the visit."""

    @wraps(view)
    def respond(request: HttpRequest) -> HttpResponseBase:
        with Visit(request) as visit:
            try:
                return view(request)
            finally:
                if visit.events:
                    events.write(visit.events)

    return respond


def read_form(request: HttpRequest) -> Parameters:
    """The parameters of a form POST; secrets in the query string are refused.

    Raises:
        UnsupportedMediaType: the body is of another type.
        InvalidRequest: the body or its parameters are malformed.
    """
    if request.content_type != FORM:
        raise UnsupportedMediaType(f"The body must be {FORM}.")
    if query := request.META.get("QUERY_STRING", ""):
        refuse_secrets(Parameters.parse(query))
    return Parameters.parse(body_of(request))


def refuse_secrets(parameters: Parameters) -> None:
    """Check that nothing secret is where it would be logged, kept in a history or shown.

    Raises:
        InvalidRequest: something is.
    """
    if misplaced := _SECRETS & parameters.keys():
        raise InvalidRequest(f"The parameter {min(misplaced)} must not be sent here.", parameter=min(misplaced))


def body_of(request: HttpRequest) -> bytes:
    """The body.

    Raises:
        ContentTooLarge: it is larger than the site takes.
        InvalidRequest: the client broke off.
    """
    try:
        return request.body
    except RequestDataTooBig as error:
        raise ContentTooLarge("The body is too large.") from error
    except UnreadablePostError as error:
        raise InvalidRequest("The body cannot be read.") from error


def json_response(members: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """JSON that nobody keeps (RFC 6749 §5.1)."""
    response = HttpResponse(_json(members), content_type="application/json", status=status)
    no_store(response)
    return response


def error_response(error: ProtocolError) -> HttpResponse:
    """RFC 6749 §5.2, with Retry-After where waiting helps."""
    response = json_response({"error": error.code, "error_description": error.error_description}, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def report(request: HttpRequest, error: ProtocolError, endpoint: str, client_id: str = "") -> None:
    """Tell receivers of a refusal; staff find it by its reference."""
    signals.request_refused.send(
        sender=ProtocolEndpoint, error=error, endpoint=endpoint, client_id=client_id, request=request
    )


def absolute(name: str) -> str:
    """The public address of one of our URLs."""
    parts = urlsplit(options().issuer)
    return f"{parts.scheme}://{parts.netloc}{reverse(f'identityserver:{name}')}"


def _allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """CORS for the clients' registered origins (Fetch §3.2); cookies are never part of it."""
    origin = request.META.get("HTTP_ORIGIN", "")
    if not origin or len(origin) > 300 or not origin.isascii() or not _is_registered(origin):
        return
    response["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response["Access-Control-Allow-Methods"] = "GET, POST"
        response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response["Access-Control-Max-Age"] = "600"
    else:
        response["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"


def _is_registered(origin: str) -> bool:
    try:
        return is_registered_origin(origin)
    except (OperationalError, InterfaceError):  # the answer stands; only scripts elsewhere cannot read it
        return False
