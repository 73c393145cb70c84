"""The pages of what clients can ask for, of claim mappings and of keys."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from identityserver.models import ApiResource, ApiScope, ClaimMapping, IdentityResource, SigningKey
from tests.admin.forms import Form, posted
from tests.speaking import ISSUER

pytestmark = pytest.mark.django_db


def page(model: str, view: str, *args) -> str:
    return reverse(f"admin:identityserver_{model}_{view}", args=args)


def add(http, model: str, **fields):
    url = page(model, "add")
    return http.post(url, posted(http.get(url), **fields))


def problems(response) -> set[str]:
    assert response.status_code == 200
    return set(response.context["adminform"].form.errors)


class TestStandardIdentityResources:
    """They can be disabled, never renamed or deleted."""

    @pytest.fixture
    def email(self) -> IdentityResource:
        return IdentityResource.objects.get(name="email")

    def test_one_can_be_disabled_and_keeps_its_name(self, administrator, email):
        url = page("identityresource", "change", email.pk)
        form = posted(administrator.get(url), enabled=None, name="mail")
        assert administrator.post(url, form).status_code == 302
        email.refresh_from_db()
        assert (email.name, email.enabled) == ("email", False)

    def test_none_is_deleted(self, administrator, email):
        response = administrator.post(page("identityresource", "delete", email.pk), {"post": "yes"})
        assert response.status_code == 403
        assert IdentityResource.objects.filter(pk=email.pk).exists()

    def test_nor_by_the_action_among_others(self, administrator, email):
        own = IdentityResource.objects.create(name="membership")
        chosen = {"action": "delete_selected", "_selected_action": [email.pk, own.pk]}
        for confirmed in ({}, {"post": "yes"}):
            response = administrator.post(page("identityresource", "changelist"), {**chosen, **confirmed})
            assert "email (standard: disable it instead)" in response.content.decode()
        assert IdentityResource.objects.count() == 6

    def test_others_are_deleted(self, administrator):
        own = IdentityResource.objects.create(name="membership")
        administrator.post(page("identityresource", "delete", own.pk), {"post": "yes"})
        assert not IdentityResource.objects.filter(name="membership").exists()


class TestResources:
    def test_an_api_with_its_scopes(self, administrator):
        scope = ApiScope.objects.create(name="notes.read")
        fields = {"name": "https://api.example", "api_scopes": [scope.pk], "user_claims": "email\nname"}
        algorithms = {"allowed_access_token_signing_algorithms": ["RS256", "ES256"]}
        assert add(administrator, "apiresource", **fields, **algorithms).status_code == 302
        api = ApiResource.objects.get()
        assert [api.user_claims, list(api.api_scopes.all())] == [["email", "name"], [scope]]
        assert set(api.allowed_access_token_signing_algorithms) == {"RS256", "ES256"}
        assert "https://api.example" in administrator.get(page("apiscope", "changelist")).content.decode()

    @pytest.mark.parametrize(
        ("model", "field", "value"),
        [
            ("identityresource", "name", "offline_access"),
            ("identityresource", "name", "email"),
            ("identityresource", "name", "two words"),
            ("identityresource", "name", "a\x00"),
            ("identityresource", "name", "x" * 201),
            ("identityresource", "display_name", "a\x00"),
            ("identityresource", "description", "a\x00"),
            ("identityresource", "user_claims", "a\x00"),
            ("identityresource", "user_claims", "x" * 2001),
            ("identityresource", "user_claims", "a\na"),
            ("apiscope", "name", "openid"),
            ("apiscope", "requires_permission", "everything"),
            ("apiscope", "requires_permission", "a.b\x00"),
            ("apiresource", "name", ""),
            ("apiresource", "allowed_access_token_signing_algorithms", "none"),
            ("apiresource", "api_scopes", "x"),
            ("apiresource", "api_scopes", "9" * 30),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    def test_hostile_input(self, administrator, model, field, value):
        given = {"name": "fine", field: value}
        assert field in problems(add(administrator, model, **given))

    @pytest.mark.parametrize("model", ["identityresource", "apiscope", "apiresource", "claimmapping"])
    def test_staff_who_may_look_change_nothing(self, staff, model):
        http = staff(f"view_{model}")
        assert http.get(page(model, "changelist")).status_code == 200
        assert http.get(page(model, "add")).status_code == 403
        assert staff().get(page(model, "changelist")).status_code == 403

    @pytest.mark.parametrize("model", ["apiscope", "apiresource", "identityresource", "claimmapping"])
    def test_more_rows_cost_no_more_queries(self, administrator, model, django_assert_max_num_queries):
        for number in range(15):
            scope = ApiScope.objects.create(name=f"scope{number}")
            ApiResource.objects.create(name=f"api{number}").api_scopes.add(scope)
            ClaimMapping.objects.create(claim="name", source="groups", api_scope=scope)
        with django_assert_max_num_queries(9):
            administrator.get(page(model, "changelist"))


def greeting(user) -> str:
    return f"Hello {user}"


class TestClaimMappings:
    @pytest.fixture(autouse=True)
    def _functions(self, settings):
        function = f"{__name__}.greeting"
        settings.IDENTITYSERVER = {"issuer": "http://testserver", "claim_functions": {"greeting": function}}

    def test_an_attribute_for_one_resource(self, administrator):
        phone = IdentityResource.objects.get(name="phone")
        fields = {"claim": "phone_number", "source": "attribute", "path": "profile.phone"}
        add(administrator, "claimmapping", **fields, identity_resource=phone.pk)
        mapping = ClaimMapping.objects.get()
        assert (mapping.path, mapping.identity_resource) == ("profile.phone", phone)

    def test_a_function_is_chosen_from_those_in_the_settings(self, administrator):
        assert "one of: greeting" in administrator.get(page("claimmapping", "add")).content.decode()
        assert add(administrator, "claimmapping", claim="hi", source="function", path="greeting").status_code == 302

    @pytest.mark.parametrize("path", ["os.system", "builtins.eval", f"{__name__}.greeting", "", "a\x00"])
    def test_no_other_function_can_be_named(self, administrator, path):
        assert "path" in problems(add(administrator, "claimmapping", claim="hi", source="function", path=path))
        assert not ClaimMapping.objects.exists()

    def test_groups_need_no_path(self, administrator):
        add(administrator, "claimmapping", claim="groups", source="groups", path="left over")
        assert ClaimMapping.objects.get().path == ""

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"path": "password"}, "path"),
            ({"path": "_state.db"}, "path"),
            ({"path": ""}, "path"),
            ({"path": "x" * 256}, "path"),
            ({"claim": "sub"}, "claim"),
            ({"claim": "a\x00"}, "claim"),
            ({"source": "eval"}, "source"),
            ({"api_scope": "x"}, "api_scope"),
            ({"api_scope": "9" * 30}, "api_scope"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    def test_hostile_input(self, administrator, fields, field):
        given = {"claim": "phone_number", "source": "attribute", "path": "phone", **fields}
        assert field in problems(add(administrator, "claimmapping", **given))

    def test_a_second_mapping_of_a_claim_is_refused_where_it_stands(self, administrator):
        ClaimMapping.objects.create(claim="groups", source="groups")
        assert problems(add(administrator, "claimmapping", claim="groups", source="permissions")) == {"claim"}


class TestKeys:
    def test_they_are_shown_with_their_state_and_without_their_private_half(self, administrator, signing_keys):
        active, other = SigningKey.objects.all()
        SigningKey.objects.filter(pk=other.pk).update(activates_at=timezone.now() + timedelta(days=1))
        listed = administrator.get(page("signingkey", "changelist")).content.decode()
        states = re.findall(r'class="field-state">([^<]*)<', listed)
        assert sorted(states) == ["announced", "signing"]
        SigningKey.objects.filter(pk=other.pk).update(
            activates_at=timezone.now() - timedelta(days=9), retires_at=timezone.now()
        )
        shown = administrator.get(page("signingkey", "change", other.pk)).content.decode()
        assert "retired, published" in shown
        assert other.public_jwk["kid"] in shown
        assert other.private_jwk not in shown
        assert active.kid in listed

    def test_nobody_changes_them(self, administrator, signing_keys):
        key = SigningKey.objects.first()
        assert not Form(administrator.get(page("signingkey", "change", key.pk)).content.decode()).names
        for url in (
            page("signingkey", "change", key.pk),
            page("signingkey", "delete", key.pk),
            page("signingkey", "add"),
        ):
            assert administrator.post(url, {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [key.pk], "post": "yes"}
        administrator.post(page("signingkey", "changelist"), chosen)
        assert SigningKey.objects.count() == 2


def test_an_api_is_not_named_as_the_issuer(administrator):
    """It would be told of every token that is for no API in particular."""
    assert problems(add(administrator, "apiresource", name=ISSUER)) == {"name"}
