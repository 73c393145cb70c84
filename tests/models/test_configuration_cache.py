"""Configuration in memory: what another worker changes works at once, and nothing is remembered that was undone.

Another worker is played by changes that send no signal: this process learns of them by nothing but the database.
"""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from identityserver import caching, clients
from identityserver.caching import ConfigurationCache
from identityserver.clients import find_client
from identityserver.models import ApiScope, ClaimMapping, Client, ClientSecret, IdentityResource
from tests.speaking import basic_header, token_request, url_of

pytestmark = pytest.mark.django_db(transaction=True)

ASK = {"grant_type": "client_credentials"}


@pytest.fixture
def machine(relying_party, api):
    """A client in the memory of this worker."""
    client = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])
    client.client_credentials().succeeds()
    return client


@pytest.fixture
def minutes_later(monkeypatch):
    """Let what is in memory grow old."""

    def pass_by():
        later = caching.time.monotonic() + 600
        monkeypatch.setattr(caching, "time", SimpleNamespace(monotonic=lambda: later))

    return pass_by


@pytest.fixture
def a_second_later(monkeypatch):
    """Let what is read anew at most once a second be read again."""

    def pass_by():
        later = clients.time.monotonic() + 1
        monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: later))

    return pass_by


class TestWarm:
    """A warm request reads no configuration."""

    def test_a_client_credentials_token_costs_no_query(self, machine, django_assert_num_queries):
        with django_assert_num_queries(0):
            machine.client_credentials().succeeds()

    def test_a_frozen_row_cannot_be_changed_by_accident(self, machine):
        with pytest.raises(AttributeError, match="shared between requests"):
            find_client(machine.client_id).name = "Other"

    def test_it_can_be_turned_off(self, settings, machine):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "configuration_cache_seconds": 0}
        caching.forget()
        assert find_client(machine.client_id) is not find_client(machine.client_id)


class TestAnotherWorker:
    """Before a refusal is final, the registration is read anew."""

    def test_a_new_secret_works_at_once(self, machine):
        row, secret = ClientSecret.generate(machine.row)
        ClientSecret.objects.filter(pk=row.pk).delete()
        caching.forget()
        machine.client_credentials().succeeds()
        ClientSecret.objects.bulk_create([row])
        token_request(ASK, basic_header(f"{machine.client_id}:{secret}")).succeeds()

    def test_a_new_redirect_uri_works_at_once(self, alice, web_app):
        alice.browser.authorize(web_app)
        there = "https://app.example/new"
        Client.objects.update(redirect_uris=[there])
        assert alice.browser.authorize(web_app, redirect_uri=there).code

    def test_a_new_scope_works_at_once(self, machine, api):
        notes_write = ApiScope.objects.get(name="notes.write")
        machine.row.api_scopes.through.objects.bulk_create(
            [machine.row.api_scopes.through(client=machine.row, apiscope=notes_write)]
        )
        machine.client_credentials(scope="notes.write").succeeds()

    def test_a_new_grant_type_works_at_once(self, machine):
        Client.objects.update(allowed_grant_types=["client_credentials", "authorization_code"])
        machine.token(grant_type="authorization_code", code="x").fails_with("invalid_grant")

    def test_a_new_client_works_at_once(self, machine):
        """Absence is never remembered."""
        row = Client(client_id="newcomer", name="New", allowed_grant_types=["client_credentials"])
        _, secret = "x", "a secret"
        token_request(ASK, basic_header(f"newcomer:{secret}")).fails_with("invalid_client")
        Client.objects.bulk_create([row])
        ClientSecret.typed(row, secret)
        token_request(ASK, basic_header(f"newcomer:{secret}")).succeeds()

    def test_a_secret_that_is_prolonged_works_at_once(self, clock, machine):
        ClientSecret.objects.update(expires=clock.now())
        caching.forget()
        machine.client_credentials().fails_with("invalid_client")
        ClientSecret.objects.update(expires=clock.now() + timedelta(hours=1))
        machine.client_credentials().succeeds()

    def test_another_way_to_authenticate_works_at_once(self, machine):
        Client.objects.update(accept_either_secret_method=False)
        caching.forget()
        body = {**ASK, "client_id": machine.client_id, "client_secret": machine.secret}
        token_request(body).fails_with("invalid_client")
        Client.objects.update(token_endpoint_auth_method="client_secret_post")
        token_request(body).succeeds()

    @pytest.mark.parametrize("secrets", [0, 1, 3])
    def test_a_wrong_secret_costs_what_an_unknown_client_costs(self, machine, secrets):
        """Or it would tell which clients there are, and be the cheapest way to keep the database busy."""
        ClientSecret.objects.all().delete()
        for _ in range(secrets):
            ClientSecret.generate(machine.row)
        asked = {}
        for client_id in (machine.client_id, "nobody"):
            wrong = basic_header(f"{client_id}:wrong")
            token_request(ASK, wrong).fails_with("invalid_client")
            with CaptureQueriesContext(connection) as queries:
                token_request(ASK, wrong).fails_with("invalid_client")
            read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
            asked[client_id] = [sql.replace(client_id, "-") for sql in read]
        assert asked[machine.client_id] == asked["nobody"]
        assert len(asked["nobody"]) == 1

    def test_a_new_origin_works_within_a_second(self, machine, a_second_later):
        asked = {"Origin": "https://spa.example"}
        assert "Access-Control-Allow-Origin" not in machine.http.options(url_of("token"), headers=asked).headers
        Client.objects.update(allowed_cors_origins=["https://spa.example"])
        a_second_later()
        assert machine.http.options(url_of("token"), headers=asked)["Access-Control-Allow-Origin"]

    def test_foreign_origins_keep_no_database_busy(self, machine, django_assert_num_queries):
        machine.http.options(url_of("token"), headers={"Origin": "https://evil.example"})
        with django_assert_num_queries(0):
            for number in range(5):
                machine.http.options(url_of("token"), headers={"Origin": f"https://evil{number}.example"})

    def test_a_disabled_client_gets_nothing_for_codes_and_refresh_tokens_at_once(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        code = alice.browser.authorize(client).code
        Client.objects.update(enabled=False)
        assert "access_token" not in client.redeem(code).members
        assert "access_token" not in client.refresh(tokens.refresh_token).members
        assert client.userinfo(tokens.access_token).status_code == 401

    def test_and_elsewhere_within_the_limit(self, machine, minutes_later):
        Client.objects.update(enabled=False)
        minutes_later()
        machine.client_credentials().fails_with("invalid_client")

    def test_a_secret_that_was_taken_away_stops_within_the_limit(self, machine, minutes_later):
        ClientSecret.objects.all()._raw_delete("default")
        minutes_later()
        machine.client_credentials().fails_with("invalid_client")

    def test_a_refusal_that_stands_is_still_a_refusal(self, machine):
        token_request(ASK, basic_header(f"{machine.client_id}:wrong")).fails_with("invalid_client")
        machine.client_credentials(scope="unknown").fails_with("invalid_scope")


class TestThisWorker:
    """Changes through the admin, a form or a model's ``save`` count once they are committed."""

    def test_a_disabled_client_stops_at_once(self, machine):
        machine.row.enabled = False
        machine.row.save()
        machine.client_credentials().fails_with("invalid_client")

    def test_a_deleted_secret_stops_at_once(self, machine):
        machine.row.secrets.get().delete()
        machine.client_credentials().fails_with("invalid_client")

    def test_a_scope_that_is_disabled_stops_at_once(self, machine):
        scope = ApiScope.objects.get(name="notes.read")
        scope.enabled = False
        scope.save()
        machine.client_credentials(scope="notes.read").fails_with("invalid_scope")

    def test_a_relation_that_is_removed_stops_at_once(self, machine):
        machine.row.api_scopes.clear()
        machine.client_credentials(scope="notes.read").fails_with("invalid_scope")

    def test_a_claim_mapping_counts_at_once(self, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code)
        assert web_app.userinfo(tokens.access_token).json()["name"] == "Alice Adams"
        profile = IdentityResource.objects.get(name="profile")
        ClaimMapping.objects.create(claim="name", source="attribute", path="username", identity_resource=profile)
        assert web_app.userinfo(tokens.access_token).json()["name"] == "alice"


class TestTransactions:
    """Nothing that was read inside an open transaction is kept, since it may be rolled back."""

    def test_what_was_rolled_back_was_never_there(self, machine):
        caching.forget()
        with transaction.atomic():
            Client.objects.update(name="Mallory")
            assert find_client(machine.client_id).name == "Mallory"
            transaction.set_rollback(True)
        assert find_client(machine.client_id).name == "Web app"

    def test_a_change_in_a_transaction_counts_from_its_commit(self, machine):
        row = Client.objects.get(pk=machine.row.pk)
        with transaction.atomic():
            row.name = "Renamed"
            row.save()
        assert find_client(machine.client_id).name == "Renamed"


class TestMemory:
    """Bounded, and never behind what is known here."""

    def test_the_least_recently_used_goes_first(self):
        cache = ConfigurationCache(2)
        for key in "ab":
            cache.load(key, lambda key=key: key.upper())
        cache.get("a")
        cache.load("c", lambda: "C")
        assert [cache.get(key) for key in "abc"] == ["A", None, "C"]

    def test_what_was_being_read_while_it_changed_is_not_kept(self):
        cache = ConfigurationCache(2)

        def read():
            cache.clear()  # another thread commits a change in the middle of the reading
            return "old"

        assert cache.load("a", read) == "old"
        assert cache.get("a") is None
