"""ID tokens and subjects: OpenID Connect Core §2, §3.1.3.6, §3.1.3.7, §8."""

import base64
import hashlib
import json

import pytest

from identityserver import jose
from identityserver.models import Subject, UserSession
from identityserver.testing.relying_party import decoded
from identityserver.tokens.keys import key_ring
from tests.speaking import ISSUER, header_of

pytestmark = pytest.mark.django_db


def tokens_of(person, client, **changes):
    return client.redeem(person.browser.authorize(client, **changes).code).succeeds()


class TestClaims:
    """§2."""

    def test_exactly_these(self, clock, alice, web_app):
        tokens = tokens_of(alice, web_app)
        now = int(clock.now().timestamp())
        assert tokens.id_token == {
            "iss": ISSUER,
            "sub": tokens.access_token_claims["sub"],
            "aud": web_app.client_id,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "amr": ["pwd"],
            "at_hash": tokens.id_token["at_hash"],
            "nonce": web_app.nonce,
            "sid": UserSession.objects.get().sid,
        }

    @pytest.mark.parametrize("nonce", ["a b+c%&=#?/é\u2028", "x" * 2000, '"<>'])
    def test_the_nonce_comes_back_as_it_was_sent(self, alice, web_app, nonce):
        assert tokens_of(alice, web_app, nonce=nonce).id_token["nonce"] == nonce

    def test_without_a_nonce_there_is_none(self, alice, web_app):
        assert "nonce" not in tokens_of(alice, web_app, nonce=None).id_token

    def test_a_nonce_that_is_too_long_is_refused_and_never_cut(self, alice, web_app):
        page = alice.browser.authorize(web_app, nonce="x" * 2001)
        assert (page.status, page.location) == (400, "")

    def test_scope_claims_go_to_userinfo(self, alice, web_app):
        """§5.4: where an access token is issued, they are returned from UserInfo."""
        assert not {"name", "email", "preferred_username"} & tokens_of(alice, web_app).id_token.keys()

    def test_a_client_may_have_them_in_here(self, alice, relying_party):
        client = relying_party(always_include_user_claims_in_id_token=True)
        token = tokens_of(alice, client).id_token
        assert (token["name"], token["email"]) == ("Alice Adams", "alice@example.com")

    def test_it_is_of_its_own_type(self, alice, web_app):
        """RFC 8725 §3.11."""
        assert header_of(tokens_of(alice, web_app).members["id_token"])["typ"] == "JWT"


class TestAtHash:
    """§3.1.3.6: the left half of the hash of the access token, by the hash of the signing algorithm."""

    @pytest.mark.parametrize(
        ("algorithm", "sha"),
        [("RS256", "sha256"), ("ES256", "sha256"), ("PS256", "sha256"), ("ES384", "sha384"), ("EdDSA", "sha512")],
    )
    def test_its_value(self, alice, relying_party, algorithm, sha):
        tokens = tokens_of(alice, relying_party(id_token_signed_response_alg=algorithm))
        digest = hashlib.new(sha, tokens.access_token.encode("ascii")).digest()
        half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        assert tokens.id_token["at_hash"] == half
        assert header_of(tokens.members["id_token"])["alg"] == algorithm

    def test_each_token_has_its_own(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        first = tokens_of(alice, client)
        second = client.refresh(first.refresh_token)
        assert first.id_token["at_hash"] != second.id_token["at_hash"]


class TestSignature:
    """§3.1.3.7, §10.1."""

    def test_rs256_is_the_default(self, alice, web_app):
        """§2: every client must understand it."""
        assert header_of(tokens_of(alice, web_app).members["id_token"])["alg"] == "RS256"

    def test_the_published_key_verifies_it(self, alice, web_app):
        token = tokens_of(alice, web_app).members["id_token"]
        assert jose.verify(token, key_ring().verifiers, types=("JWT",)) == decoded(token)

    def test_a_changed_token_is_no_longer_verified(self, alice, web_app):
        header, payload, signature = tokens_of(alice, web_app).members["id_token"].split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "x"}).encode()).rstrip(b"=").decode()
        with pytest.raises(jose.InvalidJws):
            jose.verify(f"{header}.{other}.{signature}", key_ring().verifiers, types=("JWT",))


class TestSubject:
    """§8: never reassigned, and it says nothing about the user."""

    def test_it_is_the_same_everywhere_and_each_time(self, alice, web_app, relying_party):
        first, second = tokens_of(alice, web_app), tokens_of(alice, web_app)
        elsewhere = tokens_of(alice, relying_party())
        userinfo = web_app.userinfo(first.access_token).json()
        subjects = [tokens.id_token["sub"] for tokens in (first, second, elsewhere)]
        assert {*subjects, first.access_token_claims["sub"], userinfo["sub"]} == {subjects[0]}

    def test_it_stays_when_the_user_changes_name_and_address(self, alice, web_app):
        before = tokens_of(alice, web_app).id_token["sub"]
        type(alice.user).objects.update(username="alice2", email="new@example.com")
        assert tokens_of(alice, web_app).id_token["sub"] == before

    def test_it_is_opaque(self, alice, web_app):
        sub = tokens_of(alice, web_app).id_token["sub"]
        assert len(sub) >= 22
        for known in (str(alice.user.pk), alice.username, alice.user.email):
            assert sub != known
            assert sub not in {hashlib.sha256(known.encode()).hexdigest(), hashlib.md5(known.encode()).hexdigest()}  # noqa: S324

    def test_changing_secret_key_changes_no_subject(self, settings, alice, web_app):
        before = tokens_of(alice, web_app).id_token["sub"]
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-for-this-test"
        alice.sign_in()
        assert tokens_of(alice, web_app).id_token["sub"] == before

    def test_users_differ(self, alice, person, web_app):
        assert tokens_of(alice, web_app).id_token["sub"] != tokens_of(person("bob").sign_in(), web_app).id_token["sub"]

    def test_who_takes_the_name_of_a_deleted_user_is_somebody_else(self, alice, person, web_app):
        before = tokens_of(alice, web_app).id_token["sub"]
        alice.user.delete()
        assert tokens_of(person("alice").sign_in(), web_app).id_token["sub"] != before

    def test_an_import_may_set_it_to_keep_what_clients_know(self, alice, web_app):
        Subject.objects.create(user=alice.user, value="auth0|123")
        assert tokens_of(alice, web_app).id_token["sub"] == "auth0|123"

    def test_the_host_may_give_it(self, settings, person, web_app):
        source = f"{__name__}.employee_number"
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "subject_source": source}
        assert tokens_of(person("carol").sign_in(), web_app).id_token["sub"] == "employee-carol"


def employee_number(user):
    """A host's own ``subject_source``."""
    return f"employee-{user.get_username()}"
