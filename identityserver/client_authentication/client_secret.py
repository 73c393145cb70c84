"""Client secrets, in the Authorization header or in the body (RFC 6749 §2.3.1)."""

import base64
import binascii
import hmac
import logging
import time
from collections.abc import Iterable
from urllib.parse import unquote_plus

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.utils import timezone

from identityserver import digests
from identityserver.caching import forget
from identityserver.client_authentication.credentials import Credentials
from identityserver.encryption import Undecryptable
from identityserver.errors import InvalidClient, InvalidRequest
from identityserver.models import Client
from identityserver.models.secrets import Secret
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod

logger = logging.getLogger("identityserver")

#: Longest Authorization header that is looked at.
_LENGTH = 4_000

#: ``last_used`` is written at most this often for a secret, in seconds.
_TOUCH_INTERVAL = 60.0

_touched: dict[tuple[type[Secret], int], float] = {}


def present_in_header(request: HttpRequest, parameters: Parameters) -> Credentials:
    """The credentials of a Basic header: both parts are form-encoded, then joined and base64-encoded.

    Raises:
        InvalidClient: the header is malformed.
        InvalidRequest: the body names another client.
    """
    client_id, secret = _decoded(request.META["HTTP_AUTHORIZATION"].partition(" ")[2].strip())
    if parameters.get("client_id", "") not in {"", client_id}:
        raise InvalidRequest("The client_id in the body is another than in the header.", parameter="client_id")
    return Credentials(method=AuthMethod.CLIENT_SECRET_BASIC, client_id=client_id, secret=secret)


def present_in_body(request: HttpRequest, parameters: Parameters) -> Credentials:
    """client_id and client_secret in the body.

    Raises:
        InvalidRequest: there is no client_id.
    """
    client_id, secret = parameters["client_id"], parameters["client_secret"]
    return Credentials(method=AuthMethod.CLIENT_SECRET_POST, client_id=client_id, secret=secret)


class SentSecret:
    """``client_secret_basic`` and ``client_secret_post``: the secret itself."""

    def refusal(self, client: Client | None, credentials: Credentials) -> str:
        """Why the secret is not the client's, for staff; an unknown client costs a comparison, too."""
        if client is None:
            hmac.compare_digest(digests.digest(credentials.secret), _NOBODY)
            return "No secret can be its own."
        return "" if is_secret_of(client.secrets_in_use, credentials.secret) else "The secret is wrong or has expired."


def is_secret_of(secrets: Iterable[Secret], presented: str) -> bool:
    """Whether ``presented`` is one of ``secrets``; its use is noted, and a slow hash, asked last, is replaced."""
    quick_first = sorted(secrets, key=lambda secret: secret.kind == Secret.Kind.IMPORTED)
    for secret in quick_first:  # no generator: reports of exceptions would show what its frame holds
        if secret.matches(presented):
            if secret.kind == Secret.Kind.IMPORTED:
                _replace_slow_hash(secret, presented)
            note_use(secret)
            return True
    return False


def note_use(secret: Secret) -> None:
    """Note when a secret was used last, to the minute; that never decides about the request."""
    key = (type(secret), secret.pk)
    if time.monotonic() - _touched.get(key, -_TOUCH_INTERVAL) < _TOUCH_INTERVAL:
        return
    _touched[key] = time.monotonic()
    try:
        type(secret)._default_manager.filter(pk=secret.pk).update(last_used=timezone.now())
    except (DatabaseError, InterfaceError):
        _touched.pop(key, None)


def _decoded(encoded: str) -> tuple[str, str]:
    try:
        if len(encoded) > _LENGTH:
            raise ValueError("too long")
        joined = base64.b64decode(encoded, validate=True).decode("ascii")
        client_id, colon, secret = joined.partition(":")
        client_id, secret = (unquote_plus(part, errors="strict") for part in (client_id, secret))
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("The Authorization header is malformed.", detail=str(error)) from None
    if not colon or not client_id.isprintable() or not secret.isprintable() or not 0 < len(client_id) <= 255:
        raise InvalidClient("The Authorization header is malformed.")
    return client_id, secret


def _replace_slow_hash(secret: Secret, presented: str) -> None:
    """Keep what is quick to check from now on; where that fails, the next use tries again."""
    try:
        secret.replace_slow_hash(presented)
    except (DatabaseError, InterfaceError, Undecryptable):
        logger.warning("The slow hash of %s %s could not be replaced.", secret._meta.verbose_name, secret.pk)
    else:
        forget()  # the row in memory is slow still


_NOBODY = digests.digest("nobody")
