"""Asking django-oauth-toolkit about a request, with the classes that the settings name."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest
from oauth2_provider.oauth2_backends import get_oauthlib_core


def verify_request(request: HttpRequest, scopes: Sequence[str]) -> tuple[bool, Any]:
    """Whether the request bears a token with ``scopes``, and oauthlib's view of the request.

    Raises:
        BadRequest: the query is malformed, which oauthlib tells by a ValueError.
    """
    try:
        valid, verified = get_oauthlib_core().verify_request(request, scopes=list(scopes))
    except ValueError as error:
        if str(error) != "Invalid hex encoding in query string.":
            raise
        raise BadRequest("The query is not well-formed.") from error
    return valid, verified
