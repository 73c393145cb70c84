"""Claims and where they come from: OpenID Connect Core §5.1, §5.4, and the tables that map them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError

from identityserver.models import ApiScope, ClaimMapping, IdentityResource

pytestmark = pytest.mark.django_db

ATTRIBUTE, GROUPS, PERMISSIONS, FUNCTION = ClaimMapping.Source.values


@pytest.fixture
def told(alice, relying_party):
    """What UserInfo tells of Alice, for the scopes given."""

    def ask(scope="openid profile email"):
        client = relying_party(scopes=scope)
        tokens = client.redeem(alice.browser.authorize(client, scope=scope).code).succeeds()
        response = client.userinfo(tokens.access_token)
        assert response.status_code == 200
        return response.json()

    return ask


@pytest.fixture
def signed(alice, relying_party):
    """The same in an ID token."""

    def ask(scope="openid profile email"):
        client = relying_party(scopes=scope, always_include_user_claims_in_id_token=True)
        return client.redeem(alice.browser.authorize(client, scope=scope).code).succeeds().id_token

    return ask


def given(claims):
    """A ``claims_source`` that gives ``claims``."""
    SOURCE.clear()
    SOURCE.update(claims)
    return f"{__name__}.source"


SOURCE = {}


def source(user, names):
    """A host's own ``claims_source``."""
    return {name: value(user) if callable(value) else value for name, value in SOURCE.items()}


def shoe_size(user):
    """A host's own claim function."""
    return len(user.get_username()) + 37


class TestTypes:
    """§5.1: the JSON types that the standard gives its claims, whatever the host has."""

    @pytest.mark.parametrize(
        ("claim", "value", "expected"),
        [
            ("email_verified", True, True),
            ("email_verified", False, False),
            ("email_verified", "true", True),
            ("email_verified", 0, False),
            ("email_verified", datetime(2026, 1, 2, tzinfo=UTC), True),
            ("phone_number_verified", "no", False),
            ("updated_at", 1767312000, 1767312000),
            ("updated_at", datetime(2026, 1, 2, tzinfo=UTC), 1767312000),
            ("updated_at", "1767312000", 1767312000),
            ("birthdate", date(1990, 5, 17), "1990-05-17"),
            ("address", {"locality": "Bern"}, {"locality": "Bern"}),
            ("address", "Bundesplatz 3\nBern", {"formatted": "Bundesplatz 3\nBern"}),
            ("nickname", "ali", "ali"),
        ],
    )
    def test_values(self, settings, told, signed, claim, value, expected):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": given({claim: value})}
        for ask in (told, signed):
            assert ask("openid profile email phone address")[claim] == expected

    @pytest.mark.parametrize("value", [None, "", [], {}])
    def test_nothing_is_left_out(self, settings, told, value):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": given({"nickname": value})}
        assert "nickname" not in told()

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
            (Decimal("1.50"), "1.50"),
            ({2}, [2]),
            (("a", 1, 1.5, None), ["a", 1, 1.5, None]),
            ({"since": date(2026, 1, 2), 7: UUID(int=7)}, {"since": "2026-01-02", "7": str(UUID(int=7))}),
        ],
    )
    def test_whatever_a_host_gives_is_made_json(self, settings, told, signed, value, expected):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": given({"nickname": value})}
        assert told()["nickname"] == signed()["nickname"] == expected

    @pytest.mark.parametrize(
        ("claim", "value"), [("updated_at", "yesterday"), ("updated_at", [1]), ("nickname", float("nan"))]
    )
    def test_what_has_no_such_type_is_left_out_rather_than_breaking_the_answer(
        self, settings, told, signed, claim, value
    ):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": given({claim: value})}
        assert claim not in told()
        assert claim not in signed()


class TestClaimsSource:
    """The option ``claims_source``: the host's own function goes before everything else."""

    def test_it_adds_and_overrides(self, settings, told):
        claims = given({"nickname": "ali", "email": lambda user: f"{user.username}@corp.example"})
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": claims}
        answer = told()
        assert (answer["nickname"], answer["email"]) == ("ali", "alice@corp.example")
        assert answer["name"] == "Alice Adams"

    def test_it_gives_nothing_that_was_not_asked_for(self, settings, told):
        claims = given({"email": "x@example.com", "salary": 1, "sub": "somebody", "iss": "x"})
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": claims}
        answer = told("openid")
        assert answer.keys() == {"sub"}
        assert answer["sub"] != "somebody"


class TestMappings:
    """``ClaimMapping``: from a user attribute, groups, permissions or a listed function."""

    @pytest.fixture
    def staff(self):
        return IdentityResource.objects.create(name="staff", user_claims=["username", "roles", "may", "shoe_size"])

    def test_an_attribute(self, staff, told):
        ClaimMapping.objects.create(claim="username", source=ATTRIBUTE, path="username", identity_resource=staff)
        assert told("openid staff")["username"] == "alice"

    def test_a_path_of_attributes_that_ends_nowhere_gives_nothing(self, staff, told):
        ClaimMapping.objects.create(claim="username", source=ATTRIBUTE, path="profile.phone", identity_resource=staff)
        assert "username" not in told("openid staff")

    def test_groups(self, alice, staff, told):
        alice.user.groups.set([Group.objects.create(name=name) for name in ("b", "a")])
        ClaimMapping.objects.create(claim="roles", source=GROUPS, identity_resource=staff)
        assert told("openid staff")["roles"] == ["a", "b"]

    def test_permissions(self, alice, staff, told):
        alice.user.user_permissions.add(Permission.objects.get(codename="change_group"))
        ClaimMapping.objects.create(claim="may", source=PERMISSIONS, identity_resource=staff)
        assert told("openid staff")["may"] == ["auth.change_group"]

    def test_a_function_that_the_option_lists(self, settings, staff, told):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claim_functions": {"size": f"{__name__}.shoe_size"}}
        ClaimMapping.objects.create(claim="shoe_size", source=FUNCTION, path="size", identity_resource=staff)
        assert told("openid staff")["shoe_size"] == 42

    def test_a_function_that_it_does_not_list_gives_nothing(self, staff, told):
        """A row alone runs no code, whatever path it names."""
        path = f"{__name__}.shoe_size"
        ClaimMapping.objects.create(claim="shoe_size", source=FUNCTION, path=path, identity_resource=staff)
        assert "shoe_size" not in told("openid staff")

    def test_a_general_mapping_replaces_the_built_in_one(self, told):
        ClaimMapping.objects.create(claim="name", source=ATTRIBUTE, path="last_name")
        assert told()["name"] == "Adams"

    def test_the_mapping_of_a_resource_goes_before_the_general_one(self, told):
        ClaimMapping.objects.create(claim="name", source=ATTRIBUTE, path="last_name")
        profile = IdentityResource.objects.get(name="profile")
        ClaimMapping.objects.create(claim="name", source=ATTRIBUTE, path="first_name", identity_resource=profile)
        assert told()["name"] == "Alice"

    def test_the_mapping_of_an_api_scope_holds_in_its_access_tokens(self, alice, api, relying_party):
        scope = ApiScope.objects.get(name="notes.read")
        scope.user_claims = ["department"]
        scope.save()
        ClaimMapping.objects.create(claim="department", source=ATTRIBUTE, path="last_name", api_scope=scope)
        client = relying_party(scopes="openid notes.read")
        claims = client.redeem(alice.browser.authorize(client).code).access_token_claims
        assert claims["department"] == "Adams"

    @pytest.mark.parametrize("path", ["password", "_state", "user.password", "__class__", "a..b", "a b", "is_active()"])
    def test_nothing_private_can_be_mapped(self, staff, told, path):
        mapping = ClaimMapping(claim="username", source=ATTRIBUTE, path=path, identity_resource=staff)
        with pytest.raises(ValidationError):
            mapping.full_clean()
        mapping.save()  # past the form, as an import might
        assert "username" not in told("openid staff")

    def test_a_method_is_not_called(self, staff, told):
        ClaimMapping.objects.create(claim="username", source=ATTRIBUTE, path="delete", identity_resource=staff)
        assert "username" not in told("openid staff")

    @pytest.mark.parametrize("claim", ["sub", "iss", "aud", "exp", "acr", "sid", "client_id", "scope", "nonce"])
    def test_the_server_s_own_claims_cannot_be_mapped(self, claim):
        with pytest.raises(ValidationError):
            ClaimMapping(claim=claim, source=ATTRIBUTE, path="username").full_clean()

    def test_a_mapping_is_of_a_resource_or_of_a_scope(self, staff, api):
        scope = api.api_scopes.first()
        mapping = ClaimMapping(claim="x", source=GROUPS, identity_resource=staff, api_scope=scope)
        with pytest.raises(ValidationError):
            mapping.full_clean()
