"""JWT access tokens: RFC 9068, with RFC 8725 for how they are signed."""

import uuid

import pytest

from identityserver import jose
from identityserver.models import ApiResource, ApiScope, Grant, UserSession
from identityserver.testing.relying_party import decoded
from identityserver.tokens.keys import key_ring
from tests.speaking import ISSUER, header_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(relying_party, api):
    return relying_party(scopes="openid profile notes.read notes.write")


class TestHeader:
    """RFC 9068 §2.1."""

    def test_the_type_is_at_jwt_so_that_it_is_taken_for_nothing_else(self, alice, client):
        token = client.redeem(alice.browser.authorize(client).code).access_token
        header = header_of(token)
        assert header.keys() == {"alg", "typ", "kid"}
        assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")

    def test_the_published_key_verifies_it(self, alice, client):
        token = client.redeem(alice.browser.authorize(client).code).access_token
        keys = {key["kid"]: key for key in client.http.get("/.well-known/openid-configuration/jwks").json()["keys"]}
        public = keys[header_of(token)["kid"]]
        verifier = jose.Verifier(kid=public["kid"], algorithm=public["alg"], public_jwk=public)
        assert jose.verify(token, {public["kid"]: verifier}, types=("at+jwt",)) == decoded(token)

    def test_an_api_may_need_another_algorithm(self, settings, alice, api, client):
        api.allowed_access_token_signing_algorithms = ["EdDSA", "ES256"]
        api.save()
        assert header_of(client.redeem(alice.browser.authorize(client).code).access_token)["alg"] == "ES256"
        api.allowed_access_token_signing_algorithms = ["EdDSA"]
        api.save()
        token = client.redeem(alice.browser.authorize(client).code).access_token
        assert header_of(token)["alg"] == "EdDSA"
        assert jose.verify(token, key_ring().verifiers, types=("at+jwt",))

    def test_the_server_s_algorithm_is_an_option(self, settings, alice, web_app):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "access_token_signing_algorithm": "ES384"}
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        assert header_of(token)["alg"] == "ES384"
        assert web_app.userinfo(token).status_code == 200


class TestClaims:
    """RFC 9068 §2.2."""

    def test_for_a_user_exactly_these(self, clock, alice, client):
        claims = client.redeem(alice.browser.authorize(client).code).access_token_claims
        now = int(clock.now().timestamp())
        assert claims.pop("jti")
        assert claims.pop("sub") not in ("", "alice", str(alice.user.pk))
        assert claims == {
            "iss": ISSUER,
            "aud": "https://api.example",
            "client_id": client.client_id,
            "iat": now,
            "exp": now + 3600,
            "scope": client.scope,
            "auth_time": now,
            "amr": ["pwd"],
        }

    def test_for_a_client_itself_exactly_these(self, clock, relying_party, api):
        machine = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])
        claims = machine.client_credentials().access_token_claims
        now = int(clock.now().timestamp())
        assert claims.pop("jti")
        assert claims == {
            "iss": ISSUER,
            "sub": machine.client_id,
            "aud": "https://api.example",
            "client_id": machine.client_id,
            "iat": now,
            "exp": now + 3600,
            "scope": "notes.read",
        }

    def test_the_audience_is_the_issuer_where_no_api_is_involved(self, alice, web_app):
        """§3: a default resource indicator."""
        assert web_app.redeem(alice.browser.authorize(web_app).code).access_token_claims["aud"] == ISSUER

    def test_several_apis_are_a_list(self, alice, api, client):
        other = ApiResource.objects.create(name="other")
        other.api_scopes.set(api.api_scopes.filter(name="notes.read"))
        claims = client.redeem(alice.browser.authorize(client).code).access_token_claims
        assert sorted(claims["aud"]) == ["https://api.example", "other"]

    def test_an_api_without_a_granted_scope_is_no_audience(self, alice, client):
        ApiResource.objects.create(name="other").api_scopes.set([ApiScope.objects.create(name="other.read")])
        claims = client.redeem(alice.browser.authorize(client, scope="openid notes.read").code).access_token_claims
        assert claims["aud"] == "https://api.example"

    def test_jti_begins_with_the_grant_and_is_new_each_time(self, alice, relying_party):
        """So that revoking the grant can be seen by its tokens."""
        client = relying_party(scopes="openid offline_access")
        first = client.redeem(alice.browser.authorize(client).code).succeeds()
        second = client.refresh(first.refresh_token).succeeds()
        jtis = [tokens.access_token_claims["jti"] for tokens in (first, second)]
        assert jtis[0] != jtis[1]
        assert {uuid.UUID(jti.partition(".")[0]) for jti in jtis} == {Grant.objects.get().pk}

    def test_what_the_apis_want_to_know_about_the_user_is_in_it(self, alice, api, client):
        ApiScope.objects.filter(name="notes.read").update(user_claims=["email"])
        api.user_claims = ["name"]
        api.save()
        read = client.redeem(alice.browser.authorize(client, scope="openid notes.read").code).access_token_claims
        write = client.redeem(alice.browser.authorize(client, scope="openid notes.write").code).access_token_claims
        assert (read["email"], read["name"]) == ("alice@example.com", "Alice Adams")
        assert (write.get("email"), write["name"]) == (None, "Alice Adams")

    def test_identity_scopes_put_nothing_in_it(self, alice, web_app):
        """Scope claims go to UserInfo; an API is told only what it asks for."""
        claims = web_app.redeem(alice.browser.authorize(web_app).code).access_token_claims
        assert not {"name", "email", "preferred_username"} & claims.keys()

    def test_an_api_cannot_ask_for_the_server_s_own_claims(self, alice, api, client):
        api.user_claims = ["iss", "sub", "scope", "client_id", "cnf", "act"]
        api.save()
        claims = client.redeem(alice.browser.authorize(client).code).access_token_claims
        assert claims["iss"] == ISSUER
        assert not {"cnf", "act"} & claims.keys()

    def test_how_the_user_authenticated_is_as_of_the_grant(self, clock, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        first = client.redeem(alice.browser.authorize(client).code).succeeds()
        clock.forward(minutes=5)
        UserSession.objects.get().reauthenticated(amr=("otp",))
        second = client.refresh(first.refresh_token).access_token_claims
        assert second["auth_time"] == first.access_token_claims["auth_time"]
        assert second["amr"] == ["pwd"]
