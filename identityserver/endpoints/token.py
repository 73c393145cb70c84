"""The token endpoint (RFC 6749 §3.2)."""

from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse

from identityserver.client_authentication import METHODS, Credentials, authenticated, read_credentials
from identityserver.clients import judge_client
from identityserver.conf import options
from identityserver.endpoints.base import ProtocolEndpoint, error_response, json_response, read_form, report
from identityserver.errors import InvalidClient, ProtocolError, SlowDown
from identityserver.grant_types import GRANT_TYPES, TokenRequest, grant_type_for
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization
from identityserver.tokens.issue import issue_tokens
from identityserver.web.address import client_address
from identityserver.web.rate_limits import allow, is_exhausted

_MINUTE = 60


class TokenEndpoint(ProtocolEndpoint):
    """Codes, refresh tokens and credentials in, tokens out."""

    name = "token"
    path = "connect/token"
    cross_origin: ClassVar[bool] = True

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8414 §2."""
        return {
            "token_endpoint": cls.url(),
            "token_endpoint_auth_methods_supported": [method.value for method in METHODS],
            "grant_types_supported": [str(name) for name in GRANT_TYPES],
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """A token request."""
        parameters = read_form(request)
        credentials = read_credentials(request, parameters)
        _check_rate(request, credentials)
        try:
            authorization = judge_client(credentials.client_id, partial(_authorize, credentials, parameters))
        except InvalidClient:
            _count_failure(request, credentials)
            raise
        return json_response(issue_tokens(authorization))

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """401 names the scheme by which the client may authenticate (RFC 6749 §5.2, RFC 9110 §11.6.1)."""
        report(request, error, self.name)
        response = error_response(error)
        if isinstance(error, InvalidClient):
            response["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
        return response


def _authorize(credentials: Credentials, parameters: Parameters, found: Client | None) -> Authorization:
    token_request = TokenRequest(authenticated(found, credentials), parameters)
    return grant_type_for(token_request).authorize(token_request)


def _check_rate(request: HttpRequest, credentials: Credentials) -> None:
    limit = options().client_authentication_failures_per_minute
    wait = is_exhausted("client authentication", _sender(request, credentials), limit, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many failed client authentications.", retry_after=wait)


def _count_failure(request: HttpRequest, credentials: Credentials) -> None:
    limit = options().client_authentication_failures_per_minute
    allow("client authentication", _sender(request, credentials), limit, _MINUTE)


def _sender(request: HttpRequest, credentials: Credentials) -> str:
    return f"{client_address(request)} {credentials.client_id}"
