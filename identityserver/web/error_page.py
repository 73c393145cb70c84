"""The error page: a human sentence, what can be done, a way back, and the reference that staff look up.

What exactly was wrong with the protocol is for staff, or for a developer with DEBUG on.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from identityserver.errors import ProtocolError, RequestAnswered
from identityserver.models import Client
from identityserver.web.rendering import client_card, language_for, render_page


def render_error(
    request: HttpRequest, error: ProtocolError, *, client: Client | None = None, ui_locales: str = ""
) -> HttpResponse:
    """The page for an error that must not, or cannot, be sent to a client.

    Args:
        client: the application, where it is known: a link that it registered is offered as the way back.
        ui_locales: the request's, where it has one.
    """
    with translation.override(language_for(ui_locales)):
        card = client_card(client) if client else None
        context = {
            "title_parts": [_("Error"), card.name if card else ""],
            "headline": _headline(error),
            "sentence": _sentence(error),
            "parameter": error.parameter,
            "what_to_do": _what_to_do(error),
            "reference": error.reference,
            "client": card,
            "return_url": card.way_back if card else "",
            **(_for_staff(error) if _may_see_details(request, error) else {}),
        }
        response = render_page(request, "identityserver/error.html", context, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def _is_our_fault(error: ProtocolError) -> bool:
    return error.status >= 500


def _headline(error: ProtocolError) -> str:
    if _is_our_fault(error):
        return _("This is not available at the moment")
    if error.status == 429:
        return _("Too many attempts")
    if isinstance(error, RequestAnswered):
        return _("This page is no longer valid")
    return _("This request cannot be carried out")


def _sentence(error: ProtocolError) -> str:
    if _is_our_fault(error):
        return _("Something on our side does not answer. Nothing has been changed.")
    if isinstance(error, RequestAnswered):
        return _("What you were doing here is finished, has expired, or was started in another browser.")
    match error.parameter:
        case "redirect_uri":
            return _("The application asks to send you to an address that is not registered for it.")
        case "client_id":
            return _("The application that sent you here is not registered here.")
        case "post_logout_redirect_uri":
            return _("The application asks to send you back to an address that is not registered for it.")
        case "id_token_hint":
            return _("The application could not prove that it had signed you in.")
        case "response_type":
            return _("The application asks for a kind of answer that is not offered to it.")
    return _("The application made a request that cannot be understood.")


def _what_to_do(error: ProtocolError) -> str:
    if _is_our_fault(error) or error.status == 429:
        return _("Wait a moment, then load this page again.")
    if isinstance(error, RequestAnswered):
        return _("Go back to the application and start again.")
    return _("Go back to the application and try again. If it happens again, tell the people who run it.")


def _may_see_details(request: HttpRequest, error: ProtocolError) -> bool:
    """Staff may, and everybody with DEBUG on; where the database fails nobody is asked who they are."""
    if settings.DEBUG:
        return True
    user = None if _is_our_fault(error) else getattr(request, "user", None)
    return bool(user and user.is_active and user.is_staff)


def _for_staff(error: ProtocolError) -> dict[str, str]:
    explained = " ".join(filter(None, [error.description, error.detail]))
    return {"detail": explained, "clause": error.clause, "remedy": error.remedy}
