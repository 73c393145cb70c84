"""Secrets go where they belong and nowhere else: planted through whole journeys, and looked for everywhere.

The log, the event log, the admin, reports of exceptions, session data and a dump of our tables show no code, token,
secret, verifier or password; and no string of a dump opens anything.
"""

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception
from django.db import ProgrammingError, connection
from django.test import Client as HttpClient
from django.urls import reverse
from django.views.debug import ExceptionReporter

from identityserver.models import ApiResource, ApiScope, AuthorizationRequest, Client, ClientSecret
from identityserver.testing import Browser, RelyingParty
from identityserver.testing.fixtures import Person
from identityserver.testing.relying_party import FORM, basic
from identityserver.web import pending
from tests.oauth2.registering import WEB, as_sent, initial_access_token, manage, register, registered
from tests.speaking import AskingApi

MISTYPED = "mistyped-password-0xDEADBEEF"
IN_THE_WRONG_FIELD = "password-in-the-wrong-field-0xDEADBEEF"
WRONG_SECRET = "wrong-client-secret-0xDEADBEEF"
WRONG_VERIFIER = "wrong-verifier-0xDEADBEEF" + "x" * 30
GARBAGE_TOKEN = "garbage-token-0xDEADBEEF"
TYPED_SECRET = "a secret that somebody chose 0xDEADBEEF"
PASSWORD = "the password of the canary 0xDEADBEEF"

pytestmark = pytest.mark.django_db


@dataclass
class Canaries:
    """What must not be found, by name."""

    values: dict[str, str] = field(default_factory=dict)

    def plant(self, name: str, value: str) -> str:
        assert len(value) >= 16, f"{name} is too short to be looked for"
        self.values[f"{name} {len(self.values)}"] = value
        return value

    def are_not_in(self, text: str, place: str) -> None:
        found = [name for name, value in self.values.items() if any(form in text for form in _forms(value))]
        assert not found, f"{place} shows: {', '.join(found)}"


def _forms(value: str) -> set[str]:
    """The value as it may appear: as it is, escaped, encoded, and the signature of a token alone."""
    return {
        value,
        urlencode({"": value})[1:],
        json.dumps(value)[1:-1],
        base64.b64encode(value.encode()).decode().rstrip("="),
        value.rpartition(".")[2],
    }


@pytest.fixture
def canaries(caplog: pytest.LogCaptureFixture) -> Canaries:
    caplog.set_level(logging.DEBUG)
    planted = Canaries()
    for value in (MISTYPED, IN_THE_WRONG_FIELD, WRONG_SECRET, WRONG_VERIFIER, GARBAGE_TOKEN, TYPED_SECRET, PASSWORD):
        planted.plant("typed", value)
    return planted


@pytest.fixture
def app(settings: Any, relying_party: Callable[..., RelyingParty]) -> RelyingParty:
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "store_issuance_events": True}
    party = relying_party(scopes="openid profile offline_access", require_consent=True, refresh_token_usage="one_time")
    ClientSecret.typed(party.row, TYPED_SECRET)
    return party


@pytest.fixture
def notes(db: None) -> AskingApi:
    row = ApiResource.objects.create(name="notes")
    row.api_scopes.set([ApiScope.objects.create(name="notes.read")])
    return AskingApi(row)


@pytest.fixture
def opaque(notes: AskingApi, relying_party: Callable[..., RelyingParty]) -> RelyingParty:
    """A client whose access tokens are handles."""
    return relying_party(scopes="openid notes.read offline_access", access_token_type="reference")


@pytest.fixture
def journey(
    canaries: Canaries,
    person: Callable[..., Person],
    app: RelyingParty,
    opaque: RelyingParty,
    television: RelyingParty,
    notes: AskingApi,
) -> Browser:
    """Everything that a person and a client do, rightly and wrongly; every secret on the way is planted."""
    user = person("canary").user
    user.set_password(PASSWORD)
    user.save()
    canaries.plant("client secret", app.secret)
    canaries.plant("verifier", app.verifier)
    browser = Browser()
    page = browser.authorize(app, nonce=canaries.plant("nonce", "nonce-of-a-request-0xDEADBEEF"))
    page = page.sign_in("canary", MISTYPED).sign_in(IN_THE_WRONG_FIELD, PASSWORD).sign_in("canary", PASSWORD)
    code = canaries.plant("code", page.allow().code)
    _plant_cookies(canaries, browser)
    app.redeem(code, code_verifier=WRONG_VERIFIER).fails_with("invalid_grant")
    _with_wrong_credentials(app, code)
    tokens = app.redeem(code).succeeds()
    for name in ("access_token", "refresh_token", "id_token"):
        canaries.plant(name, tokens.members[name])
    assert app.userinfo(tokens.access_token).status_code == 200
    _with_wrong_tokens(app, browser, tokens.members)
    fresh = app.refresh(tokens.refresh_token).succeeds()
    for name in ("access_token", "refresh_token"):
        canaries.plant(name, fresh.members[name])
    newest = canaries.plant("refresh token", app.refresh(fresh.refresh_token).succeeds().refresh_token)
    app.refresh(tokens.refresh_token).fails_with("invalid_grant")
    app.refresh(newest).fails_with("invalid_grant")
    app.redeem(canaries.plant("code", browser.authorize(app).allow().code)).succeeds()
    again = canaries.plant("code", browser.authorize(app).allow().code)
    app.redeem(again).succeeds()
    app.redeem(again).fails_with("invalid_grant")
    browser.authorize(app, prompt="consent")
    browser.authorize(app, prompt="login").sign_in("canary", PASSWORD).allow()
    canaries.plant("unused code", browser.authorize(app).allow().code)
    _with_reference_tokens(canaries, browser, opaque, notes)
    _with_a_device(canaries, browser, television)
    browser.open(f"/connect/endsession?{urlencode({'id_token_hint': 'x' + tokens.members['id_token']})}")
    return browser


def _with_reference_tokens(canaries: Canaries, browser: Browser, opaque: RelyingParty, notes: AskingApi) -> None:
    """Some are given back, and some stay good to the end."""
    canaries.plant("client secret", opaque.secret)
    canaries.plant("API secret", notes.secret)
    for _ in range(2):
        tokens = opaque.redeem(canaries.plant("code", browser.authorize(opaque).code)).succeeds()
        for name in ("access_token", "refresh_token"):
            token = canaries.plant(f"reference {name}", tokens.members[name])
            assert opaque.introspect(token).json()["active"] is True
            assert notes.introspect(token, secret=WRONG_SECRET).status_code == 401
            assert notes.introspect(token).status_code == 200
        opaque.revoke(tokens.members["id_token"] + "x")
    canaries.plant("access token", opaque.refresh(tokens.refresh_token).succeeds().access_token)
    for token in (tokens.access_token, GARBAGE_TOKEN):
        assert opaque.revoke(token).status_code == 200


def _with_a_device(canaries: Canaries, browser: Browser, television: RelyingParty) -> None:
    """One that waits, one that is refused, and one that uses its code twice. User codes are too short to plant."""
    asked = [television.device_authorization().succeeds() for _ in range(3)]
    for found in asked:
        television.poll(canaries.plant("device code", found.device_code)).fails_with("authorization_pending")
    television.poll(asked[0].device_code).fails_with("slow_down")
    browser.enter_user_code(asked[1].user_code).deny()
    television.poll(asked[1].device_code).fails_with("access_denied")
    browser.enter_user_code(asked[2].user_code).allow()
    tokens = television.poll(asked[2].device_code).succeeds()
    for name in ("access_token", "refresh_token", "id_token"):
        canaries.plant(f"device {name}", tokens.members[name])
    television.poll(asked[2].device_code).fails_with("invalid_grant")


def _plant_cookies(canaries: Canaries, browser: Browser, prefix: str = "") -> None:
    for name, cookie in browser.http.cookies.items():
        if cookie.value and name.startswith(prefix):
            canaries.plant(f"cookie {name}", cookie.value)


def _with_wrong_credentials(app: RelyingParty, code: str) -> None:
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": app.verifier}
    url = reverse("identityserver:token")
    for header in (basic(app.client_id, WRONG_SECRET), basic("nobody", app.secret), f"Basic {app.secret}", app.secret):
        assert (
            app.http.post(url, urlencode(form), content_type=FORM, headers={"Authorization": header}).status_code >= 400
        )
    for secret in (WRONG_SECRET, app.secret):
        both = {**form, "client_id": app.client_id + "x", "client_secret": secret}
        assert app.http.post(url, urlencode(both), content_type=FORM).status_code == 401
    assert app.http.post(f"{url}?client_secret={app.secret}", urlencode(form), content_type=FORM).status_code == 400
    assert app.http.post(url, json.dumps(form), content_type="application/json").status_code == 415
    assert app.http.post(url, {**form, "client_secret": app.secret}).status_code == 415
    assert app.http.post(url, f"{urlencode(form)}&code={code}&x=%00", content_type=FORM).status_code == 400


def _with_wrong_tokens(app: RelyingParty, browser: Browser, tokens: dict[str, Any]) -> None:
    assert app.userinfo(tokens["id_token"]).status_code == 401
    assert app.userinfo(tokens["access_token"] + "x").status_code == 401
    assert app.userinfo(tokens["refresh_token"]).status_code == 401
    assert app.userinfo(GARBAGE_TOKEN).status_code == 401
    app.refresh(tokens["access_token"]).fails_with("invalid_grant")
    app.refresh(GARBAGE_TOKEN).fails_with("invalid_grant")
    app.redeem(tokens["refresh_token"]).fails_with("invalid_grant")
    url = reverse("identityserver:userinfo")
    assert app.http.get(url, {"access_token": tokens["access_token"]}).status_code == 400
    assert browser.authorize(app, id_token_hint=tokens["access_token"], prompt="none").error == "invalid_request"


class TestWhatIsKept:
    """After a day of ordinary use and ordinary mistakes."""

    def test_log_tables_and_sessions(
        self, journey: Browser, canaries: Canaries, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.search_the_log(canaries, caplog.get_records("setup"))
        self.search_representations(canaries)
        for session in Session.objects.all():
            canaries.are_not_in(json.dumps(session.get_decoded()), "Session data")
        strings = dump()
        assert {"login_failed", "request_refused", "code_replayed"} <= set(strings["identityserver_event"])
        canaries.are_not_in("\n".join(strings["identityserver_event"]), "The event log")
        # A nonce is no credential: a code keeps it until it is redeemed, and a request as long as it waits.
        canaries.values = {name: value for name, value in canaries.values.items() if "nonce" not in name}
        for table, found in strings.items():
            canaries.are_not_in("\n".join(found), f"The table {table}")

    def search_the_log(self, canaries: Canaries, records: list[logging.LogRecord]) -> None:
        assert any("request_refused" in record.getMessage() for record in records)
        for record in records:
            canaries.are_not_in(f"{record.getMessage()} {record.args} {record.exc_text}", f"The log {record.name}")

    def search_representations(self, canaries: Canaries) -> None:
        """What ends in a log or a debugger by ``repr`` and ``str``."""
        for model in apps.get_app_config("identityserver").get_models():
            for row in model._default_manager.all():
                canaries.are_not_in(f"{row!r} {row}", model.__name__)

    def test_admin(self, journey: Browser, canaries: Canaries) -> None:
        get_user_model()._default_manager.create_superuser("root", "root@example.com", "root")
        http = HttpClient()
        http.login(username="root", password="root")
        seen = 0
        for model in apps.get_app_config("identityserver").get_models():
            if model not in admin.site._registry:
                continue
            name = f"admin:identityserver_{model._meta.model_name}"
            urls = [reverse(f"{name}_changelist")]
            urls += [
                reverse(f"{name}_{page}", args=[row.pk])
                for row in model.objects.all()[:20]
                for page in ("change", "history")
            ]
            for url in urls:
                response = http.get(url)
                seen += response.status_code == 200
                canaries.are_not_in(response.content.decode(), url)
        assert seen


def dump() -> dict[str, list[str]]:
    """Every string in every table of ours, also those within JSON, as somebody reads them who has the backup."""
    found: dict[str, list[str]] = {}
    for model in apps.get_app_config("identityserver").get_models(include_auto_created=True):
        rows = model.objects.values() if hasattr(model, "objects") else model._default_manager.values()
        found[model._meta.db_table] = [text for row in rows for value in row.values() for text in strings_in(value)]
    return found


def strings_in(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, part in value.items():
                yield from (name, *strings_in(part))
        case list() | tuple():
            for part in value:
                yield from strings_in(part)
        case None | bool() | int() | float() | datetime():
            return
        case _:
            yield str(value)
            if isinstance(value, str) and value.startswith(("{", "[")):
                yield from strings_in(json.loads(value))


class TestDumpOfTheTables:
    """security.md, "Data at rest": every string of a dump is tried as a credential, and none is one."""

    def test_nothing_in_it_opens_anything(
        self, unlimited: None, journey: Browser, app: RelyingParty, opaque: RelyingParty, notes: AskingApi
    ) -> None:
        candidates = {text for strings in dump().values() for text in strings if len(text) >= 8}
        candidates |= {part for text in candidates for part in re.split(r"[\s\"',:;{}]+", text) if len(part) >= 16}
        assert len(candidates) > 100
        for candidate in sorted(candidates):
            self.is_worthless(candidate, app)
            self.is_no_token(candidate, opaque, notes)

    def is_worthless(self, candidate: str, app: RelyingParty) -> None:
        verifier = candidate if 43 <= len(candidate) <= 128 else app.verifier
        for fields in (
            {"grant_type": "authorization_code", "code": candidate, "code_verifier": verifier},
            {"grant_type": "refresh_token", "refresh_token": candidate},
        ):
            members = app.token(**fields, redirect_uri=app.redirect_uri).members
            assert members["error"] in {"invalid_grant", "invalid_request"}, candidate
        form = urlencode({"grant_type": "refresh_token", "refresh_token": "x"})
        header = {"Authorization": basic(app.client_id, candidate)}
        assert app.http.post("/connect/token", form, content_type=FORM, headers=header).status_code == 401, candidate
        if candidate.isprintable() and candidate.isascii():
            assert app.userinfo(candidate).status_code == 401, candidate
        stranger = HttpClient()
        stranger.cookies["sessionid"] = candidate[:40]
        assert "_auth_user_id" not in stranger.session, candidate

    def is_no_token(self, candidate: str, opaque: RelyingParty, notes: AskingApi) -> None:
        if candidate.isprintable() and len(candidate) <= 2000:
            assert opaque.introspect(candidate).json() == {"active": False}, candidate
            assert notes.introspect("x", secret=candidate).status_code == 401, candidate

    def test_nobody_can_go_on_with_a_waiting_request(self, journey: Browser) -> None:
        """Neither its row nor any pair of strings in it makes handle and cookie."""
        row = AuthorizationRequest.objects.filter(used_at=None).latest("created")
        strings = [str(row.pk), row.digest, row.binding, row.seen_sid, row.approved_sid]
        for handle in filter(None, strings):
            for binding in filter(None, strings):
                thief = HttpClient()
                thief.cookies[pending._cookie(handle)] = binding
                assert thief.get("/connect/authorize/resume", {"request": handle}).status_code == 400


@pytest.fixture
def unlimited(settings: Any) -> None:
    """Thousands of guesses, which the limit would hide."""
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 0}


class Fault(ProgrammingError):
    """A fault of the database that is no failing of it: nobody foresaw it."""


@contextmanager
def fault_at(number: int) -> Iterator[list[int]]:
    """The statement ``number`` fails in a way that nobody foresaw; gives the count of statements."""
    count = [0]

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        count[0] += 1
        if count[0] == number:
            raise Fault("a fault in the middle")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield count


class Reports:
    """What Django would mail to the administrators of the site: everything that its two templates show."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, request: Any, exception: Any) -> None:
        shown = ExceptionReporter(request, *exception, is_email=True).get_traceback_data()
        shown.pop("settings", None)
        self.texts.append(html.unescape(str(shown)))


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Iterator[Reports]:
    """Reports of what signals and log records tell of, as the handler ``AdminEmailHandler`` makes them."""
    import sys

    made = Reports()

    def on_signal(request: Any = None, **_: Any) -> None:
        made.note(request, sys.exc_info())

    class Mailer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            made.note(getattr(record, "request", None), record.exc_info or (None, record.getMessage(), None))

    mailer = Mailer(logging.ERROR)
    got_request_exception.connect(on_signal)
    logging.getLogger().addHandler(mailer)
    for name in ("identityserver", "django.request"):
        assert logging.getLogger(name).isEnabledFor(logging.ERROR)
    yield made
    logging.getLogger().removeHandler(mailer)
    got_request_exception.disconnect(on_signal)


class TestExceptionReports:
    """A fault at every statement: Django's report of it, by mail with local variables, shows no secret."""

    def search(self, canaries: Canaries, reports: Reports, act: Callable[[], Any]) -> None:
        number, statements = 0, 1
        while number < statements:
            number += 1
            with fault_at(number) as count:
                act()
            statements = max(count[0], number if number < 3 else 0)
        assert reports.texts
        for text in reports.texts:
            canaries.are_not_in(text, "A report")

    def test_registration(self, canaries: Canaries, reports: Reports, settings: Any, signing_keys: None) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "initial_access_token"}
        token = canaries.plant("initial access token", initial_access_token())
        self.search(canaries, reports, lambda: register(WEB, token))

    def test_replaced_registration(
        self, canaries: Canaries, reports: Reports, settings: Any, signing_keys: None
    ) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "open", "registration_limit_per_hour": 0}
        information = registered()
        for name in ("client_secret", "registration_access_token"):
            canaries.plant(name, information[name])
        body = as_sent(information, client_secret=information["client_secret"], client_name="New name")
        self.search(canaries, reports, lambda: manage("PUT", information, body))

    def test_code_exchange(self, canaries: Canaries, reports: Reports, alice: Person, app: RelyingParty) -> None:
        canaries.plant("secret", app.secret)
        canaries.plant("verifier", app.verifier)
        Client.objects.update(require_consent=False)

        def redeem() -> None:
            app.redeem(code)

        code = canaries.plant("code", alice.browser.authorize(app).code)
        self.search(canaries, reports, redeem)

    def test_client_secret_post(self, canaries: Canaries, reports: Reports, alice: Person, app: RelyingParty) -> None:
        canaries.plant("secret", app.secret)
        app.row.token_endpoint_auth_method = "client_secret_post"
        self.search(canaries, reports, lambda: app.refresh(GARBAGE_TOKEN))

    def test_refresh(self, canaries: Canaries, reports: Reports, alice: Person, app: RelyingParty) -> None:
        Client.objects.update(require_consent=False)
        tokens = app.redeem(alice.browser.authorize(app).code).succeeds()
        canaries.plant("secret", app.secret)
        canaries.plant("refresh token", tokens.refresh_token)
        self.search(canaries, reports, lambda: app.refresh(tokens.refresh_token))

    def test_userinfo(self, canaries: Canaries, reports: Reports, alice: Person, web_app: RelyingParty) -> None:
        token = canaries.plant("token", web_app.redeem(alice.browser.authorize(web_app).code).succeeds().access_token)
        self.search(canaries, reports, lambda: web_app.userinfo(token))

        def in_the_form() -> None:
            web_app.http.post("/connect/userinfo", urlencode({"access_token": token}), content_type=FORM)

        self.search(canaries, reports, in_the_form)

    @pytest.mark.parametrize("member", ["access_token", "refresh_token"])
    def test_introspection_and_revocation(
        self,
        canaries: Canaries,
        reports: Reports,
        alice: Person,
        opaque: RelyingParty,
        notes: AskingApi,
        member: str,
    ) -> None:
        for name, secret in (("client secret", opaque.secret), ("API secret", notes.secret)):
            canaries.plant(name, secret)
        token = opaque.redeem(alice.browser.authorize(opaque).code).succeeds().members[member]
        canaries.plant("token", token)
        self.search(canaries, reports, lambda: opaque.introspect(token))
        self.search(canaries, reports, lambda: notes.introspect(token))
        self.search(canaries, reports, lambda: opaque.revoke(token))

    def test_login(
        self, canaries: Canaries, reports: Reports, person: Callable[..., Person], app: RelyingParty
    ) -> None:
        user = person("canary").user
        user.set_password(PASSWORD)
        user.save()

        def sign_in() -> None:
            browser = Browser()
            page = browser.authorize(app)
            if "username" in page.fields:
                _plant_cookies(canaries, browser, "identityserver")
                browser.http.post(page.url, {**page.fields, "username": "canary", "password": PASSWORD})

        self.search(canaries, reports, sign_in)

    def test_resuming(self, canaries: Canaries, reports: Reports, alice: Person, app: RelyingParty) -> None:
        """The cookies that make this browser the one that may go on; Django shows its own in its own frames."""

        def go_on() -> None:
            page = alice.browser.authorize(app)
            _plant_cookies(canaries, alice.browser, "identityserver")
            if "csrfmiddlewaretoken" in page.fields:
                alice.browser.http.post(page.url, {**page.fields, "allow": "yes"})
            alice.browser.http.get(page.url.replace("account/consent", "connect/authorize/resume"))

        self.search(canaries, reports, go_on)
