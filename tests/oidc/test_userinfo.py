"""UserInfo: OpenID Connect Core §5.3, RFC 6750."""

from urllib.parse import urlencode

import pytest
from django.test import Client as HttpClient

from identityserver import jose
from identityserver.models import Grant
from identityserver.testing.relying_party import FORM
from identityserver.tokens.keys import key_ring
from tests.speaking import ISSUER, failing_database, header_of, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def tokens(alice, web_app):
    """What a client got for Alice."""
    return web_app.redeem(alice.browser.authorize(web_app).code).succeeds()


def ask(method="get", body=None, content_type=FORM, query="", **headers):
    http = HttpClient(raise_request_exception=False)
    url = url_of("userinfo") + query
    if method == "get":
        return http.get(url, headers=headers)
    return http.post(url, urlencode(body or {}), content_type=content_type, headers=headers)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def refused(response, status, error):
    assert response.status_code == status, response.content
    assert response.json()["error"] == error
    assert f'error="{error}"' in response["WWW-Authenticate"]
    assert "no-store" in response["Cache-Control"]
    return True


class TestRequest:
    """§5.3.1; RFC 6750 §2."""

    def test_get_with_the_token_in_the_header(self, tokens):
        response = ask(**bearer(tokens.access_token))
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_the_scheme_has_no_case(self, tokens, scheme):
        assert ask(Authorization=f"{scheme} {tokens.access_token}").status_code == 200

    def test_post_with_the_token_in_the_header(self, tokens):
        assert ask("post", **bearer(tokens.access_token)).status_code == 200

    def test_post_with_the_token_in_the_body(self, tokens):
        """RFC 6750 §2.2."""
        assert ask("post", {"access_token": tokens.access_token}).status_code == 200

    def test_a_body_of_another_type_is_415(self, tokens):
        body = {"access_token": tokens.access_token}
        assert ask("post", body, content_type="application/json").status_code == 415

    def test_the_token_in_two_places_is_refused(self, tokens):
        """RFC 6750 §2: clients MUST NOT use more than one method."""
        response = ask("post", {"access_token": tokens.access_token}, **bearer(tokens.access_token))
        assert refused(response, 400, "invalid_request")

    def test_the_token_in_the_query_is_refused(self, tokens):
        """RFC 9700 §4.3.2."""
        query = f"?access_token={tokens.access_token}"
        assert refused(ask(query=query), 400, "invalid_request")
        assert refused(ask(query=query, **bearer(tokens.access_token)), 400, "invalid_request")

    def test_another_method_is_405(self, tokens):
        response = HttpClient().delete(url_of("userinfo"), headers=bearer(tokens.access_token))
        assert response.status_code == 405
        assert response.json()["error"] == "invalid_request"

    def test_without_a_token_the_answer_names_the_scheme_and_no_error(self):
        """RFC 6750 §3.1: the resource server SHOULD NOT include an error code."""
        for response in (ask(), ask(Authorization="Basic eDp5")):
            assert response.status_code == 401
            assert response["WWW-Authenticate"] == 'Bearer realm="userinfo"'


class TestToken:
    """RFC 6750 §3.1, RFC 9068 §4."""

    @pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "e30.e30.e30", "x" * 3000])
    def test_what_is_no_token_is_invalid(self, web_app, token):
        assert refused(web_app.userinfo(token), 401, "invalid_token")

    def test_an_id_token_is_none(self, web_app, tokens):
        assert refused(web_app.userinfo(tokens.members["id_token"]), 401, "invalid_token")

    def test_a_changed_token_is_invalid(self, web_app, tokens):
        header, payload, signature = tokens.access_token.split(".")
        for changed in (f"{header}.{payload}.{signature[:-4]}AAAA", f"{header}.{payload}."):
            assert refused(web_app.userinfo(changed), 401, "invalid_token")

    def test_an_expired_token_is_invalid(self, clock, alice, web_app):
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        clock.forward(seconds=3599)
        assert web_app.userinfo(token).status_code == 200
        clock.forward(seconds=1)
        assert refused(web_app.userinfo(token), 401, "invalid_token")

    def test_a_token_of_another_issuer_is_invalid(self, settings, web_app, tokens):
        """Of a site that shares our keys, such as one that has moved."""
        settings.IDENTITYSERVER = {"issuer": "https://new.example"}
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_token_without_openid_is_of_insufficient_scope(self, alice, api, relying_party):
        client = relying_party(scopes="notes.read")
        token = client.redeem(alice.browser.authorize(client).code).access_token
        assert refused(client.userinfo(token), 403, "insufficient_scope")

    def test_a_token_for_an_api_serves_here_too_if_openid_was_granted(self, alice, api, relying_party):
        client = relying_party(scopes="openid notes.read")
        token = client.redeem(alice.browser.authorize(client).code).access_token
        assert client.userinfo(token).status_code == 200

    def test_a_revoked_grant_ends_it(self, web_app, tokens):
        Grant.objects.get().revoke("by an administrator")
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_disabled_user_ends_it(self, alice, web_app, tokens):
        type(alice.user).objects.update(is_active=False)
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_deleted_user_ends_it(self, alice, web_app, tokens):
        alice.user.delete()
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_disabled_client_ends_it(self, web_app, tokens):
        type(web_app.row).objects.update(enabled=False)
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_changed_password_ends_it(self, alice, web_app, tokens):
        alice.user.set_password("another one")
        alice.user.save()
        assert refused(web_app.userinfo(tokens.access_token), 401, "invalid_token")

    def test_a_failing_database_is_no_verdict_on_the_token(self, web_app, tokens):
        with failing_database():
            response = web_app.userinfo(tokens.access_token)
        assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
        assert response["Retry-After"]
        assert web_app.userinfo(tokens.access_token).status_code == 200


class TestResponse:
    """§5.3.2, §5.4."""

    def test_sub_and_the_claims_of_the_scopes(self, web_app, tokens):
        assert web_app.userinfo(tokens.access_token).json() == {
            "sub": tokens.id_token["sub"],
            "name": "Alice Adams",
            "given_name": "Alice",
            "family_name": "Adams",
            "preferred_username": "alice",
            "email": "alice@example.com",
        }

    def test_only_of_the_scopes_that_were_granted(self, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app, scope="openid email").code)
        assert web_app.userinfo(tokens.access_token).json().keys() == {"sub", "email"}

    def test_only_of_the_scopes_of_this_very_token(self, alice, relying_party):
        client = relying_party(scopes="openid email offline_access")
        first = client.redeem(alice.browser.authorize(client).code)
        narrow = client.refresh(first.refresh_token, scope="openid")
        assert client.userinfo(narrow.access_token).json().keys() == {"sub"}

    def test_a_claim_without_a_value_is_left_out(self, person, web_app):
        """§5.3.2: SHOULD be omitted, not null or empty."""
        bob = person("bob").sign_in()
        tokens = web_app.redeem(bob.browser.authorize(web_app).code)
        assert web_app.userinfo(tokens.access_token).json().keys() == {"sub", "preferred_username"}

    def test_it_is_as_of_now(self, alice, web_app, tokens):
        type(alice.user).objects.update(email="new@example.com")
        assert web_app.userinfo(tokens.access_token).json()["email"] == "new@example.com"

    def test_an_identity_resource_taken_from_the_client_gives_nothing_more(self, web_app, tokens):
        web_app.row.identity_resources.remove(web_app.row.identity_resources.get(name="email"))
        assert "email" not in web_app.userinfo(tokens.access_token).json()


class TestSigned:
    """OpenID Connect Core §5.3.2: signed where the client registered an algorithm for it."""

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "PS256", "EdDSA"])
    def test_it_is_a_jwt_for_the_client(self, alice, relying_party, algorithm):
        client = relying_party(userinfo_signed_response_alg=algorithm)
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        response = client.userinfo(tokens.access_token)
        assert response["Content-Type"] == "application/jwt"
        assert "no-store" in response["Cache-Control"]
        signed = response.content.decode()
        claims = jose.verify(signed, key_ring().verifiers, types=["userinfo+jwt"])
        assert header_of(signed)["alg"] == algorithm
        assert (claims["iss"], claims["aud"]) == (ISSUER, client.client_id)
        assert (claims["sub"], claims["email"]) == (tokens.id_token["sub"], "alice@example.com")

    def test_nobody_takes_it_for_an_id_token(self, alice, relying_party):
        """RFC 8725 §3.11."""
        client = relying_party(userinfo_signed_response_alg="RS256")
        token = client.redeem(alice.browser.authorize(client).code).succeeds().access_token
        signed = client.userinfo(token).content.decode()
        assert alice.browser.authorize(client, id_token_hint=signed).error == "invalid_request"
        assert client.userinfo(signed).status_code == 401

    def test_errors_are_not_signed(self, relying_party):
        client = relying_party(userinfo_signed_response_alg="RS256")
        response = client.userinfo("nonsense")
        assert response["Content-Type"] == "application/json"
        assert response.json()["error"] == "invalid_token"

    def test_discovery_lists_the_algorithms_of_the_keys(self, client, signing_keys):
        document = client.get("/.well-known/openid-configuration").json()
        assert set(document["userinfo_signing_alg_values_supported"]) == {"ES256", "RS256"}
