"""Discovery and the key set: OpenID Connect Discovery §3 and §4, RFC 8414 §3, RFC 7517 §5."""

import importlib
from types import ModuleType

import pytest
from django.test import Client as HttpClient
from django.urls import include, path, resolve

from identityserver import well_known_urls
from identityserver.models import ApiResource, ApiScope, IdentityResource
from tests.speaking import ISSUER, failing_database

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/openid-configuration/jwks"


def fetch(url=OPENID, **headers):
    response = HttpClient().get(url, headers=headers)
    assert response.status_code == 200, response.content
    return response


def document():
    return fetch().json()


class TestDocument:
    """Discovery §3: what is listed is truly served, and for this issuer."""

    def test_it_has_what_the_specifications_require(self):
        required = {
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        }
        recommended = {"userinfo_endpoint", "scopes_supported", "claims_supported", "end_session_endpoint"}
        assert required | recommended <= document().keys()

    def test_the_issuer_is_the_option_and_never_the_host_header(self, settings):
        settings.ALLOWED_HOSTS = ["*"]
        found = fetch(Host="evil.example").json()
        assert found["issuer"] == ISSUER
        assert "evil" not in str(found)

    def test_every_address_is_served(self):
        found = document()
        addresses = {name: url for name, url in found.items() if name.endswith(("_endpoint", "_uri"))}
        assert len(addresses) >= 5
        for url in addresses.values():
            assert url.startswith(f"{ISSUER}/")
            assert resolve(url.removeprefix(ISSUER))

    def test_oauth_clients_find_the_same_at_their_own_address(self):
        """RFC 8414 §3."""
        assert fetch(OAUTH).json() == document()

    def test_no_slash_and_no_redirect(self):
        assert HttpClient().get(f"{OPENID}/").status_code == 404

    def test_response_types_and_modes(self, alice, web_app):
        found = document()
        assert found["response_types_supported"] == ["code", "code id_token"]
        assert sorted(found["response_modes_supported"]) == ["form_post", "fragment", "query"]
        for mode in found["response_modes_supported"]:
            assert alice.browser.authorize(web_app, response_mode=mode).code

    def test_prompts(self, alice, web_app):
        """Initiating User Registration 1.0 §3: prompt_values_supported."""
        for prompt in document()["prompt_values_supported"]:
            assert alice.browser.authorize(web_app, prompt=prompt).error != "invalid_request"

    def test_pkce(self, alice, web_app):
        """RFC 8414 §2: without it, clients take PKCE for not supported."""
        assert document()["code_challenge_methods_supported"] == ["S256"]

    def test_the_issuer_in_responses(self, alice, web_app):
        """RFC 9207 §3."""
        assert document()["authorization_response_iss_parameter_supported"] is True

    def test_grant_types(self, relying_party):
        """What they are given is good for nothing, which each says in its own way."""
        for grant_type in document()["grant_types_supported"]:
            offline = " offline_access" if grant_type == "refresh_token" else ""
            client = relying_party(
                scopes=f"openid{offline}",
                allowed_grant_types=[*{"authorization_code", grant_type}],
                token_exchange_audiences=["https://api.example"],
            )
            presented = {"code": "x", "refresh_token": "x", "device_code": "x", "subject_token": "x"}
            kind = "urn:ietf:params:oauth:token-type:access_token"
            answer = client.token(grant_type=grant_type, subject_token_type=kind, **presented)
            assert answer.members.get("error", "") in {"", "invalid_grant", "invalid_request"}
            assert "missing" not in answer.members.get("error_description", "")

    def test_client_authentication_methods(self, alice, relying_party):
        for method in document()["token_endpoint_auth_methods_supported"]:
            client = relying_party(token_endpoint_auth_method=method)
            client.redeem(alice.browser.authorize(client).code).succeeds()

    def test_signing_algorithms_have_keys(self):
        found, keys = document(), fetch(JWKS).json()["keys"]
        algorithms = set(found["id_token_signing_alg_values_supported"])
        assert "RS256" in algorithms
        assert algorithms == {key["alg"] for key in keys}

    def test_a_client_may_register_any_of_the_algorithms(self, alice, relying_party):
        for algorithm in document()["id_token_signing_alg_values_supported"]:
            client = relying_party(id_token_signed_response_alg=algorithm)
            assert client.redeem(alice.browser.authorize(client).code).succeeds().id_token

    def test_scopes_and_claims(self):
        found = document()
        assert {"openid", "profile", "email", "offline_access"} <= set(found["scopes_supported"])
        assert {"sub", "name", "email", "email_verified"} <= set(found["claims_supported"])

    def test_what_is_hidden_or_disabled_is_not_listed(self, api):
        ApiScope.objects.filter(name="notes.read").update(show_in_discovery_document=False)
        ApiScope.objects.create(name="payment", parameterised=True)
        IdentityResource.objects.filter(name="phone").update(enabled=False)
        found = document()
        assert not {"notes.read", "phone", "payment"} & set(found["scopes_supported"])
        assert "notes.write" in found["scopes_supported"]
        assert "phone_number" not in found["claims_supported"]

    def test_apis_that_are_addresses_are_protected_resources(self, api):
        """RFC 9728 §4."""
        ApiResource.objects.create(name="plain")
        ApiResource.objects.create(name="https://hidden.example", show_in_discovery_document=False)
        assert document()["protected_resources"] == ["https://api.example"]

    def test_what_is_not_supported_is_said(self):
        found = document()
        assert found["claims_parameter_supported"] is True
        assert found["request_parameter_supported"] is False
        assert found["request_uri_parameter_supported"] is False  # its default would be true


class TestKeySet:
    """RFC 7517 §5."""

    def test_it_has_public_keys_only(self):
        for key in fetch(JWKS).json()["keys"]:
            assert {"kty", "kid", "alg", "use"} <= key.keys()
            assert key["use"] == "sig"
            assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & key.keys()

    def test_its_media_type(self):
        assert fetch(JWKS)["Content-Type"] == "application/jwk-set+json"

    def test_each_kid_is_there_once(self):
        kids = [key["kid"] for key in fetch(JWKS).json()["keys"]]
        assert len(kids) == len(set(kids)) == 2


@pytest.mark.parametrize("url", [OPENID, OAUTH, JWKS])
class TestDelivery:
    """RFC 9110 §8.8.3, RFC 9111 and the Fetch standard: public documents for everybody."""

    def test_it_may_be_kept_for_a_while(self, url):
        assert fetch(url)["Cache-Control"].startswith("public, max-age=")

    def test_who_has_it_gets_304(self, url):
        etag = fetch(url)["ETag"]
        for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            response = HttpClient().get(url, headers={"If-None-Match": known})
            assert (response.status_code, response.content) == (304, b"")
            assert response["ETag"] == etag
            assert "max-age" in response["Cache-Control"]
        assert fetch(url, If_None_Match='"other"').content

    def test_the_etag_changes_with_the_content(self, url, api):
        before = fetch(url)["ETag"]
        IdentityResource.objects.create(name="staff", user_claims=["username"])
        assert (fetch(url)["ETag"] == before) == (url == JWKS)

    def test_head(self, url):
        response = HttpClient().head(url)
        assert (response.status_code, response.content) == (200, b"")
        assert response["ETag"]

    def test_scripts_of_every_origin_may_read_it(self, url):
        assert fetch(url, Origin="https://anywhere.example")["Access-Control-Allow-Origin"] == "*"
        preflight = HttpClient().options(url, headers={"Origin": "https://anywhere.example"})
        assert preflight.status_code == 204
        assert preflight["Access-Control-Allow-Origin"] == "*"

    def test_post_is_405(self, url):
        response = HttpClient().post(url)
        assert response.status_code == 405
        assert "GET" in response["Allow"]

    def test_no_cookie_is_read_or_set(self, url):
        response = fetch(url, Cookie=f"sessionid={'x' * 32}")
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")

    def test_it_is_served_while_the_database_fails(self, url):
        """Rule 26: after the first use, discovery and JWKS still answer."""
        before = fetch(url).content
        with failing_database():
            assert fetch(url).content == before


@pytest.mark.django_db(transaction=True)
class TestWarm:
    """From memory."""

    @pytest.mark.parametrize("url", [OPENID, JWKS])
    def test_a_warm_document_costs_no_query(self, url, django_assert_num_queries):
        fetch(url)
        with django_assert_num_queries(0):
            fetch(url)


class TestIssuerWithAPath:
    """RFC 8414 §3.1 inserts the well-known path; OpenID Connect Discovery §4.1 appends it."""

    @pytest.fixture(autouse=True)
    def mounted_below(self, settings):
        settings.IDENTITYSERVER = {"issuer": f"{ISSUER}/id"}
        root = importlib.reload(well_known_urls)
        urlconf = ModuleType("urlconf")
        urlconf.urlpatterns = [path("id/", include("identityserver.urls")), path("", include(root.urlpatterns))]
        settings.ROOT_URLCONF = urlconf
        yield
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        importlib.reload(well_known_urls)

    @pytest.mark.parametrize("url", [f"/id{OPENID}", f"{OAUTH}/id", f"{OPENID}/id", f"/id{OAUTH}"])
    def test_found_by_either_rule(self, url):
        found = fetch(url).json()
        assert found["issuer"] == f"{ISSUER}/id"
        assert found["token_endpoint"] == f"{ISSUER}/id/connect/token"
        assert found["jwks_uri"] == f"{ISSUER}/id{JWKS}"

    def test_the_keys_are_where_it_says(self):
        url = fetch(f"{OAUTH}/id").json()["jwks_uri"]
        assert fetch(url.removeprefix(ISSUER)).json()["keys"]

    def test_the_whole_flow_works_there(self, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        assert tokens.id_token["iss"] == f"{ISSUER}/id"
        assert web_app.userinfo(tokens.access_token).status_code == 200
