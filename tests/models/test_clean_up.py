"""``identityserver_clean_up``: what has expired goes, what is needed stays (security.md, "Keeping going")."""

import io
import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections, models, transaction
from django.test.utils import CaptureQueriesContext

from identityserver import clean_up as module
from identityserver.clean_up import CHORES, clean_up
from identityserver.digests import new_handle
from identityserver.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    DeviceRequest,
    Event,
    Grant,
    InitialAccessToken,
    LogoutRequest,
    ReferenceToken,
    RefreshToken,
    Registration,
    SessionClient,
    SigningKey,
    UsedIdentifier,
    UserSession,
)
from identityserver.models.fields import now
from identityserver.testing import RelyingParty
from tests.speaking import ISSUER

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def in_development(settings):
    settings.DEBUG = True  # an issuer without https would otherwise stop every command
    settings.IDENTITYSERVER = {"issuer": ISSUER}


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("identityserver_clean_up", *arguments, stdout=out)
    return out.getvalue()


def counts(**given) -> dict[str, int]:
    return {cleaned.name: cleaned.count for cleaned in clean_up(**given) if cleaned.count}


def used_identifiers(count: int, *, age: timedelta = DAY) -> None:
    UsedIdentifier.objects.bulk_create(
        UsedIdentifier(
            purpose="jti", issuer="x", digest=new_handle(), mark="m", expires=now() - age - timedelta(seconds=number)
        )
        for number in range(count)
    )


def grants(client, count: int, *, expires, refresh_tokens: int = 0, session=None, user=None) -> list[Grant]:
    """Grants with a code and some refresh tokens each, as flows leave them behind."""
    rows = [
        Grant(client=client.row, user=user, session=session, kind="x", expires=expires + timedelta(seconds=number))
        for number in range(count)
    ]
    Grant.objects.bulk_create(rows)
    AuthorizationCode.objects.bulk_create(
        AuthorizationCode(grant=grant, digest=new_handle(), redirect_uri="x", expires=grant.expires) for grant in rows
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(grant=grant, digest=new_handle(), expires=grant.expires)
        for grant in rows
        for _ in range(refresh_tokens)
    )
    return rows


class TestWhatGoes:
    """One row of each kind that has expired, and one that has not."""

    @pytest.fixture
    def rows(self, alice, web_app, clock):
        """By model, the row that has expired; another one, which has not, is beside each."""
        client, user, past, future = web_app.row, alice.user, clock.now() - 2 * DAY, clock.now() + DAY
        other = type(user).objects.create_user("bob")

        def both(model, **fields):
            for expires in (future, past):
                unique = {
                    field.name: new_handle()
                    for field in model._meta.concrete_fields
                    if field.unique and isinstance(field, models.CharField) and field.name not in fields
                }
                row = model.objects.create(**fields, **unique, expires=expires)
            return row

        Consent.objects.create(user=other, client=client, expires=None)
        return {
            AuthorizationRequest: both(AuthorizationRequest, client=client, binding="x", parameters={}),
            LogoutRequest: both(LogoutRequest, binding="x"),
            DeviceRequest: both(DeviceRequest, client=client, interval=5),
            UsedIdentifier: [used_identifiers(1), UsedIdentifier.objects.get()][1],
            ReferenceToken: both(ReferenceToken, client=client, claims={}),
            InitialAccessToken: both(InitialAccessToken),
            Consent: Consent.objects.create(user=user, client=client, expires=past),
            Grant: both(Grant, client=client, kind="x"),
            UserSession: both(UserSession, user=other, auth_time=past, last_seen=past),
            Event: Event.objects.create(type="x", outcome="success", time=clock.now() - 181 * DAY),
        }

    def test_it_goes_and_the_others_stay(self, rows):
        before = {model: model.objects.count() for model in rows}
        assert set(counts().values()) == {1}
        for model, row in rows.items():
            assert not model.objects.filter(pk=row.pk).exists(), model
            if model is not Event:
                assert model.objects.count() == before[model] - 1, model

    def test_each_table_has_its_row_in_this_test(self, rows):
        assert set(rows) == {chore.model for chore in CHORES}

    def test_a_dry_run_says_the_same_and_deletes_nothing(self, rows):
        said = run("--dry-run")
        assert "10 would be deleted." in said
        assert all(model.objects.filter(pk=row.pk).exists() for model, row in rows.items())
        assert run().splitlines()[:-1] == said.splitlines()[:-1]

    def test_running_it_again_finds_nothing(self, rows):
        run()
        assert "0 were deleted." in run()


def test_every_table_whose_rows_expire_is_cleaned_up():
    """Or goes along with one that is, or is configuration that stays until somebody deletes it."""
    expiring = {
        model
        for model in apps.get_app_config("identityserver").get_models()
        if any(field.name == "expires" for field in model._meta.fields)
    }
    cleaned = {chore.model for chore in CHORES}
    along = {
        relation.related_model
        for model in cleaned
        for relation in module._relations(model)
        if relation.on_delete is models.CASCADE
    }
    by_hand = {"ClientSecret", "ApiSecret"}
    assert {model.__name__ for model in expiring - cleaned - along} == by_hand


class TestGrants:
    """Kept until the last token that one gave has expired, with all that shows a replay."""

    def test_the_last_access_token_outlives_the_grant_and_works(self, clock, alice, relying_party):
        client = relying_party(scopes="openid offline_access", refresh_token_absolute_lifetime=3600)
        refresh_token = client.redeem(alice.browser.authorize(client).code).succeeds().refresh_token
        clock.forward(minutes=59)
        token = client.refresh(refresh_token).succeeds().access_token
        clock.forward(minutes=59)
        run()
        assert client.userinfo(token).status_code == 200
        clock.forward(days=1)
        run()
        assert not Grant.objects.exists()
        assert client.userinfo(token).status_code == 401

    def test_a_client_with_long_lived_tokens_keeps_them_longer(self, clock, alice, relying_party):
        """As long as what its key recorded, even where the client has been changed since."""
        client = relying_party(access_token_lifetime=20 * 86400)
        token = client.redeem(alice.browser.authorize(client).code).succeeds().access_token
        client.row.access_token_lifetime = 60
        client.row.save()
        grant = Grant.objects.get()
        Grant.objects.filter(pk=grant.pk).update(expires=clock.now())
        clock.forward(days=19)
        run()
        assert client.userinfo(token).status_code == 200

    def test_a_replayed_code_still_ends_the_family(self, clock, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        code = alice.browser.authorize(client).code
        refresh_token = client.redeem(code).succeeds().refresh_token
        clock.forward(days=10)
        run()
        client.redeem(code).fails_with("invalid_grant")
        client.refresh(refresh_token).fails_with("invalid_grant")
        assert Event.objects.filter(type="code_replayed").exists() or Grant.objects.get().revoked_at

    def test_a_replayed_refresh_token_still_ends_the_family(self, clock, alice, relying_party):
        client = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        first = client.redeem(alice.browser.authorize(client).code).succeeds().refresh_token
        second = client.refresh(first).succeeds().refresh_token
        third = client.refresh(second).succeeds().refresh_token
        clock.forward(days=14)
        run()
        client.refresh(first).fails_with("invalid_grant")
        client.refresh(third).fails_with("invalid_grant")
        assert Grant.objects.get().revoked_at

    def test_what_hangs_off_one_goes_before_it(self, web_app, clock):
        grants(web_app, 7, expires=clock.now() - 2 * DAY, refresh_tokens=5)
        assert counts(batch=3) == {"grants": 7}
        assert not AuthorizationCode.objects.exists()
        assert not RefreshToken.objects.exists()

    def test_one_that_another_row_needs_stays_with_everything(self, web_app, clock):
        """A device request that has not expired names it, which nulls its grant where that is deleted."""
        kept, _ = grants(web_app, 2, expires=clock.now() - 2 * DAY, refresh_tokens=1)
        DeviceRequest.objects.create(
            client=web_app.row, digest="x", user_code="x", interval=5, expires=clock.now(), grant=kept
        )
        assert counts() == {"grants": 1}
        assert Grant.objects.get() == kept
        assert RefreshToken.objects.get().grant == kept

    def test_a_client_registered_with_a_token_keeps_the_token(self, web_app, clock):
        token = InitialAccessToken.objects.create(digest="x", expires=clock.now() - DAY)
        Registration.objects.create(client=web_app.row, digest="x", initial_access_token=token)
        run()
        assert InitialAccessToken.objects.get() == token


class TestSessions:
    def test_one_stays_while_a_grant_came_from_it(self, web_app, alice, clock):
        session = UserSession.objects.get(user=alice.user)
        UserSession.objects.filter(pk=session.pk).update(expires=clock.now() - 2 * DAY)
        session.take_part(web_app.row)
        (grant,) = grants(web_app, 1, expires=clock.now() + DAY, session=session)
        run()
        assert SessionClient.objects.get().session == session
        Grant.objects.filter(pk=grant.pk).update(expires=clock.now() - 2 * DAY)
        run()
        assert not UserSession.objects.exists()
        assert not SessionClient.objects.exists()


class TestEvents:
    def test_they_are_kept_for_ever_where_the_option_says_so(self, settings, clock):
        Event.objects.create(type="old", outcome="success", time=clock.now() - 3650 * DAY)
        settings.IDENTITYSERVER = {"issuer": ISSUER, "event_retention": timedelta()}
        run()
        assert Event.objects.filter(type="old").exists()
        settings.IDENTITYSERVER = {"issuer": ISSUER, "event_retention": 3649 * DAY}
        run()
        assert not Event.objects.filter(type="old").exists()

    def test_every_run_leaves_one(self, django_capture_on_commit_callbacks):
        used_identifiers(3)
        with django_capture_on_commit_callbacks(execute=True):
            run("--limit", "2")
        event = Event.objects.get(type="cleaned_up")
        assert (event.code, event.detail) == ("limit", "used identifiers: 2")


class TestKeys:
    def test_those_that_no_live_token_can_need(self, signing_keys, clock):
        clock.forward(days=105)
        assert counts()["signing keys"] == 2
        assert set(SigningKey.objects.values_list("private_jwk", flat=True)) == {""}
        assert counts() == {}


class TestSteps:
    """Batches, limits, indexes."""

    def test_batches(self):
        used_identifiers(25)
        with CaptureQueriesContext(connection) as captured:
            assert counts(batch=10) == {"used identifiers": 25}
        said = [query["sql"].partition(" WHERE ")[0] for query in captured.captured_queries]
        deletes = [sql for sql in said if sql.startswith("DELETE") and UsedIdentifier._meta.db_table in sql]
        assert len(deletes) == 3

    @pytest.mark.parametrize("limit", [1, 7, 10, 24])
    def test_a_limit(self, limit):
        used_identifiers(25)
        assert "there is more to delete" in run("--limit", str(limit), "--batch-size", "5")
        assert UsedIdentifier.objects.count() == 25 - limit

    @pytest.mark.parametrize("arguments", [["--batch-size", "0"], ["--batch-size", "1001"], ["--limit", "0"]])
    def test_what_makes_no_sense(self, arguments):
        with pytest.raises(CommandError):
            run(*arguments)

    def test_rows_of_one_moment_are_all_reached(self, web_app, clock):
        """Those that stay fill whole batches, and those behind them go all the same."""
        moment = clock.now() - 2 * DAY
        rows = grants(web_app, 12, expires=moment, refresh_tokens=1)
        Grant.objects.update(expires=moment)
        later = grants(web_app, 3, expires=moment + timedelta(hours=1))
        for grant in rows[:9]:
            handle = new_handle()
            DeviceRequest.objects.create(
                client=web_app.row, digest=handle, user_code=handle, interval=5, expires=clock.now(), grant=grant
            )
        counts(batch=4)
        left = set(Grant.objects.values_list("pk", flat=True))
        assert left >= {grant.pk for grant in rows[:9]}
        assert not left & {grant.pk for grant in later}

    @pytest.mark.parametrize("chore", CHORES, ids=lambda chore: chore.model.__name__)
    def test_rows_are_found_by_an_index(self, chore):
        rows = module._expired(chore).order_by(chore.moment).values_list("pk", chore.moment)[: module.BATCH]
        assert uses_index(rows, chore.model, chore.moment), rows.explain()

    @pytest.mark.parametrize("chore", CHORES, ids=lambda chore: chore.model.__name__)
    def test_what_refers_to_them_is_found_by_an_index(self, chore):
        for relation in module._relations(chore.model):
            rows = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": [uuid.uuid4()]})
            assert uses_index(rows, relation.related_model, relation.field.column), rows.explain()


def uses_index(rows, model, column: str) -> bool:
    """Whether the plan reads by an index on ``column``, as it will where the table is big enough."""
    if connection.vendor == "sqlite":
        return bool(re.search(rf"USING (COVERING )?INDEX \S+ \({column}[<>=]", rows.explain()))
    with connection.cursor() as cursor, transaction.atomic():
        found = connection.introspection.get_constraints(cursor, model._meta.db_table).items()
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = rows.explain()
    return any(name in plan for name, index in found if index["columns"] and index["columns"][0] == column)


@pytest.mark.django_db(transaction=True)
class TestManyNodes:
    """At once, beside people who use what is not expired, and nobody waits for anybody."""

    def test_they_share_the_work(self, web_app):
        used_identifiers(300)
        grants(web_app, 60, expires=now() - 2 * DAY, refresh_tokens=4)
        barrier, done, failed = threading.Barrier(4), [], []

        def node():
            try:
                barrier.wait(timeout=30)
                done.append(sum(cleaned.count for cleaned in clean_up(batch=20)))
            except Exception as error:  # noqa: BLE001  told below, by the thread that asserts
                failed.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=node) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        list(clean_up())
        assert not UsedIdentifier.objects.exists()
        assert not Grant.objects.exists()
        assert not RefreshToken.objects.exists()

    @pytest.mark.postgres
    def test_rows_that_somebody_holds_are_passed_over(self, web_app):
        used_identifiers(5)
        held = UsedIdentifier.objects.order_by("expires")[0].pk
        (grant, _) = grants(web_app, 2, expires=now() - 2 * DAY, refresh_tokens=2)
        token = grant.refresh_tokens.first().pk
        holding, over = threading.Event(), threading.Event()

        def hold():
            try:
                with transaction.atomic():
                    UsedIdentifier.objects.select_for_update().get(pk=held)
                    RefreshToken.objects.select_for_update().get(pk=token)
                    holding.set()
                    over.wait(timeout=30)
            finally:
                connections.close_all()

        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait(timeout=30)
        assert counts(batch=3) == {"used identifiers": 4, "grants": 1}
        over.set()
        thread.join()
        assert RefreshToken.objects.get().pk == token
        assert counts() == {"used identifiers": 1, "grants": 1}

    def test_a_row_that_is_needed_again_stays(self, web_app, monkeypatch):
        """Somebody refers to it between looking and deleting: the database refuses, and the rest goes on."""
        (grant,) = grants(web_app, 1, expires=now() - 2 * DAY)
        used_identifiers(1)
        Event.objects.create(type="x", outcome="success", time=now() - 200 * DAY)
        monkeypatch.setattr(module, "_relations", relations_but_codes(module._relations))
        assert counts() == {"used identifiers": 1, "events": 1}
        assert Grant.objects.get() == grant

    def test_refreshing_goes_on(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        token = client.redeem(alice.browser.authorize(client).code).succeeds().refresh_token
        grants(client, 50, expires=now() - 2 * DAY, refresh_tokens=3)
        stop, failed = threading.Event(), []

        def node():
            try:
                while not stop.is_set():
                    list(clean_up(batch=10))
            except Exception as error:  # noqa: BLE001  told below, by the thread that asserts
                failed.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=node)
        thread.start()
        for _ in range(10):
            token = client.refresh(token).succeeds().refresh_token
        stop.set()
        thread.join()
        assert failed == []


def relations_but_codes(relations):
    """``relations`` as they were before somebody added a code."""
    return lambda model: [found for found in relations(model) if found.related_model is not AuthorizationCode]


def test_a_client_of_the_machine_kind_leaves_nothing_behind(signing_keys):
    machine = RelyingParty(allowed_grant_types=["client_credentials"])
    machine.client_credentials().succeeds()
    assert counts() == {}
