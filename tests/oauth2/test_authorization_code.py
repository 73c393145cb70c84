"""Redeeming an authorization code: RFC 6749 §4.1.3 and §4.1.4, RFC 7636 §4.6, RFC 9700 §2.1.1.

What many do at once is in ``test_code_exchange_*``.
"""

import pytest

from identityserver.models import AuthorizationCode, Event, Grant, RefreshToken, UserSession

pytestmark = pytest.mark.django_db


class TestTokenResponse:
    """RFC 6749 §4.1.4, §5.1; OpenID Connect Core §3.1.3.3."""

    def test_it_has_every_member_and_no_other(self, alice, relying_party):
        client = relying_party(scopes="openid profile offline_access")
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        assert tokens.members.keys() == {
            "access_token",
            "token_type",
            "expires_in",
            "scope",
            "refresh_token",
            "id_token",
        }
        assert tokens.members["token_type"] == "Bearer"
        assert tokens.members["expires_in"] == 3600
        assert tokens.members["scope"] == "openid profile offline_access"

    def test_nobody_may_keep_it(self, alice, web_app):
        """§5.1: Cache-Control: no-store and Pragma: no-cache."""
        response = web_app.redeem(alice.browser.authorize(web_app).code).response
        assert response["Cache-Control"] == "no-store"
        assert response["Pragma"] == "no-cache"
        assert response["Content-Type"] == "application/json"

    def test_without_openid_there_is_no_id_token(self, alice, api, relying_party):
        client = relying_party(scopes="notes.read")
        assert "id_token" not in client.redeem(alice.browser.authorize(client).code).succeeds().members

    def test_without_offline_access_there_is_no_refresh_token(self, alice, relying_party):
        """OpenID Connect Core §11."""
        client = relying_party(scopes="openid offline_access")
        tokens = client.redeem(alice.browser.authorize(client, scope="openid").code).succeeds()
        assert tokens.refresh_token == ""
        assert RefreshToken.objects.count() == 0

    def test_lifetimes_may_be_the_client_s_own(self, alice, relying_party):
        client = relying_party(access_token_lifetime=120, identity_token_lifetime=60)
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        assert tokens.members["expires_in"] == 120
        assert tokens.access_token_claims["exp"] - tokens.access_token_claims["iat"] == 120
        assert tokens.id_token["exp"] - tokens.id_token["iat"] == 60


class TestBinding:
    """RFC 6749 §4.1.3: each failure leaves the code to the client that it belongs to."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"redirect_uri": "https://app.example/other"},
            {"redirect_uri": "https://app.example/callback/"},
            {"redirect_uri": None},
            {"code_verifier": None},
            {"code_verifier": "x" * 43},
            {"code_verifier": "x" * 42},
            {"code_verifier": "é" * 43},
        ],
    )
    def test_a_wrong_use_is_refused_and_consumes_nothing(self, alice, web_app, changes):
        code = alice.browser.authorize(web_app).code
        web_app.redeem(code, **changes).fails_with("invalid_grant")
        web_app.redeem(code).succeeds()

    def test_the_challenge_itself_is_no_verifier(self, alice, web_app):
        """RFC 7636 §4.6: it would be ``plain``, and the challenge went through the browser."""
        challenge = web_app.authorization_parameters()["code_challenge"]
        code = alice.browser.authorize(web_app).code
        web_app.redeem(code, code_verifier=challenge).fails_with("invalid_grant")
        web_app.redeem(code).succeeds()

    def test_a_verifier_without_a_challenge_is_refused(self, alice, relying_party):
        """RFC 9700 §2.1.1: or a downgrade would go unnoticed (CVE-2023-48228 class)."""
        client = relying_party(require_pkce=False)
        code = alice.browser.authorize(client, code_challenge=None, code_challenge_method=None).code
        client.redeem(code).fails_with("invalid_grant")
        client.redeem(code, code_verifier=None).succeeds()

    def test_the_code_of_another_client_is_refused(self, alice, web_app, relying_party):
        other = relying_party()
        other.verifier = web_app.verifier
        code = alice.browser.authorize(web_app).code
        other.redeem(code).fails_with("invalid_grant")
        web_app.redeem(code).succeeds()

    def test_a_resource_that_was_not_granted_leaves_the_code_as_it_is(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        web_app.redeem(code, resource="https://api.example").fails_with("invalid_target")
        web_app.redeem(code).succeeds()

    @pytest.mark.parametrize("code", ["x", "x" * 43, "x" * 2000, "\N{SNOWMAN}", "%00"])
    def test_an_unknown_code_is_refused(self, web_app, code):
        web_app.redeem(code).fails_with("invalid_grant")


class TestLifetime:
    """RFC 6749 §4.1.2: a code MUST expire shortly after it is issued."""

    def test_it_lives_for_a_minute(self, clock, alice, web_app):
        code = alice.browser.authorize(web_app).code
        clock.forward(seconds=59)
        web_app.redeem(code).succeeds()

    def test_and_no_longer(self, clock, alice, web_app):
        code = alice.browser.authorize(web_app).code
        clock.forward(seconds=60)
        web_app.redeem(code).fails_with("invalid_grant")

    def test_a_client_may_have_its_own(self, clock, alice, relying_party):
        client = relying_party(authorization_code_lifetime=10)
        code = alice.browser.authorize(client).code
        clock.forward(seconds=10)
        client.redeem(code).fails_with("invalid_grant")


class TestSince:
    """What has happened since the code was issued counts."""

    def test_the_user_was_disabled(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        type(alice.user).objects.update(is_active=False)  # without signals, as an import does it
        web_app.redeem(code).fails_with("invalid_grant")

    def test_the_user_was_deleted(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        alice.user.delete()
        web_app.redeem(code).fails_with("invalid_grant")

    def test_the_client_was_disabled(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        type(web_app.row).objects.update(enabled=False)
        assert "access_token" not in web_app.redeem(code).members

    def test_the_user_signed_out(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        alice.browser.sign_out()
        web_app.redeem(code).fails_with("invalid_grant")

    def test_the_password_was_changed_elsewhere(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        alice.user.set_password("another one")
        alice.user.save()
        web_app.redeem(code).fails_with("invalid_grant")

    def test_the_grant_was_revoked(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        Grant.objects.get().revoke("by an administrator")
        web_app.redeem(code).fails_with("invalid_grant")

    def test_a_scope_was_taken_from_the_client(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        web_app.row.identity_resources.remove(web_app.row.identity_resources.get(name="email"))
        assert "email" not in web_app.redeem(code).members.get("scope", "")


class TestReplay:
    """RFC 6749 §4.1.2, §10.5: a second use SHOULD revoke all tokens of the first."""

    @pytest.fixture
    def client(self, relying_party):
        return relying_party(scopes="openid profile offline_access")

    def test_a_code_works_once(self, alice, client):
        code = alice.browser.authorize(client).code
        client.redeem(code).succeeds()
        client.redeem(code).fails_with("invalid_grant")

    def test_the_second_use_ends_the_whole_family(self, alice, client):
        code = alice.browser.authorize(client).code
        tokens = client.redeem(code).succeeds()
        client.redeem(code).fails_with("invalid_grant")
        client.refresh(tokens.refresh_token).fails_with("invalid_grant")
        assert client.userinfo(tokens.access_token).status_code == 401

    def test_it_is_reported_without_a_secret(self, alice, client):
        code = alice.browser.authorize(client).code
        client.redeem(code)
        client.redeem(code)
        event = Event.objects.get(type="code_replayed")
        assert event.client == client.client_id
        assert code not in repr(vars(event))

    @pytest.mark.parametrize("changes", [{"code_verifier": "x" * 43}, {"redirect_uri": "https://app.example/other"}])
    def test_an_invalid_second_use_revokes_nothing(self, alice, client, changes):
        """Who only saw the code cannot end the session of the client that it was for."""
        code = alice.browser.authorize(client).code
        tokens = client.redeem(code).succeeds()
        client.redeem(code, **changes).fails_with("invalid_grant")
        client.refresh(tokens.refresh_token).succeeds()

    def test_nor_does_the_second_use_by_another_client(self, alice, client, relying_party):
        code = alice.browser.authorize(client).code
        tokens = client.redeem(code).succeeds()
        other = relying_party(scopes="openid profile offline_access")
        other.verifier = client.verifier
        other.redeem(code).fails_with("invalid_grant")
        client.refresh(tokens.refresh_token).succeeds()

    def test_other_grants_of_the_same_user_and_client_go_on(self, alice, client):
        first = client.redeem(alice.browser.authorize(client).code).succeeds()
        code = alice.browser.authorize(client).code
        client.redeem(code)
        client.redeem(code)
        client.refresh(first.refresh_token).succeeds()


class TestStorage:
    """At rest there is nothing that could be used."""

    def test_codes_and_refresh_tokens_are_kept_as_digests(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        code = alice.browser.authorize(client).code
        tokens = client.redeem(code)
        rows = [*AuthorizationCode.objects.values(), *RefreshToken.objects.values(), *Grant.objects.values()]
        for secret in (code, tokens.refresh_token, client.verifier):
            assert secret not in repr(rows)

    def test_a_grant_remembers_the_session_it_came_from(self, alice, web_app):
        web_app.redeem(alice.browser.authorize(web_app).code)
        session = UserSession.objects.get()
        assert Grant.objects.get().sid == session.sid
        assert session.clients.get().client == web_app.row
