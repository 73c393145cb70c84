"""What the endpoints that people's browsers come to share: an error becomes a redirect or a page."""

from collections.abc import Sequence
from typing import ClassVar

from django.http import HttpRequest, HttpResponse

from identityserver.authorization.request import Destination, RedirectableError
from identityserver.authorization.response import failure
from identityserver.clients import find_client
from identityserver.endpoints.base import ProtocolEndpoint, report
from identityserver.endpoints.response_modes import deliver
from identityserver.errors import ProtocolError
from identityserver.models import Client
from identityserver.web.error_page import render_error
from identityserver.web.reading import query_value


class BrowserEndpoint(ProtocolEndpoint):
    """An endpoint that people's browsers come to: what cannot be sent to a client is a page."""

    for_browsers: ClassVar[bool] = True

    #: Not HEAD, which Django answers as GET: it would issue a code, or sign out, for who only wants to look.
    http_method_names: Sequence[str] = ["get", "post", "options"]

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """Send the error to the client where it is trusted, and show it to the person where not."""
        client_id = query_value(request, "client_id")
        if isinstance(error, RedirectableError):
            return tell_client(request, error.destination, error.error, client_id)
        report(request, error, self.name, client_id)
        client = None if error.status >= 500 or error.parameter == "client_id" else _known(client_id)
        return render_error(request, error, client=client, ui_locales=query_value(request, "ui_locales"))


def tell_client(request: HttpRequest, destination: Destination, error: ProtocolError, client_id: str) -> HttpResponse:
    """Send the browser back to the client with the error (RFC 6749 §4.1.2.1)."""
    report(request, error, "authorization", client_id)
    return deliver(request, destination, failure(destination, error))


def _known(client_id: str) -> Client | None:
    return find_client(client_id) if 0 < len(client_id) <= 255 and client_id.isprintable() else None
