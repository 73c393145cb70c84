"""Grant types that a deployment serves: those always there, opt-ins, and the site's own (RFC 6749 §4.5, §8.3)."""

import pytest
from django.core import signing
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from identityserver.grant_types import (
    GRANT_TYPES,
    OPTIONAL_GRANT_TYPES,
    Authorization,
    TokenRequest,
    requested_resources,
    served_grant_types,
)
from identityserver.models import Grant, ReferenceToken, UsedIdentifier
from identityserver.tokens.authorization import Authorization as Waist
from tests.admin.forms import Form, posted
from tests.oauth2.documented.grants import VOUCHER, VoucherGrant
from tests.speaking import ISSUER, token_request

pytestmark = pytest.mark.django_db

HERE = "tests.oauth2.test_extension_grant_types"
DOCUMENTED = "tests.oauth2.documented.grants.VoucherGrant"


class MachineGrant:
    """One that concerns no user, and stores nothing."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """Whatever the client may have."""
        resources = requested_resources(request)
        return Authorization(
            client=request.client, grant_type="", resources=resources, subject=request.client.client_id
        )


instance = VoucherGrant()


def voucher(username="bob", number="1"):
    return signing.dumps([username, number], salt=VOUCHER)


class NoGrant:
    """Without the method."""


def served(settings, **options):
    settings.IDENTITYSERVER = {"issuer": ISSUER, **options}


@pytest.fixture
def shop(relying_party, api):
    return relying_party(
        scopes="openid offline_access notes.read",
        allowed_grant_types=[VOUCHER, "refresh_token"],
        redirect_uris=[],
    )


@pytest.fixture
def turned_on(settings):
    served(settings, extension_grant_types={VOUCHER: DOCUMENTED})


@pytest.fixture
def bob(person):
    return person("bob").user


@pytest.mark.usefixtures("turned_on")
class TestGrantTypesOfTheSite:
    """§4.5: an absolute URI names them."""

    def test_they_answer_like_any_other(self, shop, bob):
        response = shop.token(grant_type=VOUCHER, voucher=voucher(), scope="notes.read").succeeds()
        assert response.members.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert response.access_token_claims["aud"] == "https://api.example"
        assert Grant.objects.get().kind == VOUCHER

    def test_with_everything_that_hangs_off_a_grant(self, shop, bob):
        response = shop.token(
            grant_type=VOUCHER, voucher=voucher(), scope="openid offline_access notes.read"
        ).succeeds()
        assert response.id_token["sub"] == response.access_token_claims["sub"]
        shop.refresh(response.refresh_token).succeeds()
        Grant.objects.get().revoke("by an administrator")
        shop.refresh(response.refresh_token).fails_with("invalid_grant")

    def test_their_errors_are_ours(self, shop, bob):
        shop.token(grant_type=VOUCHER, voucher=voucher("nobody")).fails_with("invalid_grant")
        shop.token(grant_type=VOUCHER).fails_with("invalid_request")
        shop.token(grant_type=VOUCHER, voucher=voucher(), scope="unknown").fails_with("invalid_scope")

    def test_the_client_needs_the_grant_type(self, web_app, bob):
        web_app.token(grant_type=VOUCHER, voucher=voucher()).fails_with("unauthorized_client")

    def test_the_client_authenticates_first(self, bob):
        token_request({"grant_type": VOUCHER, "client_id": "x", "voucher": "bob"}).fails_with("invalid_client")

    def test_the_documented_one_works_once(self, clock, shop, bob):
        one, another = voucher(number="1"), voucher(number="2")
        shop.token(grant_type=VOUCHER, voucher=one).succeeds()
        shop.token(grant_type=VOUCHER, voucher=one).fails_with("invalid_grant")
        shop.token(grant_type=VOUCHER, voucher=f"{another}x").fails_with("invalid_grant")
        shop.token(grant_type=VOUCHER, voucher=another).succeeds()

    def test_users_and_clients_are_judged_as_ever(self, shop, bob):
        bob.is_active = False
        bob.save()
        shop.token(grant_type=VOUCHER, voucher=voucher()).fails_with("invalid_grant")

    @pytest.mark.parametrize("path", [DOCUMENTED, f"{HERE}.MachineGrant"])
    def test_reference_tokens_are_stored_for_them(self, settings, relying_party, api, bob, path):
        served(settings, extension_grant_types={VOUCHER: path})
        client = relying_party(
            scopes="notes.read", allowed_grant_types=[VOUCHER], redirect_uris=[], access_token_type="reference"
        )
        response = client.token(grant_type=VOUCHER, voucher=voucher()).succeeds()
        assert "." not in response.access_token
        assert ReferenceToken.objects.count() == 1

    def test_an_instance_will_do(self, settings, shop, bob):
        served(settings, extension_grant_types={VOUCHER: f"{HERE}.instance"})
        shop.token(grant_type=VOUCHER, voucher=voucher(), scope="notes.read").succeeds()

    def test_nothing_of_it_is_left_behind_by_a_refusal(self, shop, bob):
        shop.token(grant_type=VOUCHER, voucher=voucher("nobody"))
        assert not Grant.objects.exists()
        assert not UsedIdentifier.objects.exists()

    def test_what_it_makes_is_what_every_grant_type_makes(self):
        assert Authorization is Waist


class TestWhatIsServed:
    """Token endpoint, discovery, admin and checks say the same."""

    def test_by_default_those_that_are_always_there(self, settings, client, signing_keys):
        served(settings)
        said = client.get("/.well-known/openid-configuration").json()["grant_types_supported"]
        assert said == list(served_grant_types()) == [str(name) for name in GRANT_TYPES]
        assert not set(OPTIONAL_GRANT_TYPES) & set(said)

    def test_with_those_that_the_options_name(self, settings, client, signing_keys):
        named = [str(name) for name in OPTIONAL_GRANT_TYPES]
        served(settings, optional_grant_types=named, extension_grant_types={VOUCHER: DOCUMENTED})
        said = client.get("/.well-known/openid-configuration").json()["grant_types_supported"]
        assert set(said) == {*map(str, GRANT_TYPES), *named, VOUCHER}

    def test_the_admin_offers_them(self, settings, admin_client):
        served(settings)
        page = "/admin/identityserver/client/add/"
        assert VOUCHER not in offered(admin_client.get(page))
        served(settings, optional_grant_types=["password"], extension_grant_types={VOUCHER: DOCUMENTED})
        assert {"password", VOUCHER} <= offered(admin_client.get(page))

    def test_and_keeps_what_the_options_turned_off_since(self, settings, admin_client, shop, turned_on):
        served(settings)
        page = f"/admin/identityserver/client/{shop.row.pk}/change/"
        response = admin_client.get(page)
        assert f"{VOUCHER} (not served here)" in response.content.decode()
        assert admin_client.post(page, posted(response, name="Store")).status_code == 302
        shop.row.refresh_from_db()
        assert (shop.row.name, set(shop.row.allowed_grant_types)) == ("Store", {VOUCHER, "refresh_token"})

    def test_and_says_so_of_a_client_left_with_none(self, settings, admin_client, relying_party, api, turned_on):
        client = relying_party(scopes="notes.read", allowed_grant_types=[VOUCHER], redirect_uris=[])
        page = f"/admin/identityserver/client/{client.row.pk}/change/"
        assert "serve none of its grant types" not in admin_client.get(page).content.decode()
        served(settings)
        assert "serve none of its grant types" in admin_client.get(page).content.decode()

    def test_the_grants_of_each_are_found_in_the_admin(self, settings, admin_client, turned_on):
        page = admin_client.get("/admin/identityserver/grant/").content.decode()
        assert VOUCHER.replace("/", "%2F").replace(":", "%3A") in page

    def test_what_is_not_served_is_unsupported(self, settings, shop, turned_on):
        served(settings)
        shop.token(grant_type=VOUCHER, voucher=voucher()).fails_with("unsupported_grant_type")


def offered(response) -> set[str]:
    form = response.context["adminform"].form
    assert "allowed_grant_types" in Form(response.content.decode()).names
    return {value for value, _ in form.fields["allowed_grant_types"].choices}


class TestChecks:
    """A mistake in the options is found before a request meets it."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"optional_grant_types": ["pasword"]}, "'pasword'; there are:"),
            ({"optional_grant_types": ["authorization_code"]}, "'authorization_code'; there are:"),
            ({"extension_grant_types": {VOUCHER: "nowhere.nothing"}}, "cannot be imported"),
            ({"extension_grant_types": {VOUCHER: f"{HERE}.NoGrant"}}, "no method authorize"),
            ({"extension_grant_types": {VOUCHER: ""}}, "no method authorize"),
            ({"extension_grant_types": {"voucher": DOCUMENTED}}, "not an absolute URI"),
            ({"extension_grant_types": {f"urn:{'x' * 300}": DOCUMENTED}}, "not an absolute URI"),
            (
                {"extension_grant_types": {"urn:ietf:params:oauth:grant-type:token-exchange": f"{HERE}.instance"}},
                "is built in",
            ),
            (
                {"extension_grant_types": {"urn:ietf:params:oauth:grant-type:jwt-bearer": f"{HERE}.instance"}},
                "is built in",
            ),
            ({"token_exchange_policy": "nowhere.nothing"}, "cannot be imported"),
        ],
    )
    def test_e001(self, settings, options, said):
        served(settings, **options)
        messages = [message for message in run_checks() if message.id == "identityserver.E001"]
        assert [said in message.msg for message in messages] == [True]
        if "token_exchange_policy" not in options:
            with pytest.raises(ImproperlyConfigured, match=r"IDENTITYSERVER"):
                served_grant_types()

    def test_w007_a_client_that_is_meant_for_one_that_is_not_served(self, settings, shop, turned_on):
        assert not found("W007")
        served(settings)
        (message,) = found("W007")
        assert shop.client_id in message.msg
        assert VOUCHER in message.msg

    def test_w008_a_client_that_exchanges_tokens_for_an_api_there_is_not(self, settings, relying_party, api):
        exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
        fields = {"allowed_grant_types": [exchange], "redirect_uris": []}
        relying_party(**fields, token_exchange_audiences=["https://api.example"])
        assert not found("W008")
        relying_party(**fields, token_exchange_audiences=["https://api.example"], token_exchange_sources=["x"])
        (message,) = found("W008")
        assert message.msg.endswith("APIs that there are not: x.")


def found(name):
    return [message for message in run_checks(databases=["default"]) if message.id == f"identityserver.{name}"]
