"""What an unforeseen failure is to the outside: never an untrue definite answer, always logged."""

import logging

from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest

from identityserver.errors import ProtocolError, ServerError, TemporarilyUnavailable

logger = logging.getLogger("identityserver")


def as_error(request: HttpRequest, failure: Exception, sender: type) -> ProtocolError:
    """The error to answer with; the log has the traceback under its reference.

    Args:
        sender: the view's class, for receivers of Django's ``got_request_exception``, which reports of errors use.
    """
    if isinstance(failure, (OperationalError, InterfaceError)):
        error: ProtocolError = TemporarilyUnavailable("The server cannot answer now.", detail=type(failure).__name__)
    else:
        error = ServerError("Something went wrong here.", detail=type(failure).__name__)
        got_request_exception.send(sender=sender, request=request)
    logger.error("%s (reference %s)", request.path, error.reference, exc_info=failure)
    return error
