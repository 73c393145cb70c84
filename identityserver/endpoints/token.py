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
from identityserver.tokens.issue import issue_tokens, signers_for
from identityserver.web.address import client_address, sender_at
from identityserver.web.rate_limits import allow, is_exhausted

_MINUTE = 60
_FAILURES = "failed client authentication"


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
        try:
            return json_response(
                judge_client(credentials.client_id, partial(_answer, request, credentials, parameters))
            )
        except InvalidClient:
            _slow_down(request, credentials)
            raise

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """401 names the scheme by which the client may authenticate (RFC 6749 §5.2, RFC 9110 §11.6.1)."""
        report(request, error, self.name)
        response = error_response(error)
        if isinstance(error, InvalidClient):
            response["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
        return response


def _answer(
    request: HttpRequest, credentials: Credentials, parameters: Parameters, found: Client | None
) -> dict[str, Any]:
    if found is not None and found.has_guessable_secret:
        _refuse_guessing(request, credentials)
    client = authenticated(found, credentials)
    token_request = TokenRequest(client, parameters)
    grant_type, signers = grant_type_for(token_request), signers_for(client)
    return issue_tokens(grant_type.authorize(token_request), signers)


def _slow_down(request: HttpRequest, credentials: Credentials) -> None:
    """Count a failed authentication, and answer 429 from the sender's limit on."""
    limit = options().client_authentication_failures_per_minute
    wait = allow(_FAILURES, _sender(request, credentials), limit, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many failed client authentications.", retry_after=wait)


def _refuse_guessing(request: HttpRequest, credentials: Credentials) -> None:
    """Beyond the limit a secret that a person chose is not even compared; generated ones cannot be guessed."""
    limit = options().client_authentication_failures_per_minute
    wait = is_exhausted(_FAILURES, _sender(request, credentials), limit, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many failed client authentications.", retry_after=wait)


def _sender(request: HttpRequest, credentials: Credentials) -> str:
    return f"{sender_at(client_address(request))} {credentials.client_id}"
