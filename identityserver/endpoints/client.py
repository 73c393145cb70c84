"""What the endpoints share whose callers are clients that authenticate (RFC 6749 §2.3)."""

from functools import partial

from django.http import HttpRequest, HttpResponse

from identityserver.client_authentication import Credentials, authenticated, read_credentials
from identityserver.clients import judge_client
from identityserver.conf import options
from identityserver.endpoints.base import ProtocolEndpoint, error_response, read_form, report
from identityserver.errors import InvalidClient, ProtocolError, SlowDown
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.web.address import client_address, sender_at
from identityserver.web.rate_limits import allow, is_exhausted

_MINUTE = 60
_FAILURES = "failed client authentication"


class ClientEndpoint(ProtocolEndpoint):
    """A form POST of a client: it is authenticated first, and then answered."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Authenticate the client; before a refusal is final, its registration is read anew."""
        parameters = read_form(request)
        credentials = read_credentials(request, parameters)
        try:
            return self.judged(request, credentials, parameters)
        except InvalidClient:
            _slow_down(request, credentials)
            raise

    def judged(self, request: HttpRequest, credentials: Credentials, parameters: Parameters) -> HttpResponse:
        """The answer to the client that the credentials prove."""
        return judge_client(credentials.client_id, partial(self._judge, request, credentials, parameters))

    def answer(self, request: HttpRequest, client: Client, parameters: Parameters) -> HttpResponse:
        """What an authenticated client is told; called again where its registration has changed meanwhile."""
        raise NotImplementedError

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """401 names the scheme by which the client may authenticate (RFC 6749 §5.2, RFC 9110 §11.6.1)."""
        report(request, error, self.name)
        response = error_response(error)
        if isinstance(error, InvalidClient):
            response["WWW-Authenticate"] = f'Basic realm="{self.name}", charset="UTF-8"'
        return response

    def _judge(
        self, request: HttpRequest, credentials: Credentials, parameters: Parameters, found: Client | None
    ) -> HttpResponse:
        if found is not None and found.has_guessable_secret:
            refuse_guessing(request, credentials)
        return self.answer(request, authenticated(found, credentials), parameters)


def _slow_down(request: HttpRequest, credentials: Credentials) -> None:
    """Count a failed authentication, and answer 429 from the sender's limit on."""
    limit = options().client_authentication_failures_per_minute
    wait = allow(_FAILURES, _sender(request, credentials), limit, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many failed client authentications.", retry_after=wait)


def refuse_guessing(request: HttpRequest, credentials: Credentials) -> None:
    """Beyond the limit a secret that a person chose is not even compared; generated ones cannot be guessed."""
    limit = options().client_authentication_failures_per_minute
    wait = is_exhausted(_FAILURES, _sender(request, credentials), limit, _MINUTE)
    if wait is not None:
        raise SlowDown("Too many failed client authentications.", retry_after=wait)


def _sender(request: HttpRequest, credentials: Credentials) -> str:
    return f"{sender_at(client_address(request))} {credentials.client_id}"
