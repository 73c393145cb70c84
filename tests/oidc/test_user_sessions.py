"""The coupling of Django's sessions with user sessions, on every session engine of Django.

Everything goes through the pages of a site that installs the app (``tests/oidc/host_site.py``).
"""

import uuid
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, login
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from identityserver.models import Client as Application
from identityserver.models import Grant, UserSession
from identityserver.web.session import SID_KEY, UserSessionMiddleware, current_session

ENGINES = ("db", "cache", "cached_db", "signed_cookies")
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
ALLOW_ALL = "django.contrib.auth.backends.AllowAllUsersModelBackend"
PASSWORD = "correct horse"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.oidc.host_site")]


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request, settings):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return request.param


def make_user(name: str, **more):
    return get_user_model().objects.create_user(name, f"{name}@example.com", PASSWORD, **more)


@pytest.fixture
def alice():
    return make_user("alice")


@pytest.fixture
def bob():
    return make_user("bob")


class Browser(Client):
    """A browser on the host's site."""

    def sign_in(self, name: str, page: str = "log_in", password: str = PASSWORD, **more: str) -> str:
        response = self.post(f"/{page}", {"username": name, "password": password, **more})
        assert response.status_code == 200, response.content
        return response.json()["sid"]

    @property
    def user(self) -> str:
        return self.get("/who").json()["user"]

    @property
    def sid(self) -> str | None:
        return self.get("/who").json()["sid"]


@pytest.fixture
def browser(alice):
    return Browser()


@pytest.fixture
def another_browser(alice):
    return Browser()


def session(sid: str) -> UserSession:
    return UserSession.objects.get(sid=sid)


def ended_for(sid: str) -> str:
    """Why the session ended; empty while it goes on."""
    return session(sid).end_reason


def grant_in(sid: str) -> Grant:
    owner = session(sid)
    application = Application.objects.create(client_id=uuid.uuid4().hex, name="App")
    expires = timezone.now() + timedelta(days=1)
    return Grant.objects.create(
        client=application, user=owner.user, session=owner, sid=sid, kind="authorization_code", expires=expires
    )


def is_revoked(grant: Grant) -> bool:
    grant.refresh_from_db()
    return grant.revoked_at is not None


class TestSigningIn:
    @pytest.mark.parametrize("page", ["/log_in", "/accounts/login/", "/admin/login/?next=/who"])
    def test_any_login_page_of_the_site_begins_a_user_session(self, browser, alice, page):
        get_user_model().objects.update(is_staff=True)
        browser.post(page, {"username": "alice", "password": PASSWORD})
        begun = session(browser.sid)
        assert begun.user == alice
        assert begun.ended_at is None
        assert (begun.acr, begun.amr, begun.idp) == ("", [], "")

    def test_the_session_knows_where_it_began(self, browser):
        browser.post("/log_in", {"username": "alice", "password": PASSWORD}, HTTP_USER_AGENT="Lynx " + "x" * 300)
        begun = session(browser.sid)
        assert begun.ip == "127.0.0.1"
        assert begun.user_agent == ("Lynx " + "x" * 300)[:255]

    def test_a_refused_login_begins_none(self, browser):
        assert browser.post("/log_in", {"username": "alice", "password": "wrong"}).status_code == 403
        assert not UserSession.objects.exists()

    def test_nobody_is_signed_in_without_a_login(self, browser):
        assert (browser.user, browser.sid) == ("", None)

    def test_what_the_visitor_did_before_is_kept(self, browser):
        browser.get("/cart")
        browser.sign_in("alice")
        assert browser.get("/who").json()["cart"] == "full"

    def test_two_browsers_are_two_sessions(self, browser, another_browser):
        assert browser.sign_in("alice") != another_browser.sign_in("alice")

    def test_the_test_clients_force_login_begins_one(self, alice):
        browser = Browser()
        browser.force_login(alice)
        assert session(browser.sid).user == alice

    def test_a_session_that_fails_to_be_saved_is_nobodys(self, browser):
        """Django saves no session with a 5xx: the browser never learns of the sid."""
        browser.raise_request_exception = False
        assert browser.post("/log_in_and_fail", {"username": "alice", "password": PASSWORD}).status_code == 500
        assert (browser.user, browser.sid) == ("", None)

    def test_the_sign_in_of_an_inactive_user_is_the_sites_own_affair(self, settings, browser, alice):
        settings.AUTHENTICATION_BACKENDS = [ALLOW_ALL]
        get_user_model().objects.update(is_active=False)
        assert browser.sign_in("alice") is None
        assert (browser.user, browser.sid) == ("alice", None)
        assert not UserSession.objects.exists()


class TestAuthenticationContext:
    """OpenID Connect Core §2: ``acr`` and ``amr`` say how somebody authenticated, and nothing made up."""

    @pytest.fixture
    def mapped(self, settings):
        contexts = {MODEL_BACKEND: {"acr": "urn:example:password", "amr": ["kba"]}}
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "authentication_contexts": contexts}

    def test_it_is_what_the_backend_is_mapped_to(self, mapped, browser):
        begun = session(browser.sign_in("alice"))
        assert (begun.acr, begun.amr) == ("urn:example:password", ["kba"])

    def test_another_backend_is_not(self, mapped, settings, browser):
        settings.AUTHENTICATION_BACKENDS = [ALLOW_ALL]
        begun = session(browser.sign_in("alice"))
        assert (begun.acr, begun.amr) == ("", [])

    def test_a_page_that_knows_says_it(self, browser):
        begun = session(browser.sign_in("alice", page="log_in_with_methods"))
        assert (begun.acr, begun.amr) == ("", ["pwd"])

    def test_what_a_page_says_does_not_stick_to_the_next_sign_in(self, browser, another_browser):
        browser.sign_in("alice", page="log_in_with_methods")
        assert session(another_browser.sign_in("alice")).amr == []

    def test_a_page_adds_its_methods_to_those_of_the_backend(self, mapped, browser):
        begun = session(browser.sign_in("alice", page="log_in_with_methods"))
        assert (begun.acr, begun.amr) == ("urn:example:password", ["kba", "pwd"])

    def test_a_page_that_knows_the_acr_goes_before_the_backend(self, mapped, browser):
        begun = session(browser.sign_in("alice", page="log_in_with_methods", acr="urn:example:mfa"))
        assert begun.acr == "urn:example:mfa"


class TestSigningInAgain:
    def test_the_same_user_keeps_the_sid_and_gets_a_new_auth_time(self, browser, clock):
        sid = browser.sign_in("alice")
        first = session(sid).auth_time
        clock.forward(minutes=10)
        assert browser.sign_in("alice", page="log_in_with_methods") == sid
        assert session(sid).auth_time == first + timedelta(minutes=10)
        assert session(sid).amr == ["pwd"]
        assert UserSession.objects.count() == 1

    def test_auth_time_is_the_sessions_own(self, browser, another_browser, clock):
        sid = browser.sign_in("alice")
        began = session(sid).auth_time
        clock.forward(minutes=10)
        another_browser.sign_in("alice")  # moves user.last_login
        assert session(browser.sid).auth_time == began

    def test_another_user_ends_the_session_and_begins_one(self, browser, bob):
        alices = browser.sign_in("alice")
        bobs = browser.sign_in("bob")
        assert ended_for(alices) == "other_user_signed_in"
        assert session(bobs).user == bob
        assert (browser.user, browser.sid) == ("bob", bobs)

    def test_after_an_ended_session_a_new_one_begins(self, browser):
        first = browser.sign_in("alice")
        session(first).end("by an administrator")
        second = browser.sign_in("alice")
        assert second != first
        assert browser.sid == second

    def test_after_a_password_change_elsewhere_a_new_one_begins(self, browser, alice):
        first = browser.sign_in("alice")
        alice.set_password("another")
        alice.save()
        second = browser.sign_in("alice", password="another")
        assert second not in {first, None}
        assert ended_for(first) == "password_changed"


class TestSigningOut:
    """Whatever way somebody leaves a Django session, the user session ends."""

    @pytest.mark.parametrize("page", ["log_out", "accounts/logout/", "flush", "clear", "look_and_clear", "forget_user"])
    def test_any_way_out_ends_the_session(self, browser, page):
        sid = browser.sign_in("alice")
        assert browser.post(f"/{page}").status_code in {200, 302}
        assert ended_for(sid) == "signed_out"
        assert browser.user == ""

    def test_it_ends_that_session_alone(self, browser, another_browser):
        browser.sign_in("alice")
        other = another_browser.sign_in("alice")
        browser.post("/log_out")
        assert another_browser.sid == other

    def test_the_old_cookie_opens_nothing(self, browser):
        """With signed cookies Django itself would let it in."""
        browser.sign_in("alice")
        cookie = browser.cookies["sessionid"].value
        browser.post("/log_out")
        browser.cookies["sessionid"] = cookie
        assert (browser.user, browser.sid) == ("", None)

    def test_the_cookie_of_the_user_before_opens_nothing(self, browser, bob):
        browser.sign_in("alice")
        cookie = browser.cookies["sessionid"].value
        browser.sign_in("bob")
        browser.cookies["sessionid"] = cookie
        assert (browser.user, browser.sid) == ("", None)

    def test_a_way_out_whose_transaction_is_rolled_back_is_still_one(self, browser):
        """The browser's cookie is gone all the same."""
        browser.raise_request_exception = False
        sid = browser.sign_in("alice")
        assert browser.post("/flush_in_a_transaction_that_fails").status_code == 500
        assert ended_for(sid) == "signed_out"
        assert browser.user == ""

    def test_a_session_that_begins_and_is_lost_in_one_request_ends(self, browser):
        browser.post("/log_in_and_flush", {"username": "alice", "password": PASSWORD})
        assert UserSession.objects.get().end_reason == "signed_out"

    def test_the_test_clients_logout_ends_it(self, browser, alice):
        browser.force_login(alice)
        sid = browser.sid
        browser.logout()
        assert ended_for(sid) == "signed_out"

    def test_the_test_clients_force_login_of_another_user_begins_another(self, browser, alice, bob):
        """No middleware sees it: the old session is out of reach, since nobody holds its sid."""
        browser.force_login(alice)
        browser.force_login(bob)
        assert session(browser.sid).user == bob

    def test_a_logout_of_nobody_is_nothing(self, browser):
        assert browser.post("/log_out").status_code == 200
        assert browser.post("/flush").status_code == 200


class TestEndingASessionOnTheServer:
    @pytest.mark.parametrize("page", ["/who", "/protocol_first"])
    def test_it_signs_the_browser_out_of_the_whole_site(self, browser, page):
        session(browser.sign_in("alice")).end("by an administrator")
        response = browser.get(page)
        assert response.json()["user"] == ""
        assert response.json()["sid"] is None
        assert response.cookies["sessionid"]["max-age"] == 0
        assert ended_for(UserSession.objects.get().sid) == "by an administrator"

    def test_the_admin_turns_it_away(self, browser, alice):
        get_user_model().objects.update(is_staff=True, is_superuser=True)
        sid = browser.sign_in("alice")
        assert browser.get("/admin/").status_code == 200
        session(sid).end("by an administrator")
        assert browser.get("/admin/").status_code == 302

    def test_a_session_whose_row_is_gone_has_ended(self, browser):
        browser.sign_in("alice")
        UserSession.objects.all().delete()
        assert (browser.user, browser.sid) == ("", None)

    def test_an_expired_one_has_ended(self, browser, settings, clock):
        settings.SESSION_COOKIE_AGE = 100 * 86400
        browser.sign_in("alice")
        clock.forward(days=13, hours=23)
        assert browser.user == "alice"
        clock.forward(hours=2)
        assert (browser.user, browser.sid) == ("", None)

    def test_another_browser_goes_on(self, browser, another_browser):
        session(browser.sign_in("alice")).end("by an administrator")
        sid = another_browser.sign_in("alice")
        assert another_browser.sid == sid

    def test_a_request_that_looks_at_nobody_is_answered_without_a_query(self, browser, django_assert_num_queries):
        session(browser.sign_in("alice")).end("by an administrator")
        with django_assert_num_queries(0):
            response = browser.get("/public")
        assert response.content == b"hello"
        assert "Vary" not in response
        assert "sessionid" not in response.cookies


class TestLookingTwice:
    @pytest.mark.parametrize("page", ["/who", "/protocol_first"])
    def test_looking_costs_one_query_of_ours(self, browser, page):
        browser.sign_in("alice")
        with CaptureQueriesContext(connection) as queries:
            browser.get(page)
        ours = [query["sql"] for query in queries if "identityserver_" in query["sql"]]
        assert len(ours) == 1

    def test_being_seen_is_written_once_a_minute(self, browser, clock):
        sid = browser.sign_in("alice")
        began = session(sid)
        clock.forward(seconds=59)
        browser.get("/who")
        assert session(sid).last_seen == began.last_seen
        clock.forward(seconds=2)
        browser.get("/who")
        assert session(sid).last_seen == began.last_seen + timedelta(seconds=61)
        assert session(sid).expires > began.expires or session(sid).expires == began.auth_time + timedelta(days=14)

    def test_use_prolongs_a_short_session(self, browser, settings, clock):
        settings.SESSION_COOKIE_AGE = 600
        settings.SESSION_SAVE_EVERY_REQUEST = True
        sid = browser.sign_in("alice")
        for _ in range(5):
            clock.forward(minutes=9)
            assert browser.sid == sid

    def test_a_session_is_not_shorter_for_being_written_once_a_minute(self, browser, settings, clock):
        """Django prolongs its session on each visit, we ours after a minute."""
        settings.SESSION_COOKIE_AGE = 90
        settings.SESSION_SAVE_EVERY_REQUEST = True
        sid = browser.sign_in("alice")
        for _ in range(4):
            clock.forward(seconds=55)
            assert browser.sid == sid

    def test_what_ends_while_a_request_is_served_has_ended_for_it(self, browser):
        browser.sign_in("alice")
        request = request_of(browser)
        current_session(request).end("by an administrator")
        assert current_session(request) is None

    def test_a_short_session_ends_without_use(self, browser, settings, clock):
        settings.SESSION_COOKIE_AGE = 600
        settings.SESSION_SAVE_EVERY_REQUEST = True
        sid = browser.sign_in("alice")
        clock.forward(minutes=12)
        assert not session(sid).is_live
        assert browser.sid is None


class TestPasswords:
    @pytest.fixture
    def three_browsers(self, browser, another_browser, bob):
        signed_in = ((browser, "alice"), (another_browser, "alice"), (Browser(), "bob"))
        return [(each, each.sign_in(name)) for each, name in signed_in]

    def test_changing_it_ends_the_users_other_sessions_and_grants(self, three_browsers):
        (mine, my_sid), (other, other_sid), (bobs, bobs_sid) = three_browsers
        mine_granted, other_granted, bob_granted = map(grant_in, (my_sid, other_sid, bobs_sid))
        mine.post("/change_password", {"new": "another", "stay": "yes"})
        assert (mine.user, mine.sid) == ("alice", my_sid)
        assert ended_for(other_sid) == "password_changed"
        assert other.user == ""
        assert bobs.sid == bobs_sid
        assert [is_revoked(grant) for grant in (mine_granted, other_granted, bob_granted)] == [False, True, False]

    def test_djangos_own_page_keeps_the_browser_signed_in(self, three_browsers):
        (mine, my_sid), (_, other_sid), _ = three_browsers
        form = {"old_password": PASSWORD, "new_password1": "Tr0ub4dor", "new_password2": "Tr0ub4dor"}
        assert mine.post("/accounts/password/", form).status_code == 302
        assert mine.sid == my_sid
        assert ended_for(other_sid) == "password_changed"

    def test_a_site_that_lets_the_change_sign_out_signs_out(self, three_browsers):
        (mine, my_sid), (_, other_sid), _ = three_browsers
        mine.post("/change_password", {"new": "another"})
        assert (mine.user, mine.sid) == ("", None)
        assert ended_for(my_sid) == "signed_out"
        assert ended_for(other_sid) == "password_changed"

    def test_an_administrator_ends_all_of_the_users_sessions(self, three_browsers):
        (_, my_sid), (_, other_sid), (bobs, bobs_sid) = three_browsers
        granted = grant_in(my_sid)
        bobs.post("/set_password_of", {"username": "alice", "new": "another"})
        assert ended_for(my_sid) == ended_for(other_sid) == "password_changed"
        assert is_revoked(granted)
        assert bobs.sid == bobs_sid

    def test_the_admin_does_too(self, three_browsers, alice):
        (_, my_sid), _, (bobs, bobs_sid) = three_browsers
        get_user_model().objects.filter(username="bob").update(is_staff=True, is_superuser=True)
        label = get_user_model()._meta
        page = f"/admin/{label.app_label}/{label.model_name}/{alice.pk}/password/"
        bobs.post(page, {"password1": "Tr0ub4dor", "password2": "Tr0ub4dor", "usable_password": "true"})
        assert ended_for(my_sid) == "password_changed"
        assert bobs.sid == bobs_sid

    def test_a_reset_by_mail_ends_all(self, three_browsers, alice):
        (mine, my_sid), (_, other_sid), _ = three_browsers
        stranger = Browser()
        alice.refresh_from_db()
        uid = urlsafe_base64_encode(force_bytes(alice.pk))
        link = f"/accounts/reset/{uid}/{default_token_generator.make_token(alice)}/"
        form = stranger.get(link).url
        stranger.post(form, {"new_password1": "Tr0ub4dor", "new_password2": "Tr0ub4dor"})
        assert ended_for(my_sid) == ended_for(other_sid) == "password_changed"
        assert mine.user == ""

    def test_outside_of_a_request_all_end(self, three_browsers, alice):
        (_, my_sid), _, _ = three_browsers
        alice.set_password("another")
        alice.save()
        assert ended_for(my_sid) == "password_changed"

    def test_an_upgrade_of_the_hash_ends_nothing(self, browser, another_browser, settings, alice):
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.MD5PasswordHasher",
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        ]
        old = make_password(PASSWORD, hasher="pbkdf2_sha256")
        get_user_model().objects.filter(pk=alice.pk).update(password=old)
        sid = browser.sign_in("alice")
        alice.refresh_from_db()
        assert alice.password.startswith("md5$")
        another_browser.sign_in("alice")
        assert ended_for(sid) == ""
        assert browser.sid == sid

    def test_disabling_it_in_the_admin_ends_all(self, three_browsers, alice):
        (mine, my_sid), (_, other_sid), (bobs, bobs_sid) = three_browsers
        granted = grant_in(my_sid)
        get_user_model().objects.filter(username="bob").update(is_staff=True, is_superuser=True)
        label = get_user_model()._meta
        page = f"/admin/{label.app_label}/{label.model_name}/{alice.pk}/password/"
        bobs.post(page, {"usable_password": "false", "unset-password": "1", "password1": "", "password2": ""})
        alice.refresh_from_db()
        assert not alice.has_usable_password()
        assert ended_for(my_sid) == ended_for(other_sid) == "password_changed"
        assert is_revoked(granted)
        assert mine.user == ""
        assert bobs.sid == bobs_sid

    @pytest.mark.parametrize("saved", [{}, {"update_fields": ["password"]}], ids=["everything", "password"])
    @pytest.mark.parametrize("password", [None, "another"], ids=["unusable", "usable"])
    def test_a_hash_that_is_set_by_hand_is_a_change(self, three_browsers, alice, password, saved):
        (_, my_sid), (_, other_sid), (_, bobs_sid) = three_browsers
        granted = grant_in(my_sid)
        user = get_user_model().objects.get(pk=alice.pk)
        user.password = make_password(password)
        user.save(**saved)
        assert ended_for(my_sid) == ended_for(other_sid) == "password_changed"
        assert is_revoked(granted)
        assert ended_for(bobs_sid) == ""

    def test_so_is_one_that_overwrites_the_row_unread(self, browser, alice):
        sid = browser.sign_in("alice")
        get_user_model()(pk=alice.pk, username="alice", password=make_password("another")).save(force_update=True)
        assert ended_for(sid) == "password_changed"

    def test_disabling_it_after_a_change_on_the_same_row_is_another_change(self, browser, alice):
        alice.set_password("another")
        alice.save()
        sid = browser.sign_in("alice", password="another")
        alice.set_unusable_password()
        alice.save(update_fields=["password"])
        assert ended_for(sid) == "password_changed"

    def test_a_hash_set_by_hand_in_the_users_own_browser_keeps_that_browsers_session(self, three_browsers):
        (mine, my_sid), (_, other_sid), _ = three_browsers
        mine.post("/change_hash", {"new": "another"})
        assert mine.sid == my_sid
        assert ended_for(other_sid) == "password_changed"

    def test_a_hash_that_is_not_saved_changes_nothing(self, browser, alice):
        sid = browser.sign_in("alice")
        user = get_user_model().objects.get(pk=alice.pk)
        user.password = make_password("another")
        user.first_name = "Alice"
        user.save(update_fields=["first_name"])
        assert browser.sid == sid

    def test_saving_other_fields_by_name_asks_for_no_password(self, alice, django_assert_num_queries):
        alice.first_name = "Alice"
        with django_assert_num_queries(1):
            alice.save(update_fields=["first_name"])

    def test_making_a_user_asks_for_no_sessions_to_end(self, django_assert_num_queries):
        with django_assert_num_queries(1):
            make_user("carol")

    def test_saving_anything_else_ends_nothing(self, browser, alice):
        sid = browser.sign_in("alice")
        alice.refresh_from_db()
        alice.first_name = "Alice"
        alice.save()
        assert browser.sid == sid

    def test_a_hash_that_changed_behind_our_back_still_counts(self, browser, alice):
        """``update()`` sends no signal; Django's own check of the session finds it."""
        sid = browser.sign_in("alice")
        get_user_model().objects.update(password=make_password("another"))
        assert (browser.user, browser.sid) == ("", None)
        assert ended_for(sid) == "signed_out"


class TestUsers:
    def test_a_deactivated_user_has_no_live_session(self, browser, alice):
        sid = browser.sign_in("alice")
        granted = grant_in(sid)
        alice.refresh_from_db()
        alice.is_active = False
        alice.save()
        assert ended_for(sid) == "user_deactivated"
        assert is_revoked(granted)
        assert (browser.user, browser.sid) == ("", None)

    def test_activating_again_revives_no_session(self, browser, alice):
        browser.sign_in("alice")
        alice.refresh_from_db()
        for active in (False, True):
            alice.is_active = active
            alice.save()
        assert (browser.user, browser.sid) == ("", None)

    def test_deactivated_behind_our_back_has_none_either(self, browser):
        sid = browser.sign_in("alice")
        get_user_model().objects.update(is_active=False)
        assert UserSession.objects.live(sid) is None
        assert (browser.user, browser.sid) == ("", None)

    def test_a_backend_that_lets_inactive_users_in_changes_nothing_of_that(self, settings, browser):
        settings.AUTHENTICATION_BACKENDS = [ALLOW_ALL]
        browser.sign_in("alice")
        get_user_model().objects.update(is_active=False)
        assert browser.sid is None

    def test_whom_the_site_does_not_know_any_more_we_do_not_either(self, settings, browser):
        """A backend that the site has given up, or one that gives up a user."""
        sid = browser.sign_in("alice")
        settings.AUTHENTICATION_BACKENDS = [ALLOW_ALL]
        assert (browser.user, browser.sid) == ("", None)
        assert ended_for(sid) == ""
        settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND]
        assert browser.sid == sid

    def test_a_deleted_user_has_none(self, browser, alice):
        browser.sign_in("alice")
        alice.delete()
        assert (browser.user, browser.sid) == ("", None)
        assert not UserSession.objects.exists()

    def test_the_session_must_be_of_the_user_of_the_django_session(self, browser, bob):
        """Where a host writes another user into the session by hand, the provider knows nobody."""
        browser.sign_in("alice")
        request = request_of(browser)
        request.session["_auth_user_id"] = str(bob.pk)
        request.session["_auth_user_hash"] = bob.get_session_auth_hash()
        assert current_session(request) is None


class TestSessionsFromBeforeInstallation:
    @pytest.fixture
    def long_signed_in(self, browser):
        """A browser whose Django session has no sid."""
        browser.sign_in("alice")
        request = request_of(browser)
        del request.session[SID_KEY]
        request.session.save()
        browser.cookies["sessionid"] = request.session.session_key
        UserSession.objects.all().delete()
        return browser

    def test_the_site_still_knows_them_and_the_provider_does_not(self, long_signed_in):
        assert long_signed_in.user == "alice"
        assert long_signed_in.sid is None

    def test_signing_in_again_begins_one(self, long_signed_in):
        assert session(long_signed_in.sign_in("alice")).auth_time

    def test_the_sites_login_page_does_not_send_them_round_in_circles(self, long_signed_in):
        """One that sends back whoever is signed in: so they are signed out before they are sent there."""
        assert long_signed_in.get("/welcoming_login").status_code == 302
        assert long_signed_in.get("/send_to_login").json() == ["", "", ""]
        assert long_signed_in.get("/welcoming_login").status_code == 200
        sid = long_signed_in.sign_in("alice")
        assert long_signed_in.get("/send_to_login").json() == ["alice", "alice", "alice"]
        assert long_signed_in.sid == sid

    def test_an_authorization_request_reaches_the_sites_login_page(self, long_signed_in, settings, web_app):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "login_url": "welcoming_login"}
        page = long_signed_in.get(web_app.authorization_url(), follow=True)
        assert page.status_code == 200
        assert page.redirect_chain[-1][0].startswith("/welcoming_login?next=")
        target = page.redirect_chain[-1][0]
        answer = long_signed_in.post(target, {"username": "alice", "password": PASSWORD}, follow=True)
        assert answer.redirect_chain[-1][0].startswith(web_app.redirect_uri)
        assert "code=" in answer.redirect_chain[-1][0]

    def test_a_silent_request_leaves_them_signed_in_to_the_site(self, long_signed_in, web_app):
        response = long_signed_in.get(web_app.authorization_url(prompt="none"))
        assert "error=login_required" in response["Location"]
        assert long_signed_in.user == "alice"

    def test_signing_out_works(self, long_signed_in):
        assert long_signed_in.post("/log_out").status_code == 200
        assert long_signed_in.user == ""


class TestSignInsWithoutABrowser:
    def test_a_signal_without_a_request_or_session_is_ignored(self, alice):
        for request in (None, HttpRequest(), RequestFactory().get("/")):
            user_logged_in.send(sender=type(alice), request=request, user=alice)
        assert not UserSession.objects.exists()

    def test_a_session_of_another_make_is_ignored(self, alice):
        request = RequestFactory().get("/")
        request.session = {}
        user_logged_in.send(sender=type(alice), request=request, user=alice)
        assert current_session(request) is None
        assert not UserSession.objects.exists()

    def test_a_site_that_signs_in_in_its_own_way_ends_the_session_of_the_user_before(self, browser, alice, bob):
        """It tells Django's receivers without ``login()``, which would have emptied the session."""
        sid = browser.sign_in("alice")
        request = request_of(browser)
        request.session["_auth_user_id"] = str(bob.pk)
        user_logged_in.send(sender=type(bob), request=request, user=bob)
        assert ended_for(sid) == "other_user_signed_in"
        assert session(request.session[SID_KEY]).user == bob

    def test_current_session_of_a_request_without_a_session_is_none(self):
        assert current_session(RequestFactory().get("/")) is None

    def test_login_outside_of_the_middleware_begins_one(self, alice, browser):
        browser.get("/cart")
        request = request_of(browser)
        login(request, alice, MODEL_BACKEND)
        assert current_session(request).user == alice


class TestSitesBehindASignInOfTheirProxy:
    """Django's ``RemoteUserMiddleware`` signs in whom the proxy names, page by page."""

    @pytest.fixture(autouse=True)
    def remote_user(self, settings):
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.RemoteUserMiddleware"]

    def test_each_is_in_a_session_of_their_own(self, browser, bob):
        first = browser.get("/who", REMOTE_USER="alice").json()
        again = browser.get("/who", REMOTE_USER="alice").json()
        assert first == again
        other = browser.get("/who", REMOTE_USER="bob").json()
        assert (first["user"], other["user"]) == ("alice", "bob")
        assert session(first["sid"]).ended_at is not None
        assert session(other["sid"]).ended_at is None

    def test_who_is_not_named_any_more_is_signed_out(self, browser):
        sid = browser.get("/who", REMOTE_USER="alice").json()["sid"]
        assert browser.user == ""
        assert ended_for(sid) == "signed_out"


class TestSitesWithATransactionPerRequest:
    """``ATOMIC_REQUESTS``: what a view did is undone where it fails."""

    @pytest.fixture(autouse=True)
    def atomic_requests(self, settings):
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        yield
        connection.settings_dict["ATOMIC_REQUESTS"] = False

    def test_a_sign_in_that_is_undone_is_none(self, browser):
        browser.raise_request_exception = False
        browser.post("/log_in_and_fail", {"username": "alice", "password": PASSWORD})
        assert not UserSession.objects.exists()
        assert browser.user == ""

    def test_a_way_out_that_is_undone_is_one(self, browser):
        browser.raise_request_exception = False
        sid = browser.sign_in("alice")
        browser.post("/flush_in_a_transaction_that_fails")
        assert ended_for(sid) == "signed_out"


class TestMiddleware:
    @pytest.mark.parametrize("page", ["/flush", "/clear"])
    def test_a_middleware_before_it_may_have_read_the_session(self, settings, browser, page):
        settings.MIDDLEWARE = [
            *(name for name in settings.MIDDLEWARE if "UserSessionMiddleware" not in name),
            "tests.oidc.host_site.reading_middleware",
            "identityserver.web.session.UserSessionMiddleware",
        ]
        sid = browser.sign_in("alice")
        browser.post(page)
        assert ended_for(sid) == "signed_out"

    def test_an_authentication_middleware_of_the_site_may_know_no_auser(self, alice, rf):
        request = rf.get("/")
        request.session = Browser().session
        request.user = alice
        UserSessionMiddleware(lambda request: HttpResponse())(request)
        assert request.user == alice
        assert not hasattr(request, "auser")

    def test_it_says_where_it_belongs(self):
        with pytest.raises(ImproperlyConfigured, match="after AuthenticationMiddleware"):
            UserSessionMiddleware(lambda request: None)(RequestFactory().get("/"))


class TestAsynchronousSites:
    """The same, where views and the stack are asynchronous."""

    @pytest.fixture
    def visit(self, alice, bob):
        browser = AsyncClient()

        def go(page: str, **form: str):
            async def request():
                return await (browser.post(page, form) if form else browser.get(page))

            return async_to_sync(request)()  # whose threads share the test's transaction

        return go

    def test_a_sign_in_begins_a_session_and_again_keeps_it(self, visit):
        visit("/alog_in", username="alice", password=PASSWORD)
        sid = visit("/who").json()["sid"]
        visit("/alog_in", username="alice", password=PASSWORD)
        assert visit("/who").json() == {"user": "alice", "sid": sid, "cart": None}
        assert visit("/awho").json() == {"user": "alice"}

    @pytest.mark.parametrize("page", ["/alog_out", "/aflush", "/aclear", "/aforget_user", "/alook_and_clear"])
    def test_any_way_out_ends_it(self, visit, page):
        visit("/alog_in", username="alice", password=PASSWORD)
        visit(page)
        assert UserSession.objects.get().end_reason == "signed_out"
        assert visit("/awho").json() == {"user": ""}

    def test_a_synchronous_page_knows_in_which_browser_the_password_changes(self, visit, alice):
        visit("/alog_in", username="alice", password=PASSWORD)
        sid = visit("/who").json()["sid"]
        visit("/change_password", new="another", stay="yes")
        assert visit("/who").json()["sid"] == sid

    def test_another_user_ends_it(self, visit, alice, bob):
        visit("/alog_in", username="alice", password=PASSWORD)
        visit("/alog_in", username="bob", password=PASSWORD)
        assert UserSession.objects.get(user=alice).end_reason == "other_user_signed_in"
        assert UserSession.objects.get(user=bob).ended_at is None

    def test_ending_it_on_the_server_signs_the_browser_out(self, visit):
        visit("/alog_in", username="alice", password=PASSWORD)
        UserSession.objects.get().end("by an administrator")
        response = visit("/awho")
        assert response.json() == {"user": ""}
        assert response.cookies["sessionid"]["max-age"] == 0

    def test_a_request_that_looks_at_nobody_does_not_vary(self, visit):
        visit("/alog_in", username="alice", password=PASSWORD)
        response = visit("/apublic")
        assert "Vary" not in response
        assert response.content == b"hello"


def request_of(browser: Client) -> HttpRequest:
    """A request with the browser's session, outside of any middleware."""
    request = RequestFactory().get("/")
    request.session = browser.session
    request.user = AnonymousUser()
    vars(request).pop("user")
    return request
