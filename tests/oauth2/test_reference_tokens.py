"""Reference access tokens: handles whose meaning stays with the server (RFC 6749 §1.4, RFC 7662)."""

import pytest

from identityserver import digests
from identityserver.models import ApiScope, Grant, ReferenceToken
from tests.speaking import ISSUER, AskingApi

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(relying_party, api):
    return relying_party(scopes="openid email notes.read offline_access", access_token_type="reference")


@pytest.fixture
def tokens(alice, app):
    return app.redeem(alice.browser.authorize(app).code).succeeds()


class TestToken:
    """RFC 6749 §1.4, §10.10."""

    def test_it_is_256_random_bits_and_says_nothing(self, tokens):
        assert len(tokens.access_token) == 43
        assert "." not in tokens.access_token
        assert (tokens.members["token_type"], tokens.members["expires_in"]) == ("Bearer", 3600)

    def test_only_its_digest_is_kept(self, tokens):
        row = ReferenceToken.objects.get()
        assert row.digest == digests.digest(tokens.access_token)
        assert tokens.access_token not in str(vars(row))

    def test_what_is_kept_is_what_a_jwt_would_say(self, alice, relying_party, api, app, tokens):
        other = relying_party(scopes=app.scope, access_token_type="jwt")
        signed = other.redeem(alice.browser.authorize(other).code).access_token_claims
        kept = ReferenceToken.objects.get().claims
        assert kept.keys() == signed.keys()
        same = {"iss", "sub", "aud", "scope", "iat", "exp", "auth_time", "amr"}
        assert {name: kept[name] for name in same - {"iat", "exp", "auth_time"}} == {
            name: signed[name] for name in same - {"iat", "exp", "auth_time"}
        }
        assert kept["iss"] == ISSUER

    def test_every_request_gives_another(self, app, tokens):
        assert app.refresh(tokens.refresh_token).access_token != tokens.access_token
        assert ReferenceToken.objects.count() == 2

    def test_a_client_of_its_own_gets_one_too(self, relying_party, api):
        machine = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], access_token_type="reference"
        )
        token = machine.client_credentials().succeeds().access_token
        assert ReferenceToken.objects.get().grant is None
        assert machine.introspect(token).json()["sub"] == machine.client_id

    def test_the_hash_in_the_id_token_is_of_it(self, tokens):
        """OpenID Connect Core §3.1.3.6."""
        assert tokens.id_token["at_hash"]

    def test_jwt_is_what_a_client_gets_unless_it_says_otherwise(self, web_app, alice):
        assert web_app.row.access_token_type == "jwt"
        assert web_app.redeem(alice.browser.authorize(web_app).code).access_token.count(".") == 2


class TestUserInfo:
    """OpenID Connect Core §5.3."""

    def test_it_is_accepted(self, app, tokens):
        assert app.userinfo(tokens.access_token).json() == {
            "sub": tokens.id_token["sub"],
            "email": "alice@example.com",
        }

    def test_only_the_scopes_of_this_very_token_count(self, app, tokens):
        narrow = app.refresh(tokens.refresh_token, scope="openid").succeeds()
        assert app.userinfo(narrow.access_token).json().keys() == {"sub"}
        without = app.refresh(tokens.refresh_token, scope="notes.read").succeeds()
        assert app.userinfo(without.access_token).status_code == 403

    def test_it_expires(self, clock, app, tokens):
        clock.forward(seconds=3599)
        assert app.userinfo(tokens.access_token).status_code == 200
        clock.forward(seconds=1)
        assert app.userinfo(tokens.access_token).status_code == 401

    @pytest.mark.parametrize("presented", ["refresh_token", "id_token"])
    def test_no_other_token_is_one(self, app, tokens, presented):
        assert app.userinfo(tokens.members[presented]).status_code == 401

    def test_a_code_is_none(self, alice, app):
        assert app.userinfo(alice.browser.authorize(app).code).status_code == 401

    def test_what_is_stored_opens_nothing(self, app, tokens):
        assert app.userinfo(ReferenceToken.objects.get().digest).status_code == 401


class TestEnd:
    """It ends with its grant, its client, its user, and by itself, everywhere at once."""

    @pytest.fixture
    def is_good(self, api, app):
        asking = AskingApi(api)

        def state(tokens) -> bool:
            active = asking.introspect(tokens.access_token).json()["active"]
            assert active is (app.userinfo(tokens.access_token).status_code == 200)
            return active

        return state

    def test_revoking_the_grant_kills_it(self, app, tokens, is_good):
        assert is_good(tokens)
        Grant.objects.get().revoke("by an administrator")
        assert not is_good(tokens)

    def test_replaying_the_code_kills_it(self, alice, app, is_good):
        """RFC 6749 §4.1.2."""
        code = alice.browser.authorize(app).code
        tokens = app.redeem(code).succeeds()
        assert is_good(tokens)
        app.redeem(code).fails_with("invalid_grant")
        assert not is_good(tokens)

    def test_replaying_a_refresh_token_kills_it(self, clock, alice, relying_party, api):
        """RFC 9700 §4.14.2."""
        app = relying_party(
            scopes="openid offline_access", access_token_type="reference", refresh_token_usage="one_time"
        )
        first = app.redeem(alice.browser.authorize(app).code).succeeds()
        second = app.refresh(first.refresh_token).succeeds()
        clock.forward(minutes=1)
        app.refresh(first.refresh_token).fails_with("invalid_grant")
        assert app.userinfo(second.access_token).status_code == 401

    def test_a_changed_password_kills_it(self, alice, tokens, is_good):
        alice.user.set_password("another one")
        alice.user.save()
        assert not is_good(tokens)

    def test_its_client_kills_it(self, app, tokens, is_good):
        type(app.row).objects.update(enabled=False)
        assert app.userinfo(tokens.access_token).status_code == 401

    def test_changing_back_to_jwt_does_not(self, app, tokens, is_good):
        app.row.access_token_type = "jwt"
        app.row.save()
        assert is_good(tokens)

    def test_what_a_scope_says_now_changes_nothing_in_it(self, tokens, is_good):
        """As with a JWT: it says what was granted then."""
        ApiScope.objects.filter(name="notes.read").update(user_claims=["email"])
        assert "email" not in ReferenceToken.objects.get().claims
        assert is_good(tokens)
