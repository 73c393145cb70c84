"""What a policy forbids stays forbidden when rows, groups, scopes and keys change around it."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from identityserver import caching
from identityserver.models import (
    ApiResource,
    ApiScope,
    AuthorizationCode,
    AuthorizationRequest,
    Event,
    Grant,
    SigningKey,
)
from identityserver.testing.relying_party import FORM
from identityserver.tokens import issue, keys
from tests.speaking import url_of

pytestmark = pytest.mark.django_db


class TestGroups:
    """A client for the members of some groups."""

    @pytest.fixture
    def staff(self, alice):
        group = Group.objects.create(name="staff")
        alice.user.groups.add(group)
        return group

    @pytest.fixture
    def client(self, relying_party, staff):
        client = relying_party(scopes="openid offline_access")
        client.row.allowed_groups.set([staff])
        return client

    def test_deleting_the_last_group_opens_it_to_nobody(self, alice, client, staff):
        assert alice.browser.authorize(client).code
        staff.delete()
        assert alice.browser.authorize(client).error == "access_denied"

    def test_taking_the_groups_away_by_hand_opens_it(self, person, client):
        client.row.allowed_groups.clear()
        assert person("bob").sign_in().browser.authorize(client).code

    def test_who_leaves_the_group_gets_no_new_tokens(self, alice, client):
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        code = alice.browser.authorize(client).code
        alice.user.groups.clear()
        client.redeem(code).fails_with("invalid_grant")
        client.refresh(tokens.refresh_token).fails_with("invalid_grant")


class TestScopes:
    def test_a_scope_with_a_value_does_not_stand_for_a_scope_of_its_own(self, alice, relying_party):
        """``payment:admin`` has a permission of its own, whatever ``payment`` allows."""
        ApiScope.objects.create(name="payment", parameterised=True)
        ApiScope.objects.create(name="payment:admin", requires_permission="auth.delete_user")
        client = relying_party(scopes="openid payment")
        assert alice.browser.authorize(client, scope="openid payment:admin").error == "invalid_scope"
        assert alice.browser.authorize(client, scope="openid payment:17").location

    def test_a_scope_of_an_isolated_api_is_in_no_other_token(self, alice, relying_party):
        bank = ApiResource.objects.create(name="https://bank.example", require_resource_indicator=True)
        bank.api_scopes.set([ApiScope.objects.create(name="transfer")])
        client = relying_party(scopes="openid transfer")
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        assert tokens.access_token_claims["scope"] == "openid"
        tokens = client.redeem(alice.browser.authorize(client).code, resource=bank.name).succeeds()
        assert tokens.access_token_claims["aud"] == bank.name
        assert tokens.access_token_claims["scope"] == "openid transfer"

    def test_a_scope_whose_apis_are_all_disabled_is_of_no_use(self, alice, relying_party, api):
        client = relying_party(scopes="openid notes.read")
        ApiResource.objects.update(enabled=False)
        caching.forget()
        assert alice.browser.authorize(client).error == "invalid_scope"

    def test_apis_that_share_no_algorithm_share_no_token(self, alice, relying_party, api):
        other = ApiResource.objects.create(name="https://b.example", allowed_access_token_signing_algorithms=["EdDSA"])
        other.api_scopes.set(api.api_scopes.all())
        ApiResource.objects.filter(pk=api.pk).update(allowed_access_token_signing_algorithms=["ES384"])
        client = relying_party(scopes="openid notes.read")
        assert alice.browser.authorize(client).error == "invalid_target"


class TestStoredRequests:
    """What nobody reads is not kept: it may be a secret, or a megabyte."""

    def test_only_what_is_read_is_stored(self, web_app):
        parameters = {**web_app.authorization_parameters(), "pin": "hunter2", "padding": "x" * 1900}
        assert HttpClient().get(url_of("authorization"), parameters).status_code == 303
        stored = json.dumps(AuthorizationRequest.objects.get().parameters)
        assert "hunter2" not in stored
        assert "padding" not in stored

    @pytest.mark.parametrize("name", ["client_secret", "client_assertion", "refresh_token", "access_token", "code"])
    def test_a_secret_is_refused(self, web_app, name):
        parameters = {**web_app.authorization_parameters(), name: "canary"}
        for response in (
            HttpClient().get(url_of("authorization"), parameters),
            HttpClient().post(url_of("authorization"), "&".join(f"{k}={v}" for k, v in parameters.items()), FORM),
        ):
            assert response.status_code == 400
            assert b"canary" not in response.content
        assert not AuthorizationRequest.objects.exists()


class TestSubjects:
    """OpenID Connect Core §3.1.2.1, §5.5.1: every constraint on who the user is holds."""

    @pytest.mark.parametrize("wanted", [{"value": "somebody-else"}, {"values": ["a", "b"]}, {"values": []}])
    @pytest.mark.parametrize("member", ["id_token", "userinfo"])
    def test_the_claims_parameter_may_name_others(self, alice, web_app, member, wanted):
        claims = json.dumps({member: {"sub": wanted}})
        assert alice.browser.authorize(web_app, claims=claims).error == "login_required"

    def test_also_beside_a_hint_that_fits(self, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        hint, claims = tokens.members["id_token"], json.dumps({"id_token": {"sub": {"value": "somebody-else"}}})
        assert alice.browser.authorize(web_app, id_token_hint=hint).code
        assert alice.browser.authorize(web_app, id_token_hint=hint, claims=claims).error == "login_required"


class TestRefreshTokens:
    def test_a_replay_is_one_however_late(self, clock, alice, relying_party):
        """RFC 9700 §4.14.2: also when the token itself would have expired by now."""
        client = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        first = current = client.redeem(alice.browser.authorize(client).code).succeeds().refresh_token
        for _ in range(16):
            current = client.refresh(current).succeeds().refresh_token
            clock.forward(days=1)
        client.refresh(first).fails_with("invalid_grant")
        client.refresh(current).fails_with("invalid_grant")
        assert Grant.objects.get().revoked_at is not None
        assert Event.objects.filter(type="refresh_token_replayed").exists()


class TestKeys:
    def test_a_key_that_was_deleted_is_followed_by_another(self, alice, web_app):
        SigningKey.objects.filter(algorithm="ES256").update(deleted_at=timezone.now())
        caching.forget()
        web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        assert SigningKey.objects.get(algorithm="ES256", deleted_at=None).sequence == 2

    def test_a_key_that_cannot_be_opened_costs_no_code(self, alice, relying_party, api):
        api.allowed_access_token_signing_algorithms = ["ES384"]
        api.save()
        keys.signer("ES384")
        SigningKey.objects.filter(algorithm="ES384").update(private_jwk='{"v":1,"key":"nope","box":""}')
        caching.forget()
        client = relying_party(scopes="openid notes.read")
        response = client.redeem(alice.browser.authorize(client).code)
        assert response.status == 503
        assert AuthorizationCode.objects.get().consumed_at is None

    def test_a_damaged_public_half_costs_only_its_own_tokens(self, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        now = timezone.now()
        moments = {"announced_at": now, "activates_at": now, "retires_at": now + timedelta(days=1)}
        SigningKey.objects.create(kid="x", algorithm="ES256", sequence=9, public_jwk={"kty": "EC"}, **moments)
        caching.forget()
        assert web_app.userinfo(tokens.access_token).status_code == 200

    def test_a_key_is_published_as_long_as_a_client_of_its_own_mind_needs_it(self, clock, alice, relying_party):
        client = relying_party(access_token_lifetime=60 * 60 * 24 * 60)
        client.redeem(alice.browser.authorize(client).code).succeeds()
        clock.forward(days=90 + 50)
        caching.forget()
        published = HttpClient().get(reverse("identityserver:jwks")).json()["keys"]
        assert {key.kid for key in SigningKey.objects.filter(sequence=1)} <= {key["kid"] for key in published}


class TestCaches:
    @pytest.mark.django_db(transaction=True)
    def test_what_is_made_from_the_ring_grows_old_with_it(self, web_app, monkeypatch):
        """Else the limits add up, and a withdrawn key signs for twice as long."""
        now = [1000.0]
        monkeypatch.setattr(caching.time, "monotonic", lambda: now[0])
        caching.forget()
        keys.key_ring()
        now[0] += 9
        signers = issue.signers_for(web_app.row)
        assert issue.signers_for(web_app.row) is signers
        now[0] += 2
        assert issue.signers_for(web_app.row) is not signers
