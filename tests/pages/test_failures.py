"""Pages where something of the site's own fails: RFC 9110 §15.6.4, and a person who is told what to do."""

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.db import connection
from django.urls import reverse

from identityserver import signals
from identityserver.models import AuthorizationRequest, Event
from tests.speaking import basic_header, token_request

pytestmark = pytest.mark.django_db


class Unreachable(BaseCache):
    """A cache server that is down."""

    def __init__(self, location, params):
        super().__init__(params)

    def fail(self, *args, **kwargs):
        raise ConnectionError("the cache is down")

    add = get = set = touch = delete = incr = fail


@pytest.fixture
def reported():
    """Whom the site told of exceptions that it did not handle, as its reports of errors are told."""
    senders = []

    def receive(sender, **_):
        senders.append(sender.__name__)

    got_request_exception.connect(receive)
    yield senders
    got_request_exception.disconnect(receive)


@pytest.fixture
def cache_down(settings):
    """Call it, and the cache is down."""

    def fails():
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.Unreachable"}}

    return fails


@pytest.fixture
def consent_fails():
    """A receiver of the site's raises what the list holds when somebody consents."""
    raised = [LookupError("a receiver of the site's")]

    def receive(**_):
        raise raised[0]

    signals.consent_granted.connect(receive)
    yield raised
    signals.consent_granted.disconnect(receive)


class TestCache:
    """Limits are counted in the cache: where it is down, nobody is let in uncounted and nobody sees a bare 500."""

    def test_the_login_page_says_to_wait(self, person, cache_down, reported, caplog):
        bob = person("bob")
        cache_down()
        page = bob.browser.sign_in("bob", bob.password)
        assert page.status == 503
        assert int(page.response["Retry-After"]) >= 1
        assert page.shows("Wait a moment")
        assert reported == ["SiteLoginPage"]
        event = Event.objects.get(type="request_refused")
        assert page.shows(event.reference)
        assert f"reference {event.reference}" in caplog.text
        assert "the cache is down" in caplog.text

    def test_the_token_endpoint_says_so_in_json(self, web_app, cache_down, reported):
        cache_down()
        wrong = basic_header(f"{web_app.client_id}:wrong")
        token_request({"grant_type": "client_credentials"}, wrong).fails_with("server_error", 503)
        assert reported == ["TokenEndpoint"]

    @pytest.mark.parametrize("engine", ["cache", "cached_db"])
    @pytest.mark.parametrize(
        "name", ["login", "consent", "logout", "signed_out", "authorization", "resume", "end_session"]
    )
    def test_sessions_in_the_cache_are_no_bare_500_either(self, settings, person, web_app, cache_down, engine, name):
        """Django takes a cache that cannot be read for one that knows nobody."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        bob = person("bob").sign_in()
        cache_down()
        query = web_app.authorization_url().partition("?")[2] if name == "authorization" else ""
        page = bob.browser.open(f"{reverse(f'identityserver:{name}')}?{query}")
        assert page.status in {200, 303, 400, 503}, page.location
        if name == "login":
            assert page.sign_in(bob.username, bob.password).status == 503


class TestAnythingElse:
    """Such as code of the site's own that raises."""

    @pytest.fixture
    def page(self, alice, relying_party):
        return alice.browser.authorize(relying_party(require_consent=True))

    def test_it_is_a_page_and_a_report(self, page, consent_fails, reported):
        answer = page.allow()
        assert (answer.status, answer.location) == (503, "")
        assert answer.shows("Wait a moment")
        assert "a receiver of the site" not in answer.text
        assert reported == ["ConsentPage"]

    def test_what_was_done_is_undone_where_a_request_is_a_transaction(self, page, consent_fails, monkeypatch):
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        assert page.allow().status == 503
        assert AuthorizationRequest.objects.get().approved_sid == ""

    def test_what_django_has_an_answer_to_is_no_failure(self, page, consent_fails, reported):
        consent_fails[:] = [PermissionDenied()]
        assert page.allow().status == 403
        assert reported == []
