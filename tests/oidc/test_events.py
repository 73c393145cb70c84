"""The event log: what is stored, when, and what never is."""

import json
import logging

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.db import OperationalError, connection
from django.test import Client

from identityserver import signals
from identityserver.errors import InvalidGrant, TemporarilyUnavailable
from identityserver.models import Client as Application
from identityserver.models import Event, UserSession
from identityserver.scopes import Resources
from identityserver.tokens.authorization import Authorization
from identityserver.vocabulary import GrantType
from identityserver.web import events
from identityserver.web.events import STORED_IN_ALL, STORED_PER_ADDRESS

PASSWORD = "correct horse"
SECRET = "canary-in-the-coal-mine"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.oidc.host_site")]

told: list[Event] = []


def sink(event: Event) -> None:
    told.append(event)


def broken_sink(event: Event) -> None:
    raise LookupError("the sink is out of order")


@pytest.fixture(autouse=True)
def _nothing_told():
    told.clear()


@pytest.fixture
def alice():
    return get_user_model().objects.create_user("alice", password=PASSWORD)


@pytest.fixture
def option(settings):
    def choose(**options):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **options}

    return choose


def sign_in(browser: Client, password: str = PASSWORD, name: str = "alice", **headers: str):
    return browser.post("/log_in", {"username": name, "password": password}, **headers)


def stored(kind: str) -> list[Event]:
    return list(Event.objects.filter(type=kind))


class TestSigningInAndOut:
    def test_a_sign_in_is_stored(self, client, alice):
        sid = sign_in(client).json()["sid"]
        (login,) = stored("login_succeeded")
        (began,) = stored("session_started")
        for event in (login, began):
            assert (event.user, event.session, event.ip) == (str(alice.pk), sid, "127.0.0.1")
            assert event.outcome == "success"

    def test_signing_in_again_begins_no_session(self, client, alice):
        sign_in(client)
        sign_in(client)
        assert len(stored("login_succeeded")) == 2
        assert len(stored("session_started")) == 1

    @pytest.mark.parametrize("page", ["/log_out", "/flush"])
    def test_the_end_of_a_session_is_stored_with_its_reason(self, client, alice, page):
        sid = sign_in(client).json()["sid"]
        client.post(page)
        (ended,) = stored("session_ended")
        assert (ended.session, ended.user, ended.code) == (sid, str(alice.pk), "signed_out")
        assert ended.ip == "127.0.0.1"

    def test_a_deleted_users_sessions_end_in_the_log(self, client, alice, django_capture_on_commit_callbacks):
        sid, user = sign_in(client).json()["sid"], str(alice.pk)
        with django_capture_on_commit_callbacks(execute=True):
            alice.delete()
        (ended,) = stored("session_ended")
        assert (ended.session, ended.user, ended.code) == (sid, user, "user_deleted")

    def test_a_refused_sign_in_is_stored_without_the_password(self, client, alice):
        sign_in(client, password=SECRET)
        (failed,) = stored("login_failed")
        assert (failed.user, failed.code, failed.outcome) == (str(alice.pk), "credentials", "failure")
        assert SECRET not in everything_stored()

    def test_what_was_typed_for_a_user_name_may_be_a_password(self, client, alice):
        sign_in(client, name=SECRET)
        (failed,) = stored("login_failed")
        assert failed.user == ""
        assert SECRET not in everything_stored()

    @pytest.mark.parametrize("credentials", [{}, {"token": SECRET}, {"username": None}, {"username": b"\0"}])
    def test_backends_with_other_credentials_do_not_matter(self, settings, credentials):
        settings.AUTHENTICATION_BACKENDS = ["tests.oidc.test_events.NoBackend"]
        authenticate(None, **credentials)
        assert SECRET not in everything_stored()


class NoBackend:
    """Lets nobody in, whatever the credentials."""

    def authenticate(self, request, **credentials):
        return None


class TestRefusedRequests:
    def refuse(self, detail: str = "", **arguments) -> InvalidGrant:
        error = InvalidGrant("The code has expired.", detail=detail)
        sent = {"endpoint": "token", "client_id": "app", **arguments}
        signals.request_refused.send(sender=None, error=error, **sent)
        return error

    def test_staff_find_by_the_reference_what_the_client_was_told(self, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            error = self.refuse(detail="expired 3 s ago")
        event = Event.objects.get(reference=error.reference)
        assert (event.type, event.outcome, event.client) == ("request_refused", "failure", "app")
        assert event.code == "invalid_grant"
        assert event.detail == "token: The code has expired. expired 3 s ago"
        assert event.clause == error.clause
        assert event.remedy == error.remedy

    def test_hostile_values_fit_their_columns(self, django_capture_on_commit_callbacks):
        """PostgreSQL stores no NUL and nothing over-long."""
        with django_capture_on_commit_callbacks(execute=True):
            self.refuse(client_id="x\0\r\n" + "y" * 5000, detail="\0" * 9000)
        event = Event.objects.get()
        assert event.client == ("x   " + "y" * 5000)[:255]
        assert len(event.detail) == 2000

    def test_a_server_that_cannot_answer_does_not_wait_for_its_log(self, caplog, django_capture_on_commit_callbacks):
        """The database that failed is not asked once more while the client waits."""
        with django_capture_on_commit_callbacks(execute=True):
            error = TemporarilyUnavailable("The server cannot answer now.")
            signals.request_refused.send(None, error=error, endpoint="token", client_id="app")
        assert error.reference in caplog.text
        assert not Event.objects.exists()

    def test_a_line_of_the_log_cannot_be_forged(self, caplog):
        self.refuse(client_id='x"}\n2026-01-01 forged')
        (record,) = [record for record in caplog.records if record.name == "identityserver.events"]
        message = record.getMessage()
        assert "\n" not in message
        assert json.loads(message.partition(" ")[2])["client"] == 'x"} 2026-01-01 forged'


class TestReplays:
    @pytest.mark.parametrize("signal", [signals.code_replayed, signals.refresh_token_replayed])
    def test_a_replay_is_stored_with_what_to_do(self, signal, django_capture_on_commit_callbacks):
        application = Application(client_id="app")
        with django_capture_on_commit_callbacks(execute=True):
            signal.send(sender=None, client=application, grant_id="7", subject="alice")
        event = Event.objects.get()
        assert (event.client, event.outcome) == ("app", "failure")
        assert "7" in event.detail
        assert event.remedy


class TestRollback:
    def test_within_a_request_events_outlive_a_rollback(self, client, alice):
        """They wait for the end of the request, when no transaction is open any more."""
        client.raise_request_exception = False
        sid = sign_in(client).json()["sid"]
        client.post("/flush_in_a_transaction_that_fails")
        (ended,) = stored("session_ended")
        assert ended.session == sid

    def test_with_a_transaction_per_request_too(self, client, alice, monkeypatch):
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        client.raise_request_exception = False
        response = client.post("/log_in_and_fail", {"username": "alice", "password": PASSWORD})
        assert response.status_code == 500
        assert len(stored("login_succeeded")) == 1

    def test_outside_of_a_request_they_go_with_the_transaction(self, alice, django_capture_on_commit_callbacks):
        session = UserSession.objects.begin(alice)
        with django_capture_on_commit_callbacks(execute=True):
            session.end("by a command")
            assert not stored("session_ended")
        assert len(stored("session_ended")) == 1

    @pytest.mark.django_db(transaction=True)
    def test_outside_of_both_they_are_stored_at_once(self, alice):
        UserSession.objects.begin(alice).end("by a command")
        assert len(stored("session_ended")) == 1


class TestFailures:
    def test_a_log_that_cannot_be_written_spoils_no_response(self, client, alice, monkeypatch, caplog):
        def fails(*arguments, **options):
            raise OperationalError("the disk is full")

        monkeypatch.setattr("django.db.models.query.QuerySet.bulk_create", fails)
        assert sign_in(client).status_code == 200
        assert not Event.objects.exists()
        (record,) = [record for record in caplog.records if "could not be stored" in record.getMessage()]
        assert "login_succeeded" in record.getMessage()

    def test_a_broken_sink_harms_nobody(self, client, alice, option, caplog):
        option(event_sinks=["tests.oidc.test_events.broken_sink", "tests.oidc.test_events.sink"])
        assert sign_in(client).status_code == 200
        assert "out of order" in caplog.text
        assert {event.type for event in told} == {"login_succeeded", "session_started"}


class TestIssuance:
    """Ordinary success is logged, not stored, unless an option says so."""

    @pytest.fixture
    def issue(self, django_capture_on_commit_callbacks):
        issued = Authorization(
            client=Application(client_id="app"),
            grant_type=GrantType.CLIENT_CREDENTIALS,
            resources=Resources(scopes=("notes.read",)),
            subject="app",
        )

        def send() -> None:
            with django_capture_on_commit_callbacks(execute=True):
                signals.tokens_issued.send(None, authorization=issued, grant_type=issued.grant_type)

        return send

    def test_it_is_logged_and_not_stored(self, issue, caplog):
        caplog.set_level(logging.INFO, "identityserver.events")
        issue()
        assert "tokens_issued" in caplog.text
        assert not Event.objects.exists()

    def test_it_costs_no_query(self, issue, django_assert_num_queries):
        with django_assert_num_queries(0):
            issue()

    def test_an_option_stores_it(self, issue, option):
        option(store_issuance_events=True)
        issue()
        event = Event.objects.get()
        assert (event.type, event.client, event.code) == ("tokens_issued", "app", "client_credentials")
        assert event.detail == "notes.read"

    def test_sinks_hear_of_it_either_way(self, issue, option):
        option(event_sinks=["tests.oidc.test_events.sink"])
        issue()
        assert [event.type for event in told] == ["tokens_issued"]
        assert not Event.objects.exists()


class TestFloods:
    """What the unauthenticated cause is stored so many times a minute; beyond that it is only logged."""

    def knock(self, times: int, address: str = "203.0.113.1") -> None:
        browser = Client(REMOTE_ADDR=address)
        for _ in range(times):
            browser.post("/log_in", {"username": "nobody", "password": "wrong"})

    def test_one_address_is_capped(self, alice, caplog):
        self.knock(STORED_PER_ADDRESS + 5)
        assert len(stored("login_failed")) == STORED_PER_ADDRESS
        assert caplog.text.count("login_failed") == STORED_PER_ADDRESS + 5

    def test_and_so_is_a_network_of_ipv6(self, alice):
        for number in range(STORED_PER_ADDRESS + 5):
            self.knock(1, f"2001:db8:1:2::{number:x}")
        assert len(stored("login_failed")) == STORED_PER_ADDRESS

    def test_another_address_is_still_heard(self, alice):
        self.knock(STORED_PER_ADDRESS + 5)
        self.knock(1, "203.0.113.2")
        assert Event.objects.filter(ip="203.0.113.2").count() == 1

    def test_and_so_is_the_next_minute(self, alice, clock):
        self.knock(STORED_PER_ADDRESS + 5)
        clock.forward(minutes=1)
        self.knock(1)
        assert len(stored("login_failed")) == STORED_PER_ADDRESS + 1

    def test_many_addresses_together_are_capped(self):
        cap = events._Cap()
        allowed = sum(cap.allows(f"2001:db8::{number:x}") for number in range(STORED_IN_ALL + 100))
        assert allowed == STORED_IN_ALL
        assert len(cap.counts) <= STORED_IN_ALL

    def test_what_takes_authentication_is_not_capped(self, client, alice):
        self.knock(STORED_PER_ADDRESS + 5, "127.0.0.1")
        sign_in(client)
        assert len(stored("login_succeeded")) == 1


def everything_stored() -> str:
    return json.dumps(list(Event.objects.values()), default=str)
