"""A client that acts for itself: RFC 6749 §4.4."""

import pytest

from identityserver.models import ApiResource, ApiScope, Grant, IdentityResource
from tests.speaking import ISSUER, stored_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine(relying_party, api):
    return relying_party(scopes="openid notes.read notes.write", allowed_grant_types=["client_credentials"])


class TestScope:
    """§4.4.2, §3.3."""

    def test_without_a_scope_the_client_gets_all_that_it_may_have(self, machine):
        """§3.3: a pre-defined default."""
        assert set(machine.client_credentials().succeeds().members["scope"].split()) == {"notes.read", "notes.write"}

    def test_it_gets_what_it_asks_for(self, machine):
        tokens = machine.client_credentials(scope="notes.write").succeeds()
        assert tokens.members["scope"] == tokens.access_token_claims["scope"] == "notes.write"

    @pytest.mark.parametrize("scope", ["openid", "openid notes.read", "offline_access", "profile"])
    def test_identity_scopes_need_a_user(self, machine, scope):
        machine.client_credentials(scope=scope).fails_with("invalid_scope")

    def test_offline_access_needs_a_user_even_where_the_client_has_it(self, relying_party, api):
        client = relying_party(
            scopes="notes.read offline_access", allowed_grant_types=["client_credentials", "refresh_token"]
        )
        client.client_credentials(scope="notes.read offline_access").fails_with("invalid_scope")
        assert client.client_credentials().succeeds().members["scope"] == "notes.read"

    @pytest.mark.parametrize("scope", ["unknown", "notes.read unknown", "NOTES.READ"])
    def test_an_unknown_scope_is_refused(self, machine, scope):
        machine.client_credentials(scope=scope).fails_with("invalid_scope")

    def test_a_scope_of_other_clients_is_refused(self, machine):
        ApiScope.objects.create(name="admin")
        machine.client_credentials(scope="admin").fails_with("invalid_scope")

    def test_a_disabled_scope_is_refused(self, machine):
        ApiScope.objects.filter(name="notes.write").update(enabled=False)
        machine.client_credentials(scope="notes.write").fails_with("invalid_scope")
        assert machine.client_credentials().succeeds().members["scope"] == "notes.read"

    def test_a_scope_that_needs_a_user_s_permission_is_refused(self, machine):
        ApiScope.objects.filter(name="notes.write").update(requires_permission="auth.change_group")
        machine.client_credentials(scope="notes.write").fails_with("invalid_scope")
        assert machine.client_credentials().succeeds().members["scope"] == "notes.read"

    def test_a_scope_with_a_value_is_asked_for_by_it(self, relying_party):
        ApiScope.objects.create(name="payment", parameterised=True)
        client = relying_party(scopes="payment", allowed_grant_types=["client_credentials"])
        assert client.client_credentials(scope="payment:7").succeeds().members["scope"] == "payment:7"
        assert client.client_credentials().succeeds().members["scope"] == ""


class TestResponse:
    """§4.4.3: no refresh token; RFC 9068 §2.2: the client is the subject."""

    def test_there_is_an_access_token_and_nothing_else(self, machine):
        assert machine.client_credentials().members.keys() == {"access_token", "token_type", "expires_in", "scope"}

    def test_the_client_is_the_subject_and_no_user_is_mentioned(self, machine):
        claims = machine.client_credentials().access_token_claims
        assert claims["sub"] == claims["client_id"] == machine.client_id
        assert not {"auth_time", "acr", "amr", "sid", "nonce"} & claims.keys()

    def test_nothing_is_written(self, machine):
        before = stored_rows()
        machine.client_credentials().succeeds()
        assert stored_rows() == before
        assert Grant.objects.count() == 0

    def test_its_token_opens_no_user_information(self, machine):
        response = machine.userinfo(machine.client_credentials().access_token)
        assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")


class TestFixedClaims:
    """Claims of the client itself, by a prefix that cannot collide."""

    def test_they_are_in_its_own_tokens(self, relying_party, api):
        client = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], claims={"tenant": "t1", "limits": [1, 2]}
        )
        claims = client.client_credentials().access_token_claims
        assert (claims["client_tenant"], claims["client_limits"]) == ("t1", [1, 2])

    def test_and_in_tokens_of_users_only_where_the_client_says_so(self, alice, relying_party):
        for always in (False, True):
            client = relying_party(claims={"tenant": "t1"}, always_send_client_claims=always)
            claims = client.redeem(alice.browser.authorize(client).code).access_token_claims
            assert ("client_tenant" in claims) == always

    def test_they_never_replace_what_the_server_says(self, relying_party, api):
        client = relying_party(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            client_claims_prefix="",
            claims={"iss": "https://evil.example", "sub": "alice", "scope": "admin", "exp": 9999999999, "plan": "gold"},
        )
        claims = client.client_credentials().access_token_claims
        assert (claims["iss"], claims["sub"], claims["scope"]) == (ISSUER, client.client_id, "notes.read")
        assert claims["exp"] - claims["iat"] == 3600
        assert claims["plan"] == "gold"


class TestWho:
    """§4.4: MUST only be used by confidential clients."""

    def test_a_public_client_cannot_be_allowed_to(self, relying_party):
        with pytest.raises(Exception, match="Client credentials need a client that authenticates"):
            relying_party(token_endpoint_auth_method="none", allowed_grant_types=["client_credentials"])

    def test_and_a_row_that_says_otherwise_is_not_served(self, relying_party, api):
        client = relying_party(scopes="notes.read", token_endpoint_auth_method="none")
        type(client.row).objects.update(allowed_grant_types=["client_credentials"])
        assert "access_token" not in client.client_credentials().members

    def test_identity_resources_that_are_disabled_change_nothing(self, machine):
        IdentityResource.objects.update(enabled=False)
        machine.client_credentials().succeeds()


class TestResourceIndicators:
    """RFC 8707 §2."""

    def test_the_audience_is_every_api_of_the_scopes(self, machine, api):
        other = ApiResource.objects.create(name="https://other.example")
        other.api_scopes.set(api.api_scopes.filter(name="notes.read"))
        claims = machine.client_credentials(scope="notes.read").access_token_claims
        assert set(claims["aud"]) == {"https://api.example", "https://other.example"}

    def test_a_resource_narrows_it(self, machine, api):
        other = ApiResource.objects.create(name="https://other.example")
        other.api_scopes.set(api.api_scopes.all())
        claims = machine.client_credentials(resource="https://other.example").access_token_claims
        assert claims["aud"] == "https://other.example"

    @pytest.mark.parametrize(
        "resource", ["https://unknown.example", "x", "https://api.example/", "HTTPS://API.EXAMPLE"]
    )
    def test_an_unknown_resource_is_an_invalid_target(self, machine, resource):
        machine.client_credentials(resource=resource).fails_with("invalid_target")

    def test_a_resource_without_one_of_the_scopes_is_an_invalid_target(self, machine):
        ApiResource.objects.create(name="https://other.example")
        machine.client_credentials(resource="https://other.example").fails_with("invalid_target")
