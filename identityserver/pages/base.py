"""What the hosted pages share: who may post, in which language they speak, and how they fail."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import View

from identityserver import signals
from identityserver.errors import MethodNotAllowed, ProtocolError
from identityserver.web import csrf
from identityserver.web.error_page import render_error
from identityserver.web.failures import as_error
from identityserver.web.reading import check_readable
from identityserver.web.rendering import language_for, render_page


# Exempt from the answer of Django's CSRF middleware only; dispatch() does what that does.
@method_decorator([csrf_exempt, sensitive_post_parameters(), sensitive_variables()], name="dispatch")
class HostedPage(View, ABC):
    """A page that somebody looks at and posts to. A forged or outdated post changes nothing."""

    #: The URL's name.
    name: ClassVar[str]

    http_method_names: Sequence[str] = ("get", "head", "post")

    #: What is wrong, to be said at the top of the page, and its status.
    problem = ""
    status = 200
    #: The languages that the request behind the page asks for (OpenID Connect Core §3.1.2.1).
    ui_locales = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page in the language asked for, or an error page."""
        try:
            self.check(request)
            self.find(request)
            with translation.override(language_for(self.ui_locales)):
                response = self.answer(request)
        except ProtocolError as error:
            response = self.refuse(request, error)
        except (BadRequest, Http404, PermissionDenied, SuspiciousOperation):  # no failures: Django has answers to them
            raise
        except Exception as failure:  # noqa: BLE001  a person gets a page whatever happens; the log gets the traceback
            response = self.refuse(request, as_error(request, failure, type(self)))
            _undo()
        csrf.keep_token(request, response)
        return response

    def check(self, request: HttpRequest) -> None:
        """Refuse what no page is made for, before anything is looked up.

        Raises:
            MethodNotAllowed: another method than the page's.
            InvalidRequest: the query or the form cannot be read.
        """
        if (request.method or "").lower() not in self.http_method_names:
            raise MethodNotAllowed("The page does not know this method.")
        check_readable(request)

    def find(self, request: HttpRequest) -> None:
        """Look up what the page is about, before anything is said."""

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """What the method's own function returns; a post that is not genuine gets the page anew."""
        if csrf.is_genuine(request):
            return super().dispatch(request)
        self.status = 403
        self.problem = _(
            "This page was open for too long, or your browser does not send its cookies. Please try again."
        )
        return self.get(request)

    @abstractmethod
    def get(self, request: HttpRequest) -> HttpResponse:
        """The page."""

    def render(
        self, request: HttpRequest, template: str, context: Mapping[str, Any], *, has_errors: bool = False
    ) -> HttpResponse:
        """The template, and what is wrong, which the title says first; its forms may end at a client."""
        action, *titles = context["title_parts"]
        if self.problem or has_errors:
            action = _("Error: %(action)s") % {"action": action}
        shown = {**context, "problem": self.problem, "title_parts": [action, *titles]}
        return render_page(request, f"identityserver/{template}", shown, status=self.status, leaves_site=True)

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """The error page, and an event that staff find by its reference."""
        signals.request_refused.send(sender=type(self), error=error, endpoint=self.name, client_id="", request=request)
        response = render_error(request, error)
        if isinstance(error, MethodNotAllowed):
            response["Allow"] = ", ".join(name.upper() for name in self.http_method_names)
        return response


def _undo() -> None:
    """Roll back what the page did where the site has a transaction per request, as if it had not answered."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)
