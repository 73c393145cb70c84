"""Hybrid and implicit flows: OpenID Connect Core §3.2, §3.3, RFC 6749 §4.2, Multiple Response Types."""

import base64
import hashlib

import pytest
from django.core.exceptions import ValidationError

from identityserver.models import AuthorizationCode, Grant, ReferenceToken, RefreshToken
from identityserver.testing.relying_party import decoded
from tests.speaking import ISSUER, header_of

pytestmark = pytest.mark.django_db

EVERY = ["code", "id_token", "token", "code id_token", "code token", "id_token token", "code id_token token"]


def left_half(value: str) -> str:
    """Of its SHA-256, which belongs to RS256."""
    digest = hashlib.sha256(value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


@pytest.fixture
def implicit(settings):
    """The deployment serves every response type."""
    settings.IDENTITYSERVER = {"issuer": ISSUER, "optional_grant_types": ["implicit"]}


@pytest.fixture
def hybrid_app(relying_party):
    """A client that may use the code and the hybrid flow."""
    return relying_party(response_types=["code", "code id_token"])


@pytest.fixture
def everything(implicit, relying_party):
    """A client that may use every flow."""
    return relying_party(
        scopes="openid profile email offline_access",
        response_types=EVERY,
        allowed_grant_types=["authorization_code", "refresh_token", "implicit"],
        allow_access_tokens_via_browser=True,
    )


class TestWhoMay:
    """Off by default, for the server and for each client."""

    @pytest.mark.parametrize("response_type", ["id_token", "token", "id_token token", "code token"])
    def test_what_gives_tokens_to_browsers_is_served_only_where_the_option_says_so(
        self, alice, relying_party, response_type
    ):
        client = relying_party(response_types=EVERY, allow_access_tokens_via_browser=True)
        assert alice.browser.authorize(client, response_type=response_type).error == "unsupported_response_type"

    def test_discovery_tells_what_is_served(self, client):
        document = client.get("/.well-known/openid-configuration").json()
        assert document["response_types_supported"] == ["code", "code id_token"]
        assert "implicit" not in document["grant_types_supported"]

    def test_and_all_of_it(self, implicit, client):
        document = client.get("/.well-known/openid-configuration").json()
        assert sorted(document["response_types_supported"]) == sorted(EVERY)
        assert "implicit" in document["grant_types_supported"]

    @pytest.mark.parametrize("response_type", EVERY[1:])
    def test_a_client_must_have_registered_it(self, implicit, alice, relying_party, response_type):
        client = relying_party(
            allowed_grant_types=["authorization_code", "implicit"], allow_access_tokens_via_browser=True
        )
        assert alice.browser.authorize(client, response_type=response_type).error == "unauthorized_client"

    @pytest.mark.parametrize("response_type", ["token", "id_token token", "code token", "code id_token token"])
    def test_access_tokens_for_browsers_need_their_own_switch(self, implicit, alice, relying_party, response_type):
        grant_types = ["authorization_code", "implicit"]
        client = relying_party(response_types=EVERY, allowed_grant_types=grant_types)
        assert alice.browser.authorize(client, response_type=response_type).error == "unauthorized_client"

    def test_the_implicit_flow_needs_its_grant_type(self, implicit, alice, relying_party):
        client = relying_party(response_types=EVERY)
        assert alice.browser.authorize(client, response_type="id_token").error == "unauthorized_client"

    def test_there_is_nothing_implicit_at_the_token_endpoint(self, everything):
        everything.token(grant_type="implicit").fails_with("unsupported_grant_type")

    def test_an_unknown_response_type_cannot_be_registered(self, relying_party):
        with pytest.raises(ValidationError, match="response_types"):
            relying_party(response_types=["code", "magic"])


class TestRequest:
    """§3.2.2.1, §3.3.2.1."""

    @pytest.mark.parametrize("response_type", ["id_token", "code id_token", "id_token token", "code id_token token"])
    def test_an_id_token_for_the_browser_needs_a_nonce(self, everything, alice, response_type):
        page = alice.browser.authorize(everything, response_type=response_type, nonce=None)
        assert page.error == "invalid_request"
        assert "nonce" in page.parameters["error_description"]

    def test_an_id_token_needs_openid(self, everything, alice):
        page = alice.browser.authorize(everything, response_type="code id_token", scope="profile")
        assert page.error == "invalid_request"

    @pytest.mark.parametrize("response_type", EVERY[1:])
    def test_tokens_never_go_into_a_query(self, everything, alice, response_type):
        """Multiple Response Types §3: an error then, and not in the query either."""
        page = alice.browser.authorize(everything, response_type=response_type, response_mode="query")
        assert page.error == "invalid_request"
        assert "#" in page.location
        assert "?" not in page.location

    def test_errors_go_where_the_tokens_would(self, everything, alice):
        page = alice.browser.authorize(everything, response_type="id_token", scope="openid unknown")
        assert page.error == "invalid_scope"
        assert page.location.startswith(f"{everything.redirect_uri}#")

    def test_the_order_of_the_words_means_nothing(self, everything, alice):
        """RFC 6749 §3.1.1."""
        answer = alice.browser.authorize(everything, response_type="id_token code").parameters
        assert {"code", "id_token"} <= answer.keys()

    def test_a_code_needs_its_challenge_here_too(self, everything, alice):
        changes = {"code_challenge": None, "code_challenge_method": None}
        assert alice.browser.authorize(everything, response_type="code id_token", **changes).error == "invalid_request"

    def test_without_a_code_no_challenge_is_needed(self, everything, alice):
        changes = {"code_challenge": None, "code_challenge_method": None}
        assert "id_token" in alice.browser.authorize(everything, response_type="id_token", **changes).parameters

    def test_prompt_none_works(self, everything, alice, person):
        assert "id_token" in alice.browser.authorize(everything, response_type="id_token", prompt="none").parameters
        stranger = person("bob").browser.authorize(everything, response_type="id_token", prompt="none")
        assert stranger.error == "login_required"


class TestResponse:
    """§3.2.2.5, §3.3.2.5."""

    @pytest.mark.parametrize("response_type", EVERY)
    def test_it_has_what_was_asked_for_and_nothing_else(self, everything, alice, response_type):
        answer = alice.browser.authorize(everything, response_type=response_type).parameters
        words = response_type.split()
        expected = {"state", "iss"} | ({"code"} & set(words)) | ({"id_token"} & set(words))
        if "token" in words:
            expected |= {"access_token", "token_type", "expires_in", "scope"}
        assert answer.keys() == expected
        assert (answer["state"], answer["iss"]) == (everything.state, ISSUER)

    @pytest.mark.parametrize("response_type", EVERY[1:])
    def test_it_is_in_the_fragment(self, everything, alice, response_type):
        location = alice.browser.authorize(everything, response_type=response_type).location
        assert location.startswith(f"{everything.redirect_uri}#")

    def test_or_in_a_form_if_so_asked(self, everything, alice):
        page = alice.browser.authorize(everything, response_type="code id_token", response_mode="form_post")
        assert {"code", "id_token"} <= page.parameters.keys()
        assert page.location == ""

    def test_the_access_token_is_good_at_userinfo(self, everything, alice):
        answer = alice.browser.authorize(everything, response_type="token", scope="openid email").parameters
        assert answer["token_type"] == "Bearer"
        assert everything.userinfo(answer["access_token"]).json()["email"] == "alice@example.com"

    def test_reference_tokens_are_given_to_browsers_too(self, everything, alice):
        everything.row.access_token_type = "reference"
        everything.row.save()
        answer = alice.browser.authorize(everything, response_type="token", scope="openid email").parameters
        assert ReferenceToken.objects.count() == 1
        assert everything.userinfo(answer["access_token"]).json()["email"] == "alice@example.com"

    def test_the_code_of_a_hybrid_response_is_redeemed_as_any_other(self, hybrid_app, alice):
        answer = alice.browser.authorize(hybrid_app, response_type="code id_token").parameters
        tokens = hybrid_app.redeem(answer["code"]).succeeds()
        front, back = decoded(answer["id_token"]), tokens.id_token
        assert (front["iss"], front["sub"], front["nonce"]) == (back["iss"], back["sub"], back["nonce"])
        assert Grant.objects.count() == 1

    def test_redeeming_it_twice_revokes_the_token_of_the_browser(self, everything, alice):
        answer = alice.browser.authorize(everything, response_type="code token").parameters
        everything.redeem(answer["code"]).succeeds()
        everything.redeem(answer["code"]).fails_with("invalid_grant")
        assert everything.userinfo(answer["access_token"]).status_code == 401

    @pytest.mark.parametrize("response_type", ["token", "id_token", "id_token token"])
    def test_offline_access_is_ignored_without_a_code(self, everything, alice, response_type):
        """§11."""
        alice.browser.authorize(everything, response_type=response_type)
        assert "offline_access" not in Grant.objects.get().scopes
        assert not RefreshToken.objects.exists()
        assert not AuthorizationCode.objects.exists()

    def test_refusing_gives_no_token(self, implicit, alice, relying_party):
        client = relying_party(response_types=["code id_token"], require_consent=True)
        page = alice.browser.authorize(client, response_type="code id_token").deny()
        assert page.error == "access_denied"
        assert "id_token" not in page.parameters


class TestIdToken:
    """§3.2.2.10, §3.3.2.11."""

    def test_it_holds_the_hashes_of_what_comes_with_it(self, everything, alice):
        answer = alice.browser.authorize(everything, response_type="code id_token token").parameters
        claims = decoded(answer["id_token"])
        assert claims["at_hash"] == left_half(answer["access_token"])
        assert claims["c_hash"] == left_half(answer["code"])
        assert claims["s_hash"] == left_half(everything.state)
        assert header_of(answer["id_token"])["alg"] == "RS256"

    @pytest.mark.parametrize(
        ("response_type", "hashes"),
        [
            ("id_token", {"s_hash"}),
            ("code id_token", {"c_hash", "s_hash"}),
            ("id_token token", {"at_hash", "s_hash"}),
        ],
    )
    def test_and_of_nothing_else(self, everything, alice, response_type, hashes):
        claims = decoded(alice.browser.authorize(everything, response_type=response_type).parameters["id_token"])
        assert {"at_hash", "c_hash", "s_hash"} & claims.keys() == hashes

    def test_without_a_state_it_has_no_hash_of_one(self, hybrid_app, alice):
        answer = alice.browser.authorize(hybrid_app, response_type="code id_token", state=None).parameters
        assert "s_hash" not in decoded(answer["id_token"])

    def test_it_says_all_that_the_scopes_stand_for_where_no_access_token_will(self, everything, alice):
        """§5.4."""
        claims = decoded(alice.browser.authorize(everything, response_type="id_token").parameters["id_token"])
        assert (claims["name"], claims["email"]) == ("Alice Adams", "alice@example.com")

    @pytest.mark.parametrize("response_type", ["code id_token", "id_token token"])
    def test_and_leaves_it_to_userinfo_otherwise(self, everything, alice, response_type):
        claims = decoded(alice.browser.authorize(everything, response_type=response_type).parameters["id_token"])
        assert not {"name", "email"} & claims.keys()

    def test_it_is_for_this_client_in_this_session(self, hybrid_app, alice):
        claims = decoded(alice.browser.authorize(hybrid_app, response_type="code id_token").parameters["id_token"])
        assert (claims["aud"], claims["nonce"]) == (hybrid_app.client_id, hybrid_app.nonce)
        assert claims["sid"]
