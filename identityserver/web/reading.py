"""Reading the query and the form of a browser without Django answering for us.

Django reads them on first access and raises then what is wrong with them: too many fields, too large, a media type
that names no text encoding. A person is to see a page of ours for that, too.
"""

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError

from identityserver.errors import ContentTooLarge, InvalidRequest

#: What the first access raises. A codec that is none is a LookupError, one that fails a UnicodeError.
_UNREADABLE = (BadRequest, LookupError, MultiPartParserError, SuspiciousOperation, UnicodeError, UnreadablePostError)


def check_readable(request: HttpRequest) -> None:
    """Read the query and the form now.

    Raises:
        ContentTooLarge: the form is larger than the site takes.
        InvalidRequest: one of them cannot be read.
    """
    try:
        _ = request.GET, request.POST
    except RequestDataTooBig as error:
        raise ContentTooLarge("The body is too large.") from error
    except _UNREADABLE as error:
        raise InvalidRequest("The request cannot be read.", detail=type(error).__name__) from error


def query_value(request: HttpRequest, name: str) -> str:
    """A parameter of the query, for what is said beside an error; ``""`` where it cannot be read."""
    try:
        return request.GET.get(name, "")
    except _UNREADABLE:
        return ""


def names(request: HttpRequest, name: str) -> bool:
    """Whether the query or the form has a field ``name``; false where neither can be read."""
    try:
        return name in request.GET or name in request.POST
    except _UNREADABLE:
        return False
