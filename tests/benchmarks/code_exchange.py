"""What a code exchange costs above its floor: ``python -m tests.benchmarks.code_exchange [exchanges]``.

The floor does in one process what cannot be avoided: read the form, the one transaction with its statements
in plain SQL, two signatures, JSON. Ours is the whole way through Django's WSGI handler. Both take turns within
one run, and only their ratio is worth quoting. ``IDENTITYSERVER_TEST_DATABASE=postgres`` measures on PostgreSQL.
"""

import base64
import io
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  needs the settings above
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from identityserver import digests, jose  # noqa: E402
from identityserver.models import AuthorizationCode, Grant  # noqa: E402
from identityserver.testing import RelyingParty  # noqa: E402
from identityserver.testing.relying_party import FORM, basic, challenge_of  # noqa: E402
from identityserver.tokens.keys import signer  # noqa: E402

ROUNDS = 5


def main(exchanges: int) -> None:
    """Set up a database, take turns, print the medians and their ratio."""
    setup_test_environment()
    name = connection.creation.create_test_db(verbosity=0)
    connection.settings_dict["CONN_MAX_AGE"] = None  # as a site that cares for speed has it
    try:
        client = RelyingParty(scopes="openid profile offline_access")
        user = get_user_model().objects.create_user("alice")
        ours, floor = through_django(client), plain(client)
        for act in (ours, floor):
            run(act, codes_for(client, user, 20))
        times: dict[str, list[float]] = {"ours": [], "floor": []}
        for _ in range(ROUNDS):
            times["ours"].append(run(ours, codes_for(client, user, exchanges)))
            times["floor"].append(run(floor, codes_for(client, user, exchanges)))
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    medians = {who: statistics.median(taken) for who, taken in times.items()}
    for who, taken in medians.items():
        print(f"{who:6} {taken:8.0f} µs of CPU an exchange ({connection.vendor}, {ROUNDS} × {exchanges})")
    print(f"share of the floor's rate: {medians['floor'] / medians['ours']:.2f}")


def run(act: Callable[[str], None], codes: list[str]) -> float:
    """CPU microseconds of this process for each code."""
    begun = time.process_time()
    for code in codes:
        act(code)
    return (time.process_time() - begun) / len(codes) * 1e6


def codes_for(client: RelyingParty, user: object, count: int) -> list[str]:
    """Codes as the authorization endpoint stores them."""
    now = datetime.now(UTC)
    values = [digests.new_handle() for _ in range(count)]
    grants = Grant.objects.bulk_create(
        Grant(
            client=client.row,
            user=user,
            subject="alice",
            kind="authorization_code",
            scopes=client.scope.split(),
            auth_time=now,
            expires=now + timedelta(days=30),
        )
        for _ in values
    )
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(
            grant=grant,
            digest=digests.digest(value),
            redirect_uri=client.redirect_uri,
            code_challenge=challenge_of(client.verifier),
            expires=now + timedelta(minutes=10),
        )
        for grant, value in zip(grants, values, strict=True)
    )
    return values


def form_of(client: RelyingParty, code: str) -> bytes:
    """The body of the token request."""
    return urlencode(
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": client.verifier,
        }
    ).encode()


def through_django(client: RelyingParty) -> Callable[[str], None]:
    """An exchange through the whole stack of the site."""
    handler = WSGIHandler()
    authorization = basic(client.client_id, client.secret)

    def exchange(code: str) -> None:
        body = form_of(client, code)
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/connect/token",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "testserver",
            "HTTP_AUTHORIZATION": authorization,
            "CONTENT_TYPE": FORM,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
        }
        seen: list[str] = []
        content = b"".join(handler(environ, lambda status, _headers: seen.append(status)))
        assert seen == ["200 OK"], (seen, content)  # a measurement of refusals means nothing

    return exchange


_REDEEM = "UPDATE identityserver_authorizationcode SET consumed_at = %s WHERE digest = %s AND consumed_at IS NULL"
_READ = """
SELECT c.redirect_uri, c.code_challenge, c.nonce, c.expires, g.id, g.subject, g.scopes, g.expires, g.revoked_at,
       u.is_active, k.enabled, s.ended_at
FROM identityserver_authorizationcode c
JOIN identityserver_grant g ON g.id = c.grant_id
JOIN identityserver_client k ON k.id = g.client_id
LEFT JOIN auth_user u ON u.id = g.user_id
LEFT JOIN identityserver_usersession s ON s.id = g.session_id
WHERE c.digest = %s
"""
_ISSUE = """
INSERT INTO identityserver_refreshtoken (digest, created, expires, generation, grant_id) VALUES (%s, %s, %s, 0, %s)
"""


def plain(client: RelyingParty) -> Callable[[str], None]:
    """An exchange that does only what cannot be avoided."""
    access_key, id_key = signer("ES256"), signer("RS256")

    def exchange(code: str) -> None:
        form = dict(parse_qsl(form_of(client, code).decode()))
        digest, now = digests.digest(form["code"]), datetime.now(UTC)
        refresh_token = digests.new_handle()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_REDEEM, [now, digest])
            cursor.execute(_READ, [digest])
            row = cursor.fetchone()
            cursor.execute(_ISSUE, [digests.digest(refresh_token), now, now, row[4]])
        json.dumps(tokens_of(row, access_key, id_key, refresh_token, now))

    return exchange


def tokens_of(
    row: tuple[object, ...], access_key: jose.Signer, id_key: jose.Signer, refresh_token: str, now: datetime
) -> dict[str, object]:
    """The token response, signatures included."""
    issued = int(now.timestamp())
    claims = {"iss": "http://testserver", "sub": row[5], "iat": issued, "exp": issued + 3600, "aud": "x"}
    access_token = access_key.sign({**claims, "jti": str(uuid.uuid4()), "client_id": "x"}, typ="at+jwt")
    at_hash = base64.urlsafe_b64encode(digests.digest(access_token).encode()[:16]).decode()
    return {
        "access_token": access_token,
        "refresh_token": refresh_token,
        "id_token": id_key.sign({**claims, "at_hash": at_hash}, typ="JWT"),
        "token_type": "Bearer",
        "expires_in": 3600,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
