"""Tokens that django-oauth-toolkit issued before the switch stay valid, and nothing of ours hides among them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from identityserver import jose
from identityserver.testing import Clock
from identityserver.testing.fixtures import Person
from identityserver.vocabulary import Algorithm
from tests.resource_server.conftest import Api


@pytest.fixture
def issued(person: Callable[..., Person]) -> Callable[..., str]:
    """Have DOT hold a token."""
    bob = person("bob").user
    application = Application.objects.create(client_id="old-app", client_type="public", name="Old app")

    def hold(token: str = "an-old-token", scope: str = "notes.read", **fields: Any) -> str:
        expires = timezone.now() + timedelta(hours=1)
        AccessToken.objects.create(
            user=bob, application=application, token=token, scope=scope, expires=expires, **fields
        )
        return token

    return hold


class TestATokenOfDot:
    def test_stays_valid(self, api: Api, issued):
        response = api.get("/api/notes", issued())
        assert (response.status_code, response.json()) == (200, {"notes_of": "bob"})

    def test_stays_valid_as_a_jwt_of_another_issuer(self, api, issued):
        """DOT's ACCESS_TOKEN_GENERATOR may make JWTs; DOT knows them by their text."""
        key = jose.generate(Algorithm.RS256)
        other = jose.Signer(kid="x", algorithm=Algorithm.RS256, private_jwk=key.private_jwk.encode())
        token = issued(other.sign({"iss": "https://dot.example"}, typ="JWT"))
        assert api.get("/api/notes", token).status_code == 200

    def test_needs_its_scope(self, api, issued):
        assert api.get("/api/notes", issued(scope="notes.write")).status_code == 403

    def test_expires(self, api, issued, clock: Clock):
        token = issued()
        clock.forward(hours=1)
        assert api.get("/api/notes", token).status_code == 401

    def test_is_restricted_to_its_resource(self, api, issued):
        assert api.get("/api/notes", issued(resource=["https://other.example"])).status_code == 401

    def test_is_refused_in_the_url(self, api, issued):
        assert api.get("/api/notes", access_token=issued()).status_code == 401

    def test_that_was_never_issued_is_refused(self, api):
        response = api.get("/api/notes", "never-issued")
        assert response.status_code == 401
        assert 'error="invalid_token"' in response["WWW-Authenticate"]


class TestATokenOfOurs:
    def test_is_not_excused_by_a_copy_in_dots_tables(self, api, issued, mint):
        """Such as DOT's cache of introspected tokens has left there, without ``cnf``."""
        for refused in (mint(cnf={"jkt": "x"}), mint(aud="other"), mint(typ="JWT")):
            assert api.get("/api/notes", issued(refused)).status_code == 401

    def test_is_not_sent_to_another_servers_introspection(self, api, mint, settings, monkeypatch):
        sent = []
        monkeypatch.setattr(requests, "post", lambda *args, **kwargs: sent.append(args))
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "RESOURCE_SERVER_INTROSPECTION_URL": "https://other.example/introspect",
            "RESOURCE_SERVER_AUTH_TOKEN": "secret",
        }
        assert api.get("/api/notes", mint(aud="other")).status_code == 401
        assert sent == []
