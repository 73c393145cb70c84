"""Delivering an authorization response (RFC 6749 §4.1.2, OAuth 2.0 Multiple Response Types §2.1, Form Post)."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from identityserver import uris
from identityserver.authorization.request import Destination
from identityserver.vocabulary import ResponseMode
from identityserver.web.pending import see_other
from identityserver.web.rendering import render_page


def deliver(request: HttpRequest, destination: Destination, parameters: Mapping[str, str]) -> HttpResponse:
    """Send the browser to the client with ``parameters``, in the way it asked for."""
    match destination.response_mode:
        case ResponseMode.QUERY:
            return see_other(uris.with_query(destination.redirect_uri, parameters))
        case ResponseMode.FRAGMENT:
            return see_other(f"{destination.redirect_uri}#{urlencode(parameters)}")
        case ResponseMode.FORM_POST:
            return _form_post(request, destination.redirect_uri, parameters)


def _form_post(request: HttpRequest, redirect_uri: str, parameters: Mapping[str, str]) -> HttpResponse:
    context = {
        "title_parts": [_("Continue")],
        "redirect_uri": redirect_uri,
        "fields": dict(parameters),
    }
    return render_page(request, "identityserver/form_post.html", context, leaves_site=True)
