"""Client secrets, in the Authorization header or in the body (RFC 6749 §2.3.1)."""

import base64
import binascii
import hmac
import time
from urllib.parse import unquote_plus

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from identityserver import digests
from identityserver.client_authentication.credentials import Credentials
from identityserver.errors import InvalidClient, InvalidRequest
from identityserver.models import Client, ClientSecret
from identityserver.parameters import Parameters
from identityserver.vocabulary import AuthMethod

#: Longest Authorization header that is looked at.
_LENGTH = 4_000

#: ``last_used`` is written at most this often for a secret, in seconds.
_TOUCH_INTERVAL = 60.0

_touched: dict[int, float] = {}


class _Secret:
    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Whether the secret is one of the client's that has not expired; an unknown client costs a comparison too."""
        if client is None:
            hmac.compare_digest(digests.digest(credentials.secret), _NOBODY)
            return False
        matching = next((secret for secret in client.secrets_in_use if secret.matches(credentials.secret)), None)
        if matching is None:
            return False
        if time.monotonic() - _touched.get(matching.pk, -_TOUCH_INTERVAL) >= _TOUCH_INTERVAL:
            _touch(matching)
        return True


class Basic(_Secret):
    """``client_secret_basic``: both parts form-encoded before they are joined and base64-encoded."""

    def present(self, request: HttpRequest, parameters: Parameters) -> Credentials | None:
        """The credentials of a Basic header, whatever the case of its scheme (RFC 9110 §11.1)."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        client_id, secret = _decoded(encoded.strip())
        if parameters.get("client_id", "") not in {"", client_id}:
            raise InvalidRequest("The client_id in the body is another than in the header.", parameter="client_id")
        return Credentials(method=AuthMethod.CLIENT_SECRET_BASIC, client_id=client_id, secret=secret)


class Post(_Secret):
    """``client_secret_post``: client_id and client_secret in the body."""

    def present(self, request: HttpRequest, parameters: Parameters) -> Credentials | None:
        """The credentials of the body."""
        secret = parameters.get("client_secret", "")
        if not secret:
            return None
        client_id = parameters["client_id"]
        return Credentials(method=AuthMethod.CLIENT_SECRET_POST, client_id=client_id, secret=secret)


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


def _touch(secret: ClientSecret) -> None:
    """Note the use of a secret; that never decides about the request."""
    _touched[secret.pk] = time.monotonic()
    try:
        ClientSecret.objects.filter(pk=secret.pk).update(last_used=timezone.now())
    except DatabaseError:
        _touched.pop(secret.pk, None)


_NOBODY = digests.digest("nobody")
