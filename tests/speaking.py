"""Words that the specification tests share: raw requests, and a database that fails."""

import base64
import json
from contextlib import contextmanager
from urllib.parse import urlencode

from django.db import OperationalError, connection
from django.test import Client as HttpClient
from django.urls import reverse

from identityserver.models import (
    ApiResource,
    ApiSecret,
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    Grant,
    RefreshToken,
)
from identityserver.testing.relying_party import FORM, TokenResponse, basic

ISSUER = "http://testserver"


def url_of(name: str) -> str:
    """The path of one of the app's URLs."""
    return reverse(f"identityserver:{name}")


def token_request(fields, headers=None, *, query="", content_type=FORM) -> TokenResponse:
    """A raw request to the token endpoint, with exactly these fields and headers."""
    url = f"{url_of('token')}{query}"
    http = HttpClient(raise_request_exception=False)
    return TokenResponse(http.post(url, urlencode(fields), content_type=content_type, headers=headers or {}))


class AskingApi:
    """An API that asks about the tokens which it is sent (RFC 7662 §2.1)."""

    def __init__(self, row: ApiResource) -> None:
        self.row = row
        self.secret = ApiSecret.generate(row)[1]
        self.http = HttpClient(raise_request_exception=False)

    def introspect(self, token: str, *, accept: str = "application/json", secret: str | None = None, **fields: str):
        """The introspection response about ``token``."""
        header = basic(self.row.name, self.secret if secret is None else secret)
        form = urlencode({"token": token, **fields})
        headers = {"Authorization": header, "Accept": accept}
        return self.http.post(url_of("introspection"), form, content_type=FORM, headers=headers)


def basic_header(joined: str, scheme: str = "Basic") -> dict[str, str]:
    """An Authorization header of ``client_id:secret``, encoded or not as the test wants it."""
    return {"Authorization": f"{scheme} {base64.b64encode(joined.encode()).decode()}"}


def without_reference(members):
    """An error without the reference, which is another one each time."""
    description = members["error_description"].partition(" (reference")[0]
    return {**members, "error_description": description}


def header_of(token: str) -> dict[str, str]:
    """The JOSE header of a JWT."""
    first = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))


def stored_rows() -> dict[str, int]:
    """How many rows there are that a refused request must not add to."""
    models = (Grant, AuthorizationCode, RefreshToken, Consent, AuthorizationRequest)
    return {model.__name__: model.objects.count() for model in models}


@contextmanager
def failing_database(error=OperationalError):
    """Every statement fails, as it does where the server has gone away."""

    def fail(execute, sql, params, many, context):
        raise error("the database is gone")

    with connection.execute_wrapper(fail):
        yield
