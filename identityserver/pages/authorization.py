"""What the pages within an authorization request share: they act on the stored request that the URL names.

A page that has nothing (more) to ask sends the person to the resume endpoint, which knows what is next, also for
a request that was used, has expired or belongs to another browser.
"""

from functools import cached_property

from django.http import HttpRequest, HttpResponse

from identityserver.authorization.interaction import Interaction, next_interaction
from identityserver.authorization.request import AuthorizationRequest, read_authorization_request
from identityserver.authorization.storing import restored
from identityserver.errors import ProtocolError, RequestAnswered
from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.models import UserSession
from identityserver.pages.base import HostedPage
from identityserver.web import pending
from identityserver.web.rendering import ClientCard, client_card


class AuthorizationPage(HostedPage):
    """A page in the course of an authorization request."""

    stored: StoredRequest | None = None

    def find(self, request: HttpRequest) -> None:
        """The stored request, if this browser made it and it still waits."""
        found = pending.found(request, StoredRequest)
        if found is not None and found.is_pending:
            self.stored = found
            self.ui_locales = restored(found).get("ui_locales", "")

    @property
    def waiting(self) -> StoredRequest:
        """The stored request.

        Raises:
            RequestAnswered: none waits.
        """
        if self.stored is None:
            raise RequestAnswered("The request was answered already, has expired or was made in another browser.")
        return self.stored

    @cached_property
    def asked(self) -> AuthorizationRequest:
        """What the client asks for. Only the stored request counts, nothing in the form."""
        return read_authorization_request(restored(self.waiting))

    @cached_property
    def client(self) -> ClientCard:
        """The client as the page shows it."""
        return client_card(self.asked.client, self.asked.destination.redirect_uri)

    def is_valid(self) -> bool:
        """Whether a request waits that the client, as it is now, may still make."""
        try:
            return bool(self.asked)
        except ProtocolError:
            return False

    def interaction(self, session: UserSession | None) -> Interaction:
        """What is to happen next, with ``session`` signed in."""
        return next_interaction(self.asked, session, self.waiting)

    def resume(self, request: HttpRequest) -> HttpResponse:
        """Go on with the request from where it is."""
        return pending.redirect_to("resume", pending.handle_of(request))
