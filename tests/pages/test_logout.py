"""Signing out: OpenID Connect RP-Initiated Logout 1.0 §2 and §3, and what pages.md promises."""

import pytest

from identityserver.models import UserSession
from identityserver.testing import Browser

pytestmark = pytest.mark.django_db

END = "/connect/endsession"


class TestTheQuestion:
    def test_it_says_who_is_signed_in_and_where(self, alice, web_app):
        alice.browser.authorize(web_app)
        page = alice.browser.open("/account/logout")
        assert page.shows("<h1>Do you want to sign out?</h1>")
        assert page.shows("<bdi>alice</bdi>")
        assert page.shows("<bdi>Web app</bdi>")
        assert page.shows("<title>Sign out – testserver</title>")

    def test_it_says_who_asks(self, alice, web_app):
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}")
        assert page.shows("Do you want to sign out?")
        assert page.shows("<title>Sign out – Web app – testserver</title>")

    def test_it_is_asked_in_the_language_that_the_client_names(self, alice, web_app):
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}&ui_locales=xx%20de")
        assert page.shows('lang="de"')

    def test_asking_ends_nothing(self, alice):
        alice.browser.open("/account/logout")
        assert UserSession.objects.get().ended_at is None

    def test_nobody_is_asked_who_is_not_signed_in(self):
        assert Browser().open("/account/logout").shows("You are signed out")


class TestSigningOut:
    def test_the_session_ends(self, alice):
        page = alice.browser.open("/account/logout").submit(logout="yes")
        assert page.shows("<h1>You are signed out</h1>")
        assert page.shows("There is no link back, because no application asked for one.")
        assert UserSession.objects.get().ended_at
        assert alice.browser.open("/account/login").fields.keys() >= {"username", "password"}

    def test_the_client_gets_the_person_back(self, alice, web_app):
        """§3: with the state."""
        uri = "https://app.example/signed-out"
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}&post_logout_redirect_uri={uri}&state=a%26b")
        assert page.submit(logout="yes").location == f"{uri}?state=a%26b"

    def test_it_is_sent_back_once(self, alice, web_app):
        uri = "https://app.example/signed-out"
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}&post_logout_redirect_uri={uri}")
        page.submit(logout="yes")
        assert alice.browser.open(page.url).shows("You are signed out")

    @pytest.mark.parametrize("change", [{"enabled": False}, {"post_logout_redirect_uris": []}])
    def test_it_is_not_sent_where_the_client_may_no_longer_send_it(self, alice, web_app, change):
        uri = "https://app.example/signed-out"
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}&post_logout_redirect_uri={uri}")
        for name, value in change.items():
            setattr(web_app.row, name, value)
        web_app.row.save()
        assert page.submit(logout="yes").shows("You are signed out")

    def test_a_client_without_such_an_address_has_a_link(self, alice, web_app):
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}").submit(logout="yes")
        assert page.shows("You are signed out")
        assert page.shows('href="https://app.example/"')

    def test_there_is_a_reason_where_there_is_no_link(self, alice, relying_party):
        native = relying_party(redirect_uris=["com.example.app:/callback"], application_type="native")
        page = alice.browser.open(f"{END}?client_id={native.client_id}").submit(logout="yes")
        assert page.shows("because the application has not registered one")

    def test_a_forged_post_ends_nothing(self, alice):
        page = alice.browser.open("/account/logout").submit(logout="yes", csrfmiddlewaretoken="x" * 64)
        assert page.status == 403
        assert UserSession.objects.get().ended_at is None
        assert page.submit(logout="yes").shows("You are signed out")


class TestStaying:
    def test_the_session_goes_on(self, alice, web_app):
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}").submit(logout="no")
        assert page.shows("<h1>You are still signed in</h1>")
        assert page.shows('href="https://app.example/"')
        assert UserSession.objects.get().ended_at is None

    def test_the_client_is_not_told_of_a_logout(self, alice, web_app):
        uri = "https://app.example/signed-out"
        page = alice.browser.open(f"{END}?client_id={web_app.client_id}&post_logout_redirect_uri={uri}")
        assert not page.submit(logout="no").location


class TestTheLastPage:
    def test_it_never_says_so_to_somebody_who_is_signed_in(self, alice):
        assert alice.browser.open("/account/signed-out").shows("Do you want to sign out?")

    def test_it_leads_to_signing_in_again(self):
        assert Browser().open("/account/signed-out").shows('href="/account/login"')

    @pytest.mark.parametrize("handle", ["", "x", "%00", "a" * 43, "%F0%9F"])
    def test_an_old_handle_does_no_harm(self, alice, handle):
        assert Browser().open(f"/account/signed-out?request={handle}").shows("You are signed out")
        assert alice.browser.open(f"/account/logout?request={handle}").shows("Do you want to sign out?")
