"""Token revocation: RFC 7009."""

from urllib.parse import urlencode

import pytest
from django.test import Client as HttpClient

from identityserver.models import Event, Grant, ReferenceToken, UsedIdentifier
from identityserver.testing.relying_party import FORM, basic
from tests.speaking import ISSUER, AskingApi, basic_header, failing_database, url_of, without_reference

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["jwt", "reference"])
def kind(request):
    """Every promise holds for both kinds of access tokens."""
    return request.param


@pytest.fixture
def app(relying_party, api, kind):
    return relying_party(scopes="openid notes.read offline_access", access_token_type=kind)


@pytest.fixture
def tokens(alice, app):
    return app.redeem(alice.browser.authorize(app).code).succeeds()


@pytest.fixture
def is_good(api):
    """Whether the API that it is for would still take an access token."""
    asking = AskingApi(api)
    return lambda token: asking.introspect(token).json()["active"]


def done(response):
    """§2.2: an empty answer that nobody keeps."""
    assert (response.status_code, response.content) == (200, b"")
    assert "Content-Type" not in response.headers
    assert "no-store" in response["Cache-Control"]
    return True


def refused(response, error, status=400):
    assert response.status_code == status, response.content
    assert response.json()["error"] == error
    return True


class TestAccessToken:
    """§2.1: the token itself; what else the grant gave goes on."""

    def test_it_is_good_no_more_anywhere(self, app, tokens, is_good):
        assert is_good(tokens.access_token)
        assert done(app.revoke(tokens.access_token))
        assert not is_good(tokens.access_token)
        assert app.userinfo(tokens.access_token).status_code == 401
        assert app.introspect(tokens.access_token).json() == {"active": False}

    def test_the_refresh_token_and_other_access_tokens_go_on(self, app, tokens, is_good):
        second = app.refresh(tokens.refresh_token).succeeds()
        assert done(app.revoke(tokens.access_token))
        assert is_good(second.access_token)
        app.refresh(tokens.refresh_token).succeeds()

    def test_of_a_client_of_its_own(self, relying_party, api, kind, is_good):
        machine = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"], access_token_type=kind)
        first, second = (machine.client_credentials().access_token for _ in range(2))
        assert done(machine.revoke(first))
        assert (is_good(first), is_good(second)) == (False, True)

    def test_a_revoked_jwt_is_remembered_until_it_expires(self, clock, alice, relying_party):
        app = relying_party(scopes="openid")
        token = app.redeem(alice.browser.authorize(app).code)
        assert done(app.revoke(token.access_token))
        row = UsedIdentifier.objects.get(purpose="revoked_token")
        assert int(row.expires.timestamp()) == token.access_token_claims["exp"]

    def test_an_expired_one_is_not_remembered(self, clock, app, tokens):
        clock.forward(hours=2)
        assert done(app.revoke(tokens.access_token))
        assert not UsedIdentifier.objects.filter(purpose="revoked_token").exists()

    def test_twice_is_the_same_as_once(self, app, tokens):
        for _ in range(3):
            assert done(app.revoke(tokens.access_token))
        assert Event.objects.filter(type="token_revoked").count() == 1


class TestRefreshToken:
    """§2.1, rule 19: with its whole grant."""

    def test_everything_of_the_grant_goes(self, app, tokens, is_good):
        second = app.refresh(tokens.refresh_token).succeeds()
        assert done(app.revoke(tokens.refresh_token))
        for access_token in (tokens.access_token, second.access_token):
            assert not is_good(access_token)
            assert app.userinfo(access_token).status_code == 401
        app.refresh(tokens.refresh_token).fails_with("invalid_grant")
        grant = Grant.objects.get()
        assert (grant.revoked_at is not None, grant.revocation_reason) == (True, "revoked by the client")

    def test_by_an_earlier_one_of_the_family_too(self, alice, relying_party):
        app = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        first = app.redeem(alice.browser.authorize(app).code).succeeds()
        second = app.refresh(first.refresh_token).succeeds()
        assert done(app.revoke(first.refresh_token))
        app.refresh(second.refresh_token).fails_with("invalid_grant")

    def test_other_grants_of_the_same_user_and_client_go_on(self, alice, app, tokens):
        other = app.redeem(alice.browser.authorize(app).code).succeeds()
        assert done(app.revoke(tokens.refresh_token))
        app.refresh(other.refresh_token).succeeds()

    def test_using_it_afterwards_is_no_replay(self, app, tokens):
        """The client gave it back: nothing is stolen."""
        app.revoke(tokens.refresh_token)
        app.refresh(tokens.refresh_token).fails_with("invalid_grant")
        assert not Event.objects.filter(type="refresh_token_replayed").exists()


class TestWhoseTokens:
    """§2.1: the server first validates the client and whether the token was issued to it."""

    def test_a_foreign_token_is_left_as_it_is(self, app, tokens, relying_party, is_good):
        other = relying_party(scopes="openid notes.read offline_access")
        for token in (tokens.access_token, tokens.refresh_token):
            assert done(other.revoke(token))
        assert is_good(tokens.access_token)
        app.refresh(tokens.refresh_token).succeeds()
        assert not Event.objects.filter(type="token_revoked").exists()

    @pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "x" * 43, "e30.e30.e30", "x" * 3000])
    def test_what_is_no_token_is_no_error(self, app, token):
        """§2.2: the client could not do anything about it."""
        assert done(app.revoke(token))

    def test_foreign_and_unknown_look_alike(self, tokens, relying_party):
        other = relying_party(scopes="openid")
        answers = [other.revoke(token) for token in (tokens.access_token, tokens.refresh_token, "never", "a.b.c")]
        assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1

    def test_a_foreign_id_token_is_no_error_either(self, tokens, relying_party):
        assert done(relying_party(scopes="openid").revoke(tokens.members["id_token"]))


class TestClientAuthentication:
    """§2.1: as at the token endpoint."""

    def test_a_public_client_says_who_it_is(self, alice, relying_party):
        app = relying_party(scopes="openid offline_access", token_endpoint_auth_method="none")
        tokens = app.redeem(alice.browser.authorize(app).code).succeeds()
        assert done(app.revoke(tokens.refresh_token))
        app.refresh(tokens.refresh_token).fails_with("invalid_grant")

    @pytest.mark.parametrize("method", ["client_secret_post", "client_secret_jwt", "private_key_jwt"])
    def test_every_registered_method(self, relying_party, api, method):
        machine = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], token_endpoint_auth_method=method
        )
        token = machine.client_credentials().succeeds().access_token
        assert done(machine.revoke(token))
        assert machine.introspect(token).json() == {"active": False}

    def test_a_confidential_client_must_prove_itself(self, app, tokens):
        http = HttpClient()
        form = {"token": tokens.refresh_token}
        answers = [
            http.post(url_of("revocation"), urlencode({**form, **more}), content_type=FORM, headers=headers)
            for more, headers in (
                ({"client_id": app.client_id}, {}),
                ({}, basic_header(f"{app.client_id}:wrong")),
                ({}, basic_header("nobody:wrong")),
                ({"client_id": app.client_id, "client_secret": "wrong"}, {}),
            )
        ]
        for answer in answers:
            assert refused(answer, "invalid_client", 401)
            assert without_reference(answer.json()) == without_reference(answers[0].json())
        app.refresh(tokens.refresh_token).succeeds()


class TestRequest:
    """§2.1: a form POST with the token."""

    def test_get_is_405(self, app):
        response = app.http.get(url_of("revocation"))
        assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")

    def test_without_a_token_it_is_invalid(self, app):
        assert refused(app.revoke(""), "invalid_request")

    def test_another_media_type_is_415(self, app):
        headers = {"Authorization": basic(app.client_id, app.secret)}
        response = app.http.post(
            url_of("revocation"), '{"token": "x"}', content_type="application/json", headers=headers
        )
        assert refused(response, "invalid_request", 415)

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something_else"])
    @pytest.mark.parametrize("member", ["access_token", "refresh_token"])
    def test_a_hint_is_a_hint(self, app, tokens, member, hint):
        """§2.1: if the server cannot locate the token by it, it MUST extend its search."""
        token = tokens.members[member]
        assert done(app.revoke(token, token_type_hint=hint))
        assert app.introspect(token).json() == {"active": False}

    def test_an_id_token_cannot_be_revoked(self, app, tokens):
        """§2.2.1: unsupported_token_type."""
        assert refused(app.revoke(tokens.members["id_token"]), "unsupported_token_type")

    @pytest.mark.parametrize("member", ["access_token", "refresh_token"])
    def test_a_failing_database_is_never_reported_as_done(self, app, tokens, member, is_good):
        """§2.2.1: 503 means that the token still exists."""
        app.introspect("x")
        with failing_database():
            response = app.revoke(tokens.members[member])
        assert refused(response, "temporarily_unavailable", 503)
        assert response["Retry-After"]
        assert is_good(tokens.access_token)
        app.refresh(tokens.refresh_token).succeeds()


class TestEvents:
    """Staff see who gave what back."""

    def test_who_and_of_which_grant(self, app, tokens, kind):
        app.revoke(tokens.access_token)
        app.revoke(tokens.refresh_token)
        events = Event.objects.filter(type="token_revoked").order_by("code")
        grant = Grant.objects.get()
        assert [(event.client, event.code, event.outcome) for event in events] == [
            (app.client_id, "access token", "success"),
            (app.client_id, "refresh token", "success"),
        ]
        assert all(str(grant.pk) in event.detail for event in events)

    def test_nothing_of_a_token_is_kept(self, app, tokens, kind):
        app.revoke(tokens.access_token)
        if kind == "reference":
            assert ReferenceToken.objects.get().revoked_at is not None
        texts = str(list(Event.objects.values())) + str(list(UsedIdentifier.objects.values()))
        assert tokens.access_token not in texts


class TestDiscovery:
    """RFC 8414 §2."""

    def test_it_says_where_and_how(self, web_app):
        document = web_app.http.get("/.well-known/openid-configuration").json()
        assert document["revocation_endpoint"] == f"{ISSUER}/connect/revocation"
        assert {"none", "client_secret_basic"} <= set(document["revocation_endpoint_auth_methods_supported"])
