"""The pages of what the flows write: sessions, grants, consents, subjects and events."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from identityserver import signals
from identityserver.admin import base
from identityserver.digests import digest
from identityserver.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Client,
    ClientSecret,
    Consent,
    DeviceRequest,
    Event,
    Grant,
    RefreshToken,
    SigningKey,
    Subject,
    UsedIdentifier,
    UserSession,
)
from tests.admin.forms import Form
from tests.speaking import AskingApi

pytestmark = pytest.mark.django_db

READ_ONLY = ["usersession", "grant", "consent", "devicerequest", "event", "subject"]


def page(model: str, view: str, *args) -> str:
    return reverse(f"admin:identityserver_{model}_{view}", args=args)


def act(http, model: str, action: str, *rows, **fields):
    chosen = {"action": action, "_selected_action": [row.pk for row in rows], **fields}
    return http.post(page(model, "changelist"), chosen, follow=True)


@pytest.fixture
def signed_in(alice, relying_party, television):
    """Alice has used two clients, and a device waits: tokens, a consent and a session are there."""
    television.device_authorization().succeeds()
    apps = [relying_party(scopes="openid offline_access", require_consent=True, name=name) for name in ("Shop", "Blog")]
    for app in apps:
        shown = alice.browser.authorize(app)
        app.tokens = app.redeem((shown.submit(allow="yes", remember="on") if not shown.location else shown).code)
        app.tokens.succeeds()
    return apps


class TestSessions:
    def test_ending_one_signs_the_browser_out(self, administrator, alice, signed_in):
        session = UserSession.objects.get(user=alice.user)
        heard = []
        signals.session_ended.connect(lambda reason, **_: heard.append(reason), weak=False, dispatch_uid="test")
        answer = act(administrator, "usersession", "end_sessions", session)
        signals.session_ended.disconnect(dispatch_uid="test")
        assert "1 session was ended." in answer.content.decode()
        session.refresh_from_db()
        assert (session.end_reason, heard) == ("ended_by_staff", ["ended_by_staff"])
        assert Event.objects.get(type="session_ended").session == session.sid
        assert "Ended the session." in str(LogEntry.objects.get())
        assert alice.browser.authorize(signed_in[0]).shows("Sign in")

    def test_the_page_names_the_clients_that_took_part(self, administrator, alice, signed_in):
        shown = administrator.get(page("usersession", "change", UserSession.objects.get(user=alice.user).pk))
        for app in signed_in:
            assert app.row.name in shown.content.decode()

    def test_they_are_filtered_and_found(self, administrator, alice):
        session = UserSession.objects.get(user=alice.user)
        for query, found in (
            ({"q": "alice"}, True),
            ({"q": session.sid}, True),
            ({"q": "bob"}, False),
            ({"state": "live"}, True),
            ({"state": "over"}, False),
        ):
            listed = administrator.get(page("usersession", "changelist"), query).context["cl"].result_list
            assert (session in listed) == found, query

    def test_only_who_may_change_sessions_ends_them(self, staff, alice):
        session = UserSession.objects.get(user=alice.user)
        act(staff("view_usersession"), "usersession", "end_sessions", session)
        session.refresh_from_db()
        assert session.ended_at is None
        act(staff("change_usersession"), "usersession", "end_sessions", session)
        session.refresh_from_db()
        assert session.ended_at is not None


class TestGrants:
    def test_revoking_one_ends_its_tokens_and_no_others(self, administrator, signed_in):
        shop, blog = signed_in
        act(administrator, "grant", "revoke_grants", Grant.objects.get(client=shop.row))
        shop.refresh(shop.tokens.refresh_token).fails_with("invalid_grant")
        blog.refresh(blog.tokens.refresh_token).succeeds()
        assert Grant.objects.get(client=shop.row).revocation_reason == "revoked_by_staff"

    def test_revoking_one_kills_its_reference_tokens(self, administrator, alice, relying_party, api):
        app = relying_party(scopes="openid notes.read offline_access", access_token_type="reference")
        token = app.redeem(alice.browser.authorize(app).code).access_token
        asking = AskingApi(api)
        assert asking.introspect(token).json()["active"] is True
        act(administrator, "grant", "revoke_grants", Grant.objects.get())
        assert asking.introspect(token).json() == app.introspect(token).json() == {"active": False}
        assert app.userinfo(token).status_code == 401

    def test_its_page_counts_the_tokens_that_are_good(self, administrator, alice, relying_party, clock):
        app = relying_party(scopes="openid offline_access", access_token_type="reference")
        tokens = app.redeem(alice.browser.authorize(app).code).succeeds()
        app.refresh(tokens.refresh_token).succeeds()
        url = page("grant", "change", Grant.objects.get().pk)
        assert "1 refresh tokens, 2 reference tokens" in administrator.get(url).content.decode()
        app.revoke(tokens.access_token)
        assert "1 refresh tokens, 1 reference tokens" in administrator.get(url).content.decode()
        app.revoke(tokens.refresh_token)
        shown = administrator.get(url).content.decode()
        assert "none that is good" in shown
        assert tokens.access_token not in shown

    def test_one_is_found_by_its_client_its_user_and_its_access_token(self, administrator, signed_in):
        shop, _ = signed_in
        grant = Grant.objects.get(client=shop.row)
        for term in (shop.client_id, str(grant.pk), shop.tokens.access_token_claims["jti"], "alice"):
            listed = administrator.get(page("grant", "changelist"), {"q": term}).context["cl"].result_list
            assert grant in listed, term

    def test_only_who_may_change_grants_revokes_them(self, staff, signed_in):
        grants = list(Grant.objects.all())
        act(staff("view_grant"), "grant", "revoke_grants", *grants)
        assert Grant.objects.filter(revoked_at=None).count() == 2


class TestDevices:
    """RFC 8628: what devices ask for; their codes are on no page."""

    def test_they_are_filtered_and_found(self, administrator, alice, television, clock):
        asked = [television.device_authorization().succeeds() for _ in range(4)]
        for number, decide in ((0, "allow"), (1, "deny"), (2, "allow")):
            getattr(alice.browser.enter_user_code(asked[number].user_code), decide)()
        television.poll(asked[0].device_code).succeeds()
        rows = {key: DeviceRequest.objects.get(digest=digest(found.device_code)) for key, found in enumerate(asked)}
        for query, found in (
            ({"state": "waiting"}, {3}),
            ({"state": "allowed"}, {0, 2}),
            ({"state": "refused"}, {1}),
            ({"q": "alice"}, {0, 1, 2}),
            ({"q": television.client_id}, {0, 1, 2, 3}),
            ({"q": "bob"}, set()),
        ):
            listed = administrator.get(page("devicerequest", "changelist"), query).context["cl"].result_list
            assert {key for key, row in rows.items() if row in listed} == found, query
        for key, state in enumerate(("connected", "refused", "allowed", "waiting")):
            shown = administrator.get(page("devicerequest", "change", rows[key].pk)).content.decode()
            assert f'<div class="readonly">{state}</div>' in shown
            assert not any(value in shown for value in (rows[key].digest, rows[key].user_code))
        clock.forward(minutes=6)
        assert "expired" in administrator.get(page("devicerequest", "change", rows[3].pk)).content.decode()


class TestConsents:
    def test_withdrawing_one_revokes_what_was_issued_on_it(self, administrator, signed_in):
        shop, blog = signed_in
        url = page("consent", "delete", Consent.objects.get(client=shop.row).pk)
        assert "every grant that the client has from this user is revoked" in administrator.get(url).content.decode()
        administrator.post(url, {"post": "yes"})
        shop.refresh(shop.tokens.refresh_token).fails_with("invalid_grant")
        blog.refresh(blog.tokens.refresh_token).succeeds()
        assert Consent.objects.get().client_id == blog.row.pk

    def test_several_too(self, administrator, signed_in):
        asked = act(administrator, "consent", "delete_selected", *Consent.objects.all())
        assert "every grant that the client has from this user is revoked" in asked.content.decode()
        assert Consent.objects.count() == 2
        act(administrator, "consent", "delete_selected", *Consent.objects.all(), post="yes")
        assert not Consent.objects.exists()
        assert not Grant.objects.filter(revoked_at=None).exists()

    def test_only_who_may_delete_consents_withdraws_them(self, staff, signed_in):
        url = page("consent", "delete", Consent.objects.first().pk)
        assert staff("view_consent").post(url, {"post": "yes"}).status_code == 403
        assert staff("delete_consent").post(url, {"post": "yes"}).status_code == 302


class TestEvents:
    def test_one_is_found_by_the_reference_that_a_person_quotes(self, administrator, web_app):
        answer = web_app.redeem("no such code").fails_with("invalid_grant")
        event = Event.objects.get(type="request_refused")
        assert event.reference in answer.members["error_description"]
        listed = administrator.get(page("event", "changelist"), {"q": event.reference}).context["cl"].result_list
        assert list(listed) == [event]
        shown = administrator.get(page("event", "change", event.pk)).content.decode()
        assert event.clause in shown

    def test_they_are_found_by_what_they_are_about(self, administrator, alice):
        event = Event.objects.get(type="login_succeeded", user=str(alice.user.pk))
        for term in ("alice", str(alice.user.pk), event.session, event.ip):
            listed = administrator.get(page("event", "changelist"), {"q": term}).context["cl"].result_list
            assert event in listed, term

    def test_they_are_filtered_by_type_and_date(self, administrator, alice):
        url, today = page("event", "changelist"), timezone.now()
        for query, found in (
            ({"type": "login_succeeded"}, True),
            ({"type": "login_failed"}, False),
            ({"outcome__exact": "failure"}, False),
            ({"time__year": today.year}, True),
            ({"time__year": today.year - 1}, False),
        ):
            listed = administrator.get(url, query).context["cl"].result_list
            assert (Event.objects.get(type="login_succeeded", user=alice.user.pk) in listed) == found, query


class TestReading:
    @pytest.mark.parametrize("model", READ_ONLY)
    def test_nobody_adds_or_edits(self, administrator, signed_in, model):
        row = admin.site.get_model_admin(_model(model)).model.objects.first()
        Event.objects.create(type="x", outcome="success")
        url = page(model, "change", row.pk)
        assert not Form(administrator.get(url).content.decode()).names
        for refused in (url, page(model, "add")):
            assert administrator.post(refused, {"user": 1}).status_code == 403

    @pytest.mark.parametrize("model", sorted({*READ_ONLY} - {"consent"}))
    def test_nobody_deletes(self, administrator, signed_in, model):
        rows = _model(model).objects
        row = rows.first()
        assert administrator.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        act(administrator, model, "delete_selected", row, post="yes")
        assert rows.filter(pk=row.pk).exists()

    @pytest.mark.parametrize("model", READ_ONLY)
    def test_staff_need_permission(self, staff, signed_in, model):
        row = _model(model).objects.first()
        for http, status in ((staff(), 403), (staff(f"view_{model}"), 200)):
            for url in (page(model, "changelist"), page(model, "change", row.pk)):
                assert http.get(url).status_code == status

    @pytest.mark.parametrize("model", READ_ONLY)
    def test_more_rows_cost_no_more_queries(
        self, administrator, person, relying_party, model, django_assert_max_num_queries
    ):
        for number in range(8):
            user, client = person(f"user{number}").user, relying_party().row
            UserSession.objects.begin(user)
            Grant.objects.create(user=user, client=client, kind="x", expires=timezone.now())
            Consent.objects.create(user=user, client=client)
            DeviceRequest.objects.begin(client, scopes=[], resources=[], ip=None)
            Subject.objects.of(user)
            Event.objects.create(type=f"type{number}", outcome="success")
        with django_assert_max_num_queries(10):
            assert len(administrator.get(page(model, "changelist")).context["cl"].result_list) >= 8

    def test_big_tables_are_counted_no_further_than_anybody_pages(self, administrator, monkeypatch):
        monkeypatch.setattr(base, "MOST_COUNTED", 20)
        Event.objects.bulk_create(Event(type="x", outcome="success") for _ in range(30))
        shown = administrator.get(page("event", "changelist"))
        assert shown.context["cl"].result_count == 20
        assert "The first 20." in shown.content.decode()

    def test_a_search_uses_whole_values_only(self, administrator, alice):
        """A part of a value has no index, and these tables are big."""
        listed = administrator.get(page("usersession", "changelist"), {"q": "alic"}).context["cl"].result_list
        assert list(listed) == []

    @pytest.mark.parametrize("model", ["event", "grant", "usersession", "client"])
    @pytest.mark.parametrize(
        "query",
        [
            {"q": "a\x00"},
            {"q": "x" * 5000},
            {"q": "9" * 50},
            {"pk__exact": "\x00"},
            {"client__exact": "\x00"},
            {"time__year": "9" * 30},
            {"time__year": "9999"},
            {"time__year": "2025", "time__month": "9" * 30},
            {"p": "9" * 30},
            {"o": "\x00"},
            {"state": "\x00"},
            {"type": "\x00"},
            {"kind": "x" * 5000},
        ],
        ids=lambda query: ascii(query)[:40],
    )
    def test_hostile_look_ups(self, administrator, model, query):
        assert administrator.get(page(model, "changelist"), query).status_code in {200, 302, 400}


class TestCascades:
    """Rows that nobody may delete for themselves must not keep a user or client from being deleted."""

    @pytest.mark.parametrize("by_action", [False, True])
    def test_staff_who_may_delete_users_still_may(self, staff, alice, signed_in, by_action):
        http, chosen = staff("delete_user", "view_user"), {"post": "yes"}
        if by_action:
            chosen |= {"action": "delete_selected", "_selected_action": [alice.user.pk]}
            http.post(reverse("admin:auth_user_changelist"), chosen)
        else:
            http.post(reverse("admin:auth_user_delete", args=[alice.user.pk]), chosen)
        assert not type(alice.user).objects.filter(pk=alice.user.pk).exists()
        assert not UserSession.objects.filter(user=alice.user.pk).exists()

    def test_that_lists_nothing_more_in_the_index(self, staff):
        shown = staff("view_client").get("/admin/").content.decode()
        assert "/admin/identityserver/client/" in shown
        for name in ("User sessions", "Grants", "Device requests", "Events", "Consents"):
            assert name not in shown


def test_no_page_shows_a_secret_or_its_digest(administrator, alice, signed_in):
    """Canaries: everything that was issued, and what is kept of it, on every page of the admin."""
    alice.browser.authorize(signed_in[0], prompt="login")
    shown = "".join(_every_page(administrator))
    assert str(Grant.objects.first().pk) in shown
    canaries = _canaries(signed_in, alice)
    assert len(canaries) > 25
    assert [kind for kind, value in canaries if value in shown] == []


def _canaries(apps, alice) -> list[tuple[str, str]]:
    found = [("password", alice.user.password), ("session key", alice.browser.http.cookies["sessionid"].value)]
    for app in apps:
        found += [("secret", app.secret), ("verifier", app.verifier), ("nonce", app.nonce), ("state", app.state)]
        found += [(name, app.tokens.members[name]) for name in ("access_token", "refresh_token", "id_token")]
    found += [("secret's digest", digest(app.secret)) for app in apps]
    for model, names in {
        ClientSecret: ["digest"],
        AuthorizationCode: ["digest", "code_challenge"],
        RefreshToken: ["digest"],
        DeviceRequest: ["digest", "user_code"],
        AuthorizationRequest: ["digest", "binding"],
        SigningKey: ["private_jwk"],
        UsedIdentifier: ["digest", "mark"],
    }.items():
        rows = model.objects.values_list(*names)
        found += [(f"{model.__name__} {names}", value) for row in rows for value in row]
    return [(kind, value) for kind, value in found if value]


def _every_page(http):
    """The index, and of each of our models the list, and of each row what can be looked at."""
    yield http.get("/admin/").content.decode()
    for model in admin.site._registry:
        if not _is_ours(model):
            continue
        name = model._meta.model_name
        yield http.get(page(name, "changelist")).content.decode()
        for row in model.objects.all()[:5]:
            for view in ("change", "history", "delete"):
                yield http.get(page(name, view, row.pk)).content.decode()


def _is_ours(model) -> bool:
    return model._meta.app_label == Client._meta.app_label


def _model(name: str):
    return next(model for model in admin.site._registry if model._meta.label_lower == f"identityserver.{name}")


def test_what_is_internal_has_no_page():
    """Requests, codes, tokens and server secrets are nobody's business."""
    registered = {model._meta.model_name for model in admin.site._registry if _is_ours(model)}
    shown = {"apiresource", "apiscope", "claimmapping", "client", "identityresource", "signingkey", "trustedissuer"}
    shown |= {"initialaccesstoken"}
    assert registered == {*shown, *READ_ONLY}


def test_an_expired_grant_is_said_to_be(administrator, alice, web_app):
    expires = timezone.now() - timedelta(minutes=1)
    grant = Grant.objects.create(client=web_app.row, user=alice.user, kind="x", expires=expires)
    assert "expired" in administrator.get(page("grant", "change", grant.pk)).content.decode()
