"""Reference tokens at the APIs of the deployment (RFC 6750, RFC 7662): looked up, and judged by the same rules."""

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection

from identityserver import digests
from identityserver.models import Grant, ReferenceToken
from identityserver.resource_server.requests import verify_request
from tests.speaking import failing_database


@pytest.fixture
def app(relying_party):
    return relying_party(scopes="openid notes.read offline_access", access_token_type="reference")


@pytest.fixture
def tokens(alice, app):
    return app.redeem(alice.browser.authorize(app).code).succeeds()


@pytest.fixture
def token(tokens) -> str:
    """A reference token that alice allowed a web app to have for her notes."""
    return tokens.access_token


class TestAReferenceToken:
    def test_opens_the_api_for_the_user(self, api, token):
        response = api.get("/api/notes", token)
        assert (response.status_code, response.json()) == (200, {"notes_of": "alice"})

    @pytest.mark.parametrize("path", ["/api/plain", "/api/page"])
    def test_opens_every_kind_of_view(self, api, token, path):
        assert api.get(path, token).status_code == 200

    def test_opens_it_for_a_client_of_its_own(self, api, relying_party):
        machine = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], access_token_type="reference"
        )
        own = machine.client_credentials().access_token
        response = api.get("/api/statistics", own)
        assert (response.status_code, response.json()) == (200, {"asked_by": machine.client_id})
        assert api.get("/api/notes", own).status_code == 403

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("path", ["/api/statistics", "/api/notes"])
    def test_costs_one_query_with_its_user(self, api, token, path, django_assert_num_queries):
        api.get(path, token)
        with django_assert_num_queries(1):
            assert api.get(path, token).status_code == 200

    def test_shows_a_view_what_a_jwt_would(self, rf, token):
        request = rf.get("/", headers={"Authorization": f"Bearer {token}"})
        valid, verified = verify_request(request, scopes=["notes.read"])
        assert valid
        seen = verified.access_token
        assert (seen.scope, seen.resource) == ("notes.read offline_access openid", ["notes"])
        assert seen.user.get_username() == "alice"
        assert seen.claims == ReferenceToken.objects.get().claims
        assert token not in f"{vars(seen)} {seen!r} {seen}"


class TestRefused:
    """401 with the reason in the challenge (RFC 6750 §3.1), and at once: nothing is signed that would live on."""

    @pytest.fixture
    def refuses(self, api):
        def check(token: str) -> None:
            response = api.get("/api/notes", token)
            assert response.status_code == 401
            assert 'error="invalid_token"' in response["WWW-Authenticate"]

        return check

    def test_revoked_by_its_client(self, refuses, api, app, token):
        assert api.get("/api/notes", token).status_code == 200
        app.revoke(token)
        refuses(token)

    def test_revoked_with_its_grant(self, refuses, token):
        Grant.objects.get().revoke("by an administrator")
        refuses(token)

    def test_expired(self, refuses, token, clock):
        clock.forward(hours=1)
        refuses(token)

    def test_of_a_disabled_client(self, refuses, token, app):
        type(app.row).objects.update(enabled=False)
        refuses(token)

    def test_of_an_inactive_or_deleted_user(self, refuses, token, alice):
        get_user_model()._default_manager.update(is_active=False)
        refuses(token)
        alice.user.delete()
        refuses(token)

    def test_for_another_audience(self, refuses, token, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "resource_server_audiences": ["other"]}
        refuses(token)

    def test_bound_to_a_key(self, refuses, token):
        """CVE-2024-49755: without its proof a bound token is a stolen one."""
        row = ReferenceToken.objects.get()
        row.claims = {**row.claims, "cnf": {"jkt": "x"}}
        row.save()
        refuses(token)

    def test_without_the_scope(self, api, app, tokens):
        narrow = app.refresh(tokens.refresh_token, scope="openid offline_access").succeeds()
        assert api.get("/api/notes", narrow.access_token).status_code == 401  # no API is in its audience
        row = ReferenceToken.objects.get(digest=digests.digest(tokens.access_token))
        row.claims = {**row.claims, "scope": "notes.write"}
        row.save()
        assert api.get("/api/notes", tokens.access_token).status_code == 403

    def test_what_is_no_access_token(self, refuses, alice, app, tokens):
        """A refresh token, a code and a digest are as long, and open nothing."""
        refuses(tokens.refresh_token)
        refuses(alice.browser.authorize(app).code)
        refuses(ReferenceToken.objects.first().digest)
        refuses("x" * 43)
        refuses(tokens.members["id_token"])

    def test_a_failing_database_is_no_verdict_on_the_token(self, rf, token):
        request = rf.get("/", headers={"Authorization": f"Bearer {token}"})
        with failing_database(), pytest.raises(OperationalError):
            verify_request(request, scopes=())
        assert not connection.needs_rollback
