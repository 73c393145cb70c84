"""The login page: OpenID Connect Core §3.1.2.3 and what pages.md promises."""

from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth import hashers
from django.core.cache import cache

from identityserver.models import AuthorizationRequest, UserSession
from identityserver.testing import Browser

pytestmark = pytest.mark.django_db

#: The one message for whatever was wrong.
REFUSAL = "This combination is not right. Check both entries and try again."


def said(page):
    """The page without what differs from one visit to the next."""
    token = page.fields.get("csrfmiddlewaretoken", "-")
    return page.text.replace(token, "").replace(page.fields.get("username", "-"), "")


class TestAsking:
    def test_it_says_who_asks_and_where_the_person_will_be_sent(self, relying_party):
        app = relying_party(name="Reports & more")
        page = Browser().authorize(app)
        assert page.status == 200
        assert page.shows("<h1>Sign in</h1>")
        assert page.shows("Reports & more")
        assert page.shows("app.example")
        assert page.shows("<title>Sign in – Reports & more – testserver</title>")

    def test_password_managers_know_the_fields(self, web_app):
        page = Browser().authorize(web_app)
        assert page.shows('autocomplete="username webauthn"')
        assert page.shows('autocomplete="current-password"')

    def test_the_hint_is_filled_in(self, web_app):
        """OpenID Connect Core §3.1.2.1, login_hint."""
        page = Browser().authorize(web_app, login_hint='bob"><script>')
        assert unescape(page.fields["username"]) == 'bob"><script>'
        assert "<script>" not in page.text

    def test_links_of_the_site_lead_back_to_the_request(self, web_app, settings):
        settings.IDENTITYSERVER = {
            **settings.IDENTITYSERVER,
            "registration_url": "/join",
            "password_reset_url": "admin:index",
        }
        page = Browser().authorize(web_app)
        assert page.shows('href="/admin/"')
        handle = page.fields["request"]
        assert f"/join?next=%2Fconnect%2Fauthorize%2Fresume%3Frequest%3D{handle}" in page.text

    def test_who_is_signed_in_goes_straight_on(self, alice, web_app):
        page = Browser().authorize(web_app)
        there = alice.browser.authorize(web_app, prompt="login")
        assert there.url.startswith("/account/login")
        alice.browser.sign_in(alice.username, alice.password)
        assert alice.browser.open(there.url).code
        assert page.shows("Sign in")


class TestSigningIn:
    def test_the_person_goes_back_to_the_client(self, person, web_app):
        bob = person("bob")
        page = bob.browser.authorize(web_app).sign_in("bob", bob.password)
        assert page.code
        assert page.parameters["state"] == web_app.state

    def test_it_counts_as_a_password(self, person):
        """RFC 8176: pwd."""
        bob = person("bob").sign_in()
        assert UserSession.objects.get(user=bob.user).amr == ["pwd"]

    def test_the_session_id_changes(self, person):
        bob = person("bob")
        session = bob.browser.http.session
        session["basket"] = "full"
        session.save()
        bob.sign_in()
        assert bob.browser.http.session.session_key != session.session_key

    def test_the_form_cannot_change_the_request(self, person, web_app, relying_party):
        other = relying_party(redirect_uris=["https://evil.example/"])
        bob = person("bob")
        page = bob.browser.authorize(web_app, scope="openid").submit(
            username="bob",
            password=bob.password,
            login="yes",
            client_id=other.client_id,
            redirect_uri=other.redirect_uri,
            scope="openid profile",
            nonce="other",
        )
        assert page.location.startswith(web_app.redirect_uri)
        tokens = web_app.redeem(page.code).succeeds()
        assert tokens.members["scope"] == "openid"
        assert tokens.id_token["nonce"] == web_app.nonce


class TestRefusals:
    """Same words and same work, whatever was wrong."""

    @pytest.fixture
    def pages(self, person, web_app):
        person("bob")
        person("gone", is_active=False)

        def answer(username, password):
            return Browser().authorize(web_app).sign_in(username, password)

        return answer

    def test_every_failure_reads_the_same(self, pages):
        wrong = pages("bob", "wrong")
        assert wrong.shows(REFUSAL)
        assert wrong.shows("<title>Error: Sign in")
        handle = wrong.fields["request"]
        for username, password in [("nobody", "wrong"), ("gone", "correct horse battery staple")]:
            page = pages(username, password)
            assert page.status == wrong.status
            assert said(page).replace(page.fields["request"], handle) == said(wrong)

    @pytest.mark.parametrize("username", ["bob", "nobody", "gone"])
    def test_every_failure_hashes_once(self, pages, username, monkeypatch):
        hasher = hashers.get_hasher()
        calls = []
        encode = type(hasher).encode
        monkeypatch.setattr(type(hasher), "encode", lambda *args: calls.append(1) or encode(*args))
        pages(username, "wrong")
        assert len(calls) == 1

    def test_an_empty_field_is_named(self, pages):
        page = pages("", "")
        assert page.shows("“Username” is empty.")
        assert page.shows("“Password” is empty.")
        assert page.shows('href="#id_password"')

    @pytest.mark.parametrize(
        ("username", "password"),
        [("bob\0", "x"), ("b" * 5000, "x"), ("bob", "x" * 5000), ("bob", "\0"), ("\ud800", "x"), ("\u017f", "\x1b")],
    )
    def test_hostile_input_is_only_wrong(self, pages, username, password):
        page = pages(username.encode("utf-8", "replace").decode(), password)
        assert page.status == 200
        assert page.shows("There is a problem")

    def test_the_password_is_never_shown_again(self, pages):
        assert "hunter2" not in pages("bob", "hunter2").text


class TestRateLimit:
    """429 and Retry-After (RFC 6585 §4), by user name and address, and by address."""

    @pytest.fixture(autouse=True)
    def _limit(self, settings, clock):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "login_attempts_per_minute": 3}
        clock.moment = clock.moment.replace(second=0)
        self.clock = clock

    def fail(self, times, username="bob", address="127.0.0.1"):
        browser = Browser()
        browser.http.defaults["REMOTE_ADDR"] = address
        for _ in range(times):
            page = browser.sign_in(username, "wrong")
        return page

    def test_too_many_failures_have_to_wait(self, person):
        bob = person("bob")
        assert self.fail(3).status == 200
        self.clock.forward(seconds=15)
        page = bob.browser.sign_in("bob", bob.password)
        assert page.status == 429
        assert page.response["Retry-After"] == "45"
        assert page.shows("Wait 45 seconds")
        assert page.fields["username"] == "bob"
        self.clock.forward(seconds=45)
        assert bob.browser.sign_in("bob", bob.password).status != 429

    @pytest.mark.parametrize(
        "name", ["\uff22\uff2f\uff22", "BOB", "bob ", " bob", "\u00a0bob\u3000", "bob" + " " * 2000, " " * 2000 + "bob"]
    )
    def test_spelling_the_name_otherwise_does_not_help(self, name):
        self.fail(3)
        assert self.fail(1, name).status == 429

    def test_neither_does_another_address_of_the_same_network(self):
        """An IPv6 subscriber has 2**64 of them at least (RFC 6177)."""
        self.fail(3, address="2001:db8:1:2::1")
        assert self.fail(1, address="2001:db8:1:2:ffff::2").status == 429
        assert self.fail(1, address="2001:db8:1:3::1").status == 200

    def test_somebody_else_need_not_wait(self, person):
        eve = person("eve")
        self.fail(3)
        assert eve.browser.sign_in("eve", eve.password).status != 429

    def test_only_failures_count(self, person):
        bob = person("bob")
        for _ in range(10):
            assert bob.browser.sign_in("bob", bob.password).status != 429
        assert self.fail(3).status == 200

    def test_many_names_from_one_address_have_to_wait(self):
        for number in range(12):
            assert self.fail(1, f"user{number}").status == 200
        assert self.fail(1, "another").status == 429

    @pytest.mark.parametrize("address", ["", "unix:", None])
    def test_all_whose_address_nobody_knows_are_counted_together(self, address):
        for number in range(12):
            assert self.fail(1, f"user{number}", address).status == 200
        assert self.fail(1, "another", address).status == 429

    def test_the_cache_tells_nobody_who_tried(self):
        self.fail(1, "somebody@example.com")
        assert cache._cache  # the local memory cache
        assert not [key for key in cache._cache if "somebody" in key or "127.0.0.1" in key]


class TestReauthentication:
    """prompt=login and max_age (OpenID Connect Core §3.1.2.1)."""

    def test_the_account_is_settled(self, alice, web_app, person):
        page = alice.browser.authorize(web_app, prompt="login")
        assert page.shows("<h1>Sign in again</h1>")
        assert page.shows("Web app asks you to confirm that it is you.")
        assert page.shows("alice")
        bob = person("bob")
        bob.user.set_password("another")
        bob.user.save()
        page = page.submit(username="bob", password="another", login="yes")
        assert page.shows("The password is not right.")
        assert page.submit(username="bob", password=alice.password, login="yes").code
        assert UserSession.objects.get().user == alice.user

    def test_the_session_goes_on(self, alice, web_app, clock):
        before = UserSession.objects.get()
        clock.forward(minutes=10)
        page = alice.browser.authorize(web_app, max_age="60").submit(password=alice.password, login="yes")
        assert page.code
        after = UserSession.objects.get()
        assert (after.sid, after.ended_at) == (before.sid, None)
        assert after.auth_time == clock.now()

    def test_it_is_asked_once(self, alice, web_app, clock):
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, max_age="0")
        clock.forward(seconds=5)
        assert page.submit(password=alice.password, login="yes").code

    def test_somebody_else_may_sign_in(self, alice, web_app, person):
        page = alice.browser.authorize(web_app, prompt="login").submit(switch="yes")
        assert page.shows("<h1>Sign in</h1>")
        assert "alice" not in page.text
        bob = person("bob")
        tokens = web_app.redeem(page.sign_in("bob", bob.password).code).succeeds()
        assert tokens.id_token["sub"]
        assert UserSession.objects.filter(ended_at=None).get().user == bob.user


class TestCancelling:
    def test_the_client_hears_of_it(self, web_app):
        """RFC 6749 §4.1.2.1: access_denied."""
        page = Browser().authorize(web_app).submit(cancel="yes")
        assert page.error == "access_denied"
        assert page.parameters["state"] == web_app.state

    def test_there_is_nothing_to_cancel_without_a_request(self):
        assert 'name="cancel"' not in Browser().open("/account/login").text


class TestStaleRequests:
    """A used, expired or bookmarked request gets a page with a way on, never a dead end."""

    def test_a_request_is_answered_once(self, person, web_app):
        bob = person("bob")
        page = bob.browser.authorize(web_app)
        page.sign_in("bob", bob.password)
        again = bob.browser.open(page.url)
        assert again.status == 400
        assert again.shows("This page is no longer valid")
        assert again.shows("start again")
        assert again.shows('href="https://app.example/"')

    def test_it_expires(self, web_app, clock):
        browser = Browser()
        page = browser.authorize(web_app)
        clock.forward(hours=2)
        late = page.sign_in("bob", "x")
        assert late.shows("This page is no longer valid")
        assert late.shows('href="https://app.example/"')

    def test_it_belongs_to_one_browser(self, person, web_app):
        url = Browser().authorize(web_app).url
        bob = person("bob")
        other = bob.browser.open(url)
        assert other.shows("This page is no longer valid")
        assert bob.browser.submit(url, {"username": "bob", "password": bob.password}).status == 400
        assert not UserSession.objects.exists()

    @pytest.mark.parametrize("handle", ["", "x", "%00", "a" * 43, "a" * 5000, "%F0%9F"])
    def test_a_handle_that_never_was(self, handle):
        assert Browser().open(f"/account/login?request={handle}").status == 400

    def test_a_disabled_client_ends_it(self, web_app):
        browser = Browser()
        page = browser.authorize(web_app)
        web_app.row.enabled = False
        web_app.row.save()
        assert browser.open(page.url).status == 400

    def test_tabs_do_not_disturb_each_other(self, person, web_app):
        bob = person("bob")
        first, second = bob.browser.authorize(web_app, state="1"), bob.browser.authorize(web_app, state="2")
        assert second.sign_in("bob", bob.password).parameters["state"] == "2"
        assert bob.browser.open(first.url).parameters["state"] == "1"

    def test_many_open_requests_do_not_make_the_cookies_too_long(self, web_app):
        browser = Browser()
        for _ in range(40):
            last = browser.authorize(web_app)
        cookies = [name for name, cookie in browser.http.cookies.items() if cookie.value]
        assert len(cookies) <= 25
        assert browser.open(last.url).status == 200
        assert AuthorizationRequest.objects.count() == 40


class TestForgedPosts:
    def test_a_post_without_the_token_changes_nothing(self, person, web_app):
        bob = person("bob")
        page = bob.browser.authorize(web_app)
        forged = page.submit(username="bob", password=bob.password, csrfmiddlewaretoken="x" * 64)
        assert forged.status == 403
        assert forged.shows("Please try again.")
        assert not UserSession.objects.exists()
        assert forged.sign_in("bob", bob.password).code

    def test_a_page_from_before_signing_in_elsewhere_goes_on(self, person, web_app):
        """Signing in changes the token of every open page."""
        bob = person("bob")
        first = bob.browser.authorize(web_app, state="1")
        bob.browser.sign_in("bob", bob.password)
        assert first.sign_in("bob", bob.password).parameters["state"] == "1"

    def test_the_host_need_not_have_the_middleware(self, person, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
        bob = person("bob")
        page = bob.browser.open("/account/login")
        refused = page.submit(username="bob", password=bob.password, csrfmiddlewaretoken="")
        assert refused.status == 403
        assert page.sign_in("bob", bob.password).url == "/accounts/profile/"


class TestAsLoginUrlOfTheSite:
    @pytest.mark.parametrize("target", ["/admin/?a=b", "http://testserver/x"])
    def test_next_is_followed(self, person, target):
        bob = person("bob")
        page = bob.browser.open("/account/login?next=" + target)
        response = bob.browser.http.post(page.url, {**page.fields, "username": "bob", "password": bob.password})
        assert (response.status_code, response["Location"]) == (303, target)

    @pytest.mark.parametrize(
        "target",
        ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:///evil.example"],
    )
    def test_nothing_outside_of_the_site_is(self, person, target):
        bob = person("bob")
        page = bob.browser.open("/account/login?next=" + target)
        assert "evil" not in page.text
        assert "alert(1)" not in page.text
        fields = {**page.fields, "username": "bob", "password": bob.password, "next": target}
        assert bob.browser.http.post(page.url, fields)["Location"] == "/accounts/profile/"

    def test_it_says_who_is_signed_in(self, alice):
        assert alice.browser.open("/account/login").shows("You are signed in as alice.")


class TestLanguage:
    """ui_locales (OpenID Connect Core §3.1.2.1)."""

    @pytest.mark.parametrize(
        ("asked", "language", "direction"),
        [("de", "de", "ltr"), ("xx fr-CA en", "fr", "ltr"), ("ar", "ar", "rtl"), ("xx", "en-us", "ltr")],
    )
    def test_the_page_speaks_it(self, web_app, asked, language, direction):
        page = Browser().authorize(web_app, ui_locales=asked)
        assert f'<html lang="{language}" dir="{direction}">' in " ".join(page.text.split())
        assert page.response["Content-Language"] == language

    def test_so_does_the_page_after_a_refusal(self, web_app):
        page = Browser().authorize(web_app, ui_locales="ar").sign_in("bob", "x")
        assert page.shows('dir="rtl"')
        assert dict(parse_qsl(urlsplit(page.url).query))["request"]
