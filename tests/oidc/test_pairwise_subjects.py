"""Pairwise subject identifiers: OpenID Connect Core §8.1."""

import pytest
from django.core.exceptions import ValidationError

from identityserver.models import Subject
from identityserver.testing.relying_party import decoded

pytestmark = pytest.mark.django_db


@pytest.fixture
def pairwise(relying_party):
    """Register clients that know users by pairwise subjects, at a host."""

    def make(host: str = "one.example", **fields):
        return relying_party(
            **{"subject_type": "pairwise", "redirect_uris": [f"https://{host}/callback"], **fields},
        )

    return make


def subject_for(person, client) -> str:
    return client.redeem(person.browser.authorize(client).code).succeeds().id_token["sub"]


class TestValue:
    """§8.1: unique to the sector, and not to be linked."""

    def test_two_sectors_know_a_user_by_different_names(self, alice, pairwise):
        one, two = subject_for(alice, pairwise("one.example")), subject_for(alice, pairwise("two.example"))
        assert len({one, two, Subject.objects.get().value}) == 3

    def test_clients_of_one_host_by_the_same(self, alice, pairwise):
        assert subject_for(alice, pairwise()) == subject_for(alice, pairwise("ONE.example"))

    def test_clients_of_one_sector_identifier_by_the_same(self, alice, pairwise):
        sector = {"sector_identifier_uri": "https://sector.example/uris.json"}
        assert subject_for(alice, pairwise("one.example", **sector)) == subject_for(
            alice, pairwise("two.example", **sector)
        )

    def test_two_users_have_different_ones(self, alice, person, pairwise):
        client = pairwise()
        assert subject_for(alice, client) != subject_for(person("bob").sign_in(), client)

    def test_it_stays(self, alice, pairwise, settings):
        client = pairwise()
        before = subject_for(alice, client)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "changed"
        assert subject_for(alice, client) == before

    def test_every_token_says_the_same(self, alice, pairwise):
        client = pairwise()
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        assert tokens.access_token_claims["sub"] == tokens.id_token["sub"]
        assert client.userinfo(tokens.access_token).json()["sub"] == tokens.id_token["sub"]

    def test_the_token_of_a_browser_too(self, alice, pairwise):
        client = pairwise(response_types=["code", "code id_token"])
        answer = alice.browser.authorize(client, response_type="code id_token").parameters
        assert decoded(answer["id_token"])["sub"] == subject_for(alice, client)

    def test_discovery_lists_both_types(self, client):
        assert client.get("/.well-known/openid-configuration").json()["subject_types_supported"] == [
            "public",
            "pairwise",
        ]


class TestHints:
    """What a client knows a user by is what it may ask for."""

    def test_its_own_id_token_is_a_hint(self, alice, pairwise):
        client = pairwise()
        hint = client.redeem(alice.browser.authorize(client).code).succeeds().members["id_token"]
        assert alice.browser.authorize(client, id_token_hint=hint, prompt="none").code

    def test_that_of_another_sector_is_somebody_else(self, alice, pairwise):
        other, client = pairwise("two.example"), pairwise()
        hint = other.redeem(alice.browser.authorize(other).code).succeeds().members["id_token"]
        assert alice.browser.authorize(client, id_token_hint=hint, prompt="none").error == "login_required"

    def test_it_signs_its_user_out_without_asking(self, alice, pairwise):
        client = pairwise()
        hint = client.redeem(alice.browser.authorize(client).code).succeeds().members["id_token"]
        page = alice.browser.open(f"/connect/endsession?id_token_hint={hint}")
        assert page.shows("You are signed out")


class TestRegistration:
    """§8.1: the sector must be certain."""

    @pytest.mark.parametrize(
        "redirect_uris",
        [["https://one.example/a", "https://two.example/a"], ["com.example.app:/callback"]],
    )
    def test_without_one_host_a_sector_identifier_is_needed(self, relying_party, redirect_uris):
        with pytest.raises(ValidationError, match="sector_identifier_uri"):
            relying_party(subject_type="pairwise", redirect_uris=redirect_uris)

    def test_with_it_there_may_be_several_hosts(self, alice, relying_party):
        client = relying_party(
            subject_type="pairwise",
            redirect_uris=["https://one.example/a", "https://two.example/a"],
            sector_identifier_uri="https://sector.example/uris.json",
        )
        assert subject_for(alice, client)
