"""Every way in that django-oauth-toolkit offers leads through the same rules."""

from collections.abc import Callable

import pytest

from identityserver.testing import Browser
from identityserver.testing.fixtures import Person
from tests.resource_server.conftest import Api
from tests.resource_server.documented import middleware

MIDDLEWARE = "oauth2_provider.middleware.OAuth2TokenMiddleware"


class TestOurDecorator:
    """RFC 6750 §3.1."""

    def test_lets_a_token_in(self, api, machine_token, machine):
        response = api.get("/api/plain", machine_token)
        assert (response.status_code, response.json()) == (200, {"asked_by": machine.client_id})

    def test_asks_for_one(self, api):
        response = api.get("/api/plain")
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")

    def test_says_what_is_wrong_with_one(self, api, mint):
        response = api.get("/api/plain", mint(aud="other"))
        assert response.status_code == 401
        assert 'error="invalid_token"' in response["WWW-Authenticate"]

    def test_says_which_scope_is_missing(self, api, mint):
        response = api.get("/api/plain", mint(scope="openid"))
        assert response.status_code == 403
        assert 'error="insufficient_scope"' in response["WWW-Authenticate"]
        assert 'scope="notes.read"' in response["WWW-Authenticate"]

    def test_is_needed_since_dots_own_does_not_read_the_settings(self, api, token):
        assert api.get("/api/dot", token).status_code == 403


class TestDotsViews:
    def test_let_a_token_in(self, api, token):
        assert api.get("/api/page", token).json() == {"notes_of": "alice"}

    def test_refuse_any_other(self, api, mint):
        assert api.get("/api/page", mint(scope="openid")).status_code == 403
        assert api.get("/api/page", mint(aud="other")).status_code == 403
        assert api.get("/api/page").status_code == 403


class TestDotsMiddleware:
    """With our backend, a token is a user for one request, and never a sign-in."""

    @pytest.fixture(autouse=True)
    def site_with_middleware(self, settings) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, MIDDLEWARE]
        settings.AUTHENTICATION_BACKENDS = middleware.AUTHENTICATION_BACKENDS

    def test_makes_the_user_of_the_token_the_requests(self, api, token):
        assert api.get("/whoami", token).json() == {"user": "alice"}
        assert api.get("/whoami").json() == {"user": ""}

    def test_makes_nobody_of_a_refused_one(self, api, mint, machine_token):
        assert api.get("/whoami", mint(aud="other")).json() == {"user": ""}
        assert api.get("/whoami", machine_token).json() == {"user": ""}

    def test_makes_nobody_of_an_inactive_user(self, api, token, alice: Person):
        alice.user.is_active = False
        alice.user.save()
        assert api.get("/whoami", token).json() == {"user": ""}

    def test_opens_no_session(self, api, token):
        api.get("/whoami", token)
        assert api.get("/whoami").json() == {"user": ""}

    def test_answers_a_malformed_query_with_400(self, api, token):
        assert api.http.get("/whoami?x=%zz", headers={"Authorization": f"Bearer {token}"}).status_code == 400


class TestTheLoginPage:
    def test_takes_no_access_token_for_a_password(self, token, settings):
        settings.AUTHENTICATION_BACKENDS = middleware.AUTHENTICATION_BACKENDS
        browser = Browser()
        browser.http.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        browser.sign_in("alice", "not the password")
        assert "_auth_user_id" not in browser.http.session

    def test_would_with_dots_backend(self, rf, token):
        """The reason for ours."""
        from oauth2_provider.backends import OAuth2Backend

        request = rf.post("/login", headers={"Authorization": f"Bearer {token}"})
        assert OAuth2Backend().authenticate(request, username="anybody", password="anything").username == "alice"


@pytest.mark.parametrize(
    "server",
    ["identityserver.resource_server.server.ResourceServer", "oauthlib.oauth2.Server", "oauthlib.openid.Server"],
)
class TestWithAnyServerClass:
    """The rules do not hang on the second setting: a site that forgets it is as safe."""

    @pytest.fixture(autouse=True)
    def server_class(self, server: str, settings) -> None:
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_SERVER_CLASS": server}

    def test_a_token_for_the_api_opens_it(self, api, token):
        assert api.get("/api/notes", token).status_code == 200

    def test_another_does_not(self, api: Api, token, mint: Callable[..., str]):
        for refused in (mint(typ="JWT"), mint(aud="other"), mint(cnf={"jkt": "x"}), mint(scope="notes.write")):
            assert api.get("/api/notes", refused).status_code in {401, 403}
        assert api.get("/api/notes", token, scheme="DPoP").status_code == 401
        assert api.get("/api/notes", access_token=token).status_code == 401


class TestDotsEndpoints:
    def test_issue_nothing_through_our_server_class(self):
        """A site that leaves DOT's URLs mounted has a check that says so, and no second way to a token."""
        from oauth2_provider.oauth2_backends import get_oauthlib_core

        server = get_oauthlib_core().server
        for ability in (
            "create_token_response",
            "create_authorization_response",
            "create_device_authorization_response",
            "create_introspect_response",
        ):
            assert not hasattr(server, ability)
