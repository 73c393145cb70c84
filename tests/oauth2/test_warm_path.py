"""What a request costs once caches are warm (performance.md): statements, transactions, calls of our own code."""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import identityserver
from tests.speaking import AskingApi

PACKAGE = str(Path(identityserver.__file__).parent)
#: Who asks, and what stands in for as many calls of Django's handler.
ELSEWHERE = (f"{PACKAGE}/testing/", f"{PACKAGE}/front/")

#: Runs statements in place of Django's ORM, whose calls do not count either.
PREPARED = str(Path(identityserver.__file__).parent / "models" / "prepared.py")

# Nothing read inside an open transaction is cached, so these run outside of one.
pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def counted_calls():
    """Calls of functions of ours, by name, while the block runs; a comprehension is no call."""
    calls: Counter[str] = Counter()

    def profile(frame, event, _argument):
        filename = frame.f_code.co_filename
        ours = filename.startswith(PACKAGE) and not filename.startswith(ELSEWHERE) and filename != PREPARED
        if event == "call" and ours and not frame.f_code.co_name.startswith("<"):
            calls[f"{filename[len(PACKAGE) + 1 :]}:{frame.f_code.co_qualname}"] += 1

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def statements(captured: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in captured.captured_queries]


def test_a_warm_code_exchange(alice, relying_party):
    """At most 60 project calls, one transaction and 10 statements."""
    client = relying_party(scopes="openid profile offline_access")
    client.redeem(alice.browser.authorize(client).code).succeeds()
    code = alice.browser.authorize(client).code

    with CaptureQueriesContext(connection) as queries, counted_calls() as calls:
        client.redeem(code).succeeds()

    assert sum(calls.values()) <= 60, "\n".join(map(str, sorted(calls.items())))
    assert len(queries) <= 10, statements(queries)
    assert sum(sql.startswith("BEGIN") for sql in statements(queries)) == 1
    assert sum(sql == "COMMIT" for sql in statements(queries)) == 1


def test_a_warm_client_credentials_request(relying_party, api):
    """A JWT for a client writes nothing and reads nothing."""
    client = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"], redirect_uris=[])
    client.client_credentials(scope="notes.read").succeeds()

    with CaptureQueriesContext(connection) as queries:
        client.client_credentials(scope="notes.read").succeeds()

    assert statements(queries) == []


def test_warm_discovery_and_keys_read_nothing(client, signing_keys):
    paths = ["/.well-known/openid-configuration", "/.well-known/openid-configuration/jwks"]
    for path in paths:
        client.get(path)
    with CaptureQueriesContext(connection) as queries:
        for path in paths:
            assert client.get(path).status_code == 200
    assert statements(queries) == []


def test_a_warm_userinfo_request_asks_for_the_grant_alone(alice, web_app):
    tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
    web_app.userinfo(tokens.access_token)
    with CaptureQueriesContext(connection) as queries:
        assert web_app.userinfo(tokens.access_token).status_code == 200
    assert len(statements(queries)) == 1


@pytest.mark.parametrize("kind", ["jwt", "reference"])
def test_a_warm_introspection_asks_for_the_token_alone(alice, relying_party, api, kind):
    """Whoever asks, with or without a user: one statement, and nothing is written."""
    scopes = {"scopes": "openid notes.read", "access_token_type": kind}
    app = relying_party(**scopes)
    machine = relying_party(**scopes, allowed_grant_types=["client_credentials"], redirect_uris=[])
    asking = AskingApi(api)
    for_alice = app.redeem(alice.browser.authorize(app).code).succeeds().access_token
    of_its_own = machine.client_credentials().succeeds().access_token
    for who, token in ((app, for_alice), (asking, for_alice), (machine, of_its_own), (asking, of_its_own)):
        assert who.introspect(token).json()["active"] is True
        with CaptureQueriesContext(connection) as queries:
            assert who.introspect(token).json()["active"] is True
        assert [sql[:6] for sql in statements(queries)] == ["SELECT"]


def test_a_warm_userinfo_request_with_a_reference_token(alice, relying_party):
    app = relying_party(access_token_type="reference")
    token = app.redeem(alice.browser.authorize(app).code).access_token
    app.userinfo(token)
    with CaptureQueriesContext(connection) as queries:
        assert app.userinfo(token).status_code == 200
    assert len(statements(queries)) == 1
