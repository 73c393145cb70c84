"""Resource indicators: RFC 8707."""

from urllib.parse import urlencode

import pytest

from identityserver.models import ApiResource, ApiScope
from identityserver.testing.relying_party import basic
from tests.speaking import ISSUER, token_request

pytestmark = pytest.mark.django_db

NOTES, FILES, VAULT = "https://api.example", "https://files.example", "https://vault.example"


@pytest.fixture
def client(relying_party, api):
    """A client of three APIs with the same scopes, of which one is isolated."""
    for name, isolated in ((FILES, False), (VAULT, True)):
        resource = ApiResource.objects.create(name=name, require_resource_indicator=isolated)
        resource.api_scopes.set(api.api_scopes.all())
    return relying_party(scopes="openid notes.read notes.write offline_access")


def authorize(person, client, *resources, **changes):
    extra = "".join(f"&{urlencode({'resource': resource})}" for resource in resources)
    return person.browser.open(client.authorization_url(**changes) + extra)


def audience(tokens):
    aud = tokens.succeeds().access_token_claims["aud"]
    return {aud} if isinstance(aud, str) else set(aud)


class TestAuthorizationRequest:
    """§2.1."""

    def test_without_one_the_audience_is_every_api_that_is_not_isolated(self, alice, client):
        assert audience(client.redeem(authorize(alice, client).code)) == {NOTES, FILES}

    def test_one_narrows_the_audience(self, alice, client):
        assert audience(client.redeem(authorize(alice, client, FILES).code)) == {FILES}

    def test_several_may_be_named(self, alice, client):
        assert audience(client.redeem(authorize(alice, client, FILES, VAULT).code)) == {FILES, VAULT}

    def test_an_isolated_api_appears_only_when_it_is_named(self, alice, client):
        assert audience(client.redeem(authorize(alice, client, VAULT).code)) == {VAULT}

    @pytest.mark.parametrize("resource", ["https://unknown.example", "x", f"{NOTES}#fragment", f"{NOTES}/"])
    def test_an_unknown_one_is_an_invalid_target(self, alice, client, resource):
        page = authorize(alice, client, resource)
        assert page.error == "invalid_target"
        assert page.parameters["state"] == client.state

    def test_one_without_any_of_the_scopes_is_an_invalid_target(self, alice, client):
        assert authorize(alice, client, NOTES, scope="openid").error == "invalid_target"

    def test_a_disabled_api_is_unknown(self, alice, client):
        ApiResource.objects.filter(name=FILES).update(enabled=False)
        assert authorize(alice, client, FILES).error == "invalid_target"
        assert audience(client.redeem(authorize(alice, client).code)) == {NOTES}

    def test_they_survive_the_pages(self, person, client):
        type(client.row).objects.update(require_consent=True)
        bob = person("bob")
        page = authorize(bob, client, FILES, VAULT).sign_in(bob.username, bob.password).allow()
        assert audience(client.redeem(page.code)) == {FILES, VAULT}

    def test_an_api_whose_scopes_the_user_left_out_is_no_audience(self, alice, client):
        type(client.row).objects.update(require_consent=True)
        page = authorize(alice, client, FILES).allow("openid")
        assert audience(client.redeem(page.code)) == {ISSUER}


class TestTokenRequest:
    """§2.2: one token for each API, all from one grant."""

    def test_a_code_may_be_redeemed_for_one_of_them(self, alice, client):
        tokens = client.redeem(authorize(alice, client, NOTES, FILES).code, resource=NOTES)
        assert audience(tokens) == {NOTES}
        assert audience(client.refresh(tokens.refresh_token, resource=FILES)) == {FILES}
        assert audience(client.refresh(tokens.refresh_token)) == {NOTES, FILES}

    @pytest.mark.parametrize("resource", [VAULT, "https://unknown.example"])
    def test_but_for_none_that_was_not_granted(self, alice, client, resource):
        code = authorize(alice, client, NOTES, FILES).code
        client.redeem(code, resource=resource).fails_with("invalid_target")
        tokens = client.redeem(code).succeeds()
        client.refresh(tokens.refresh_token, resource=resource).fails_with("invalid_target")

    def test_the_access_token_has_no_scope_of_another_api(self, alice, api, relying_party):
        """§2.2: narrowed with the audience; the refresh token keeps all of them."""
        files = ApiResource.objects.create(name=FILES)
        files.api_scopes.set([ApiScope.objects.create(name="files.read")])
        client = relying_party(scopes="openid notes.read files.read offline_access")
        tokens = client.redeem(authorize(alice, client).code, resource=FILES).succeeds()
        assert tokens.access_token_claims["scope"] == "openid files.read offline_access"
        assert tokens.members["scope"] == "openid files.read offline_access"
        refreshed = client.refresh(tokens.refresh_token, resource=NOTES)
        assert refreshed.members["scope"] == "openid notes.read offline_access"

    def test_the_parameter_may_be_repeated(self, client, alice):
        form = [
            ("grant_type", "authorization_code"),
            ("code", authorize(alice, client).code),
            ("redirect_uri", client.redirect_uri),
            ("code_verifier", client.verifier),
            ("resource", NOTES),
            ("resource", FILES),
        ]
        tokens = token_request(form, {"Authorization": basic(client.client_id, client.secret)})
        assert audience(tokens) == {NOTES, FILES}
