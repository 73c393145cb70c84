"""A database that cannot be reached, for real: rule 26, RFC 6749 §4.1.2.1 and RFC 9110 §15.6.4.

What each endpoint says where single statements fail is beside its other tests.
"""

from time import perf_counter

import pytest
from django.db import connection

from identityserver import caching
from tests.speaking import url_of

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = {
    "sqlite": {"NAME": "/nowhere/at/all.sqlite3"},
    "postgresql": {"HOST": "127.0.0.1", "PORT": "1"},
}


@pytest.fixture
def unplugged(monkeypatch):
    """A context manager: the alias points to where nothing is, and open connections are gone."""

    class Unplugged:
        def __enter__(self):
            connection.close()
            self.patch = pytest.MonkeyPatch()
            for name, value in NOWHERE[connection.vendor].items():
                self.patch.setitem(connection.settings_dict, name, value)

        def __exit__(self, *_):
            connection.close()
            self.patch.undo()

    return Unplugged()


def says_to_come_back(response, started):
    assert response.status_code == 503
    assert int(response["Retry-After"]) >= 1
    assert perf_counter() - started < 3
    return True


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
def test_a_token_request_is_answered_in_json_and_nothing_is_lost(alice, relying_party, unplugged, grant_type):
    client = relying_party(scopes="openid offline_access")
    tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
    code = alice.browser.authorize(client).code
    asked = {"grant_type": grant_type, "code": code, "refresh_token": tokens.refresh_token}
    asked |= {"code_verifier": client.verifier, "redirect_uri": client.redirect_uri}
    started = perf_counter()
    with unplugged:
        answer = client.token(**asked)
    answer.fails_with("temporarily_unavailable", 503)
    assert says_to_come_back(answer.response, started)
    client.token(**asked).succeeds()


def test_a_cold_worker_says_so_too(relying_party, unplugged):
    machine = relying_party(allowed_grant_types=["client_credentials"])
    caching.forget()
    with unplugged:
        machine.client_credentials().fails_with("temporarily_unavailable", 503)
    machine.client_credentials().succeeds()


def test_user_information_is_no_verdict_on_the_token(alice, web_app, unplugged):
    token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
    started = perf_counter()
    with unplugged:
        response = web_app.userinfo(token)
    assert response.json()["error"] == "temporarily_unavailable"
    assert says_to_come_back(response, started)
    assert web_app.userinfo(token).status_code == 200


@pytest.mark.parametrize("kind", ["jwt", "reference"])
def test_introspection_is_no_verdict_on_the_token(alice, relying_party, unplugged, kind):
    client = relying_party(access_token_type=kind)
    token = client.redeem(alice.browser.authorize(client).code).access_token
    for cold in (False, True):
        client.introspect(token)
        if cold:
            caching.forget()
        started = perf_counter()
        with unplugged:
            response = client.introspect(token)
        assert response.json()["error"] == "temporarily_unavailable"
        assert says_to_come_back(response, started)
    assert client.introspect(token).json()["active"] is True


@pytest.mark.parametrize("member", ["access_token", "refresh_token"])
def test_a_revocation_that_did_not_happen_is_not_reported_as_done(alice, relying_party, unplugged, member):
    client = relying_party(scopes="openid offline_access")
    token = client.redeem(alice.browser.authorize(client).code).members[member]
    started = perf_counter()
    with unplugged:
        response = client.revoke(token)
    assert says_to_come_back(response, started)
    assert client.introspect(token).json()["active"] is True


@pytest.mark.parametrize("name", ["authorization", "login", "consent", "logout", "end_session", "resume"])
def test_people_get_a_page_that_says_to_wait(alice, web_app, unplugged, name):
    url = web_app.authorization_url() if name == "authorization" else f"{url_of(name)}?request={'x' * 43}"
    started = perf_counter()
    with unplugged:
        page = alice.browser.open(url)
    assert says_to_come_back(page.response, started)
    assert page.shows("Wait a moment")
    assert page.location == ""
    assert alice.browser.authorize(web_app, prompt="none").code


def test_discovery_and_keys_still_answer(web_app, unplugged):
    urls = [url_of(name) for name in ("openid_configuration", "oauth_metadata", "jwks")]
    before = [web_app.http.get(url).content for url in urls]
    with unplugged:
        assert [web_app.http.get(url).content for url in urls] == before


def test_tokens_of_a_warm_worker_are_still_issued_where_nothing_need_be_read(relying_party, unplugged):
    """Client credentials with a JWT write nothing and, from memory, read nothing."""
    machine = relying_party(allowed_grant_types=["client_credentials"])
    machine.client_credentials().succeeds()
    with unplugged:
        machine.client_credentials().succeeds()
