"""The frame of every hosted page: its headers, the brand, the client's card, and the error page."""

import re

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.utils import translation

from identityserver import errors
from identityserver.models import Client, Event
from identityserver.testing import Browser
from identityserver.web.error_page import render_error
from identityserver.web.headers import content_security_policy, protect
from identityserver.web.rendering import client_card

pytestmark = pytest.mark.django_db

PAGES = ["/account/login", "/account/signed-out", "/account/consent", "/connect/authorize"]


class TestHeaders:
    @pytest.mark.parametrize("url", PAGES)
    def test_every_page_has_them(self, url):
        response = Browser().open(url).response
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "unsafe-none"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy

    @pytest.mark.parametrize("url", PAGES)
    def test_no_page_has_inline_code(self, url):
        text = Browser().open(url).text
        assert "<style" not in text
        assert " style=" not in text
        assert not re.search(r"<[^>]+\son\w+\s*=", text)
        assert all("src=" in tag for tag in text.split("<script")[1:])

    def test_the_site_cannot_weaken_them(self, settings):
        settings.SECURE_REFERRER_POLICY = "no-referrer"
        settings.SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
        settings.X_FRAME_OPTIONS = "SAMEORIGIN"
        response = Browser().open("/account/login").response
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "unsafe-none"
        assert response["X-Frame-Options"] == "DENY"


class TestContentSecurityPolicy:
    def test_it_opens_nothing_but_the_own_static_files(self):
        assert content_security_policy() == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
            "frame-ancestors 'none'; form-action 'self'"
        )

    def test_a_post_may_end_at_a_client(self):
        """Chromium enforces form-action along the whole chain of redirects."""
        assert "form-action" not in content_security_policy(leaves_site=True)

    @pytest.mark.parametrize(
        ("url", "source"),
        [
            ("https://cdn.example/static/", "https://cdn.example"),
            ("//cdn.example:8443/", "cdn.example:8443"),
            ("/assets/", "'self'"),
        ],
    )
    def test_static_files_may_be_elsewhere(self, url, source):
        with override_settings(STATIC_URL=url):
            assert f"script-src {source}; style-src {source};" in content_security_policy()

    def test_only_the_origins_of_images_shown_are_opened(self):
        policy = content_security_policy(["https://a.example/x.png", "/logo.svg", "http://localhost:8000/y"])
        assert "img-src 'self' http://localhost:8000 https://a.example;" in policy

    @pytest.mark.parametrize(
        "address",
        ["https://a.example;script-src *", "https://a.example, *", "https://[::1]/", "https://a b/", "data:,x", "\n"],
    )
    def test_no_address_gets_out_of_its_directive(self, address):
        assert "img-src 'self';" in content_security_policy([address])

    def test_it_is_set_over_whatever_was_there(self):
        response = HttpResponse(headers={"Content-Security-Policy": "default-src *", "Cache-Control": "public"})
        protect(response)
        assert "*" not in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]


class TestBrand:
    def test_the_site_may_add_a_stylesheet_of_its_own(self, settings):
        url = "https://cdn.example/brand.css"
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "stylesheet_url": url}
        page = Browser().open("/account/login")
        own, theirs = page.text.index("identityserver.css"), page.text.index(f'href="{url}"')
        assert own < theirs
        assert "style-src 'self' https://cdn.example;" in page.response["Content-Security-Policy"]

    def test_the_site_has_its_name_logo_and_links(self, settings):
        settings.IDENTITYSERVER = {
            **settings.IDENTITYSERVER,
            "site_name": "Northwind <ID>",
            "logo_url": "https://cdn.example/logo.svg",
            "privacy_url": "/privacy",
            "support_url": "https://help.example/",
        }
        page = Browser().open("/account/login")
        assert page.shows("<title>Sign in – Northwind <ID></title>")
        assert "<ID>" not in page.text
        assert page.shows('src="https://cdn.example/logo.svg"')
        assert page.shows('href="/privacy"')
        assert page.shows('href="https://help.example/"')
        assert "https://cdn.example;" in page.response["Content-Security-Policy"]

    def test_without_one_the_host_is_the_name(self):
        assert Browser().open("/account/login").shows("<title>Sign in – testserver</title>")


class TestClientCard:
    def card(self, **fields):
        defaults = {"name": "App", "redirect_uris": ["https://app.example/callback"]}
        return client_card(Client(**{**defaults, **fields}))

    @pytest.mark.parametrize(
        ("uri", "place"),
        [
            ("https://app.example:8443/callback", "app.example:8443"),
            ("http://127.0.0.1:9000/callback", "127.0.0.1:9000 (on this device)"),
            ("com.example.app:/callback", "the app com.example.app on this device"),
        ],
    )
    def test_it_tells_where_the_person_will_be_sent(self, uri, place):
        assert self.card(redirect_uris=[uri]).host == place

    def test_it_speaks_the_language_of_the_page(self):
        translations = {"name": {"de": "Anwendung"}, "policy_uri": {"de": "https://app.example/de"}}
        with translation.override("de"):
            card = self.card(translations=translations)
        assert (card.name, card.policy_uri) == ("Anwendung", "https://app.example/de")

    def test_a_client_without_a_name_is_known_by_its_id(self):
        assert self.card(name="", client_id="reports").name == "reports"

    @pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "nothing"])
    def test_links_are_web_addresses(self, uri):
        card = self.card(policy_uri=uri, tos_uri=uri, logo_uri=uri, client_uri=uri)
        assert (card.policy_uri, card.tos_uri, card.logo_uri) == ("", "", "")
        assert card.way_back == "https://app.example/"

    def test_a_logo_comes_over_https(self):
        assert self.card(logo_uri="http://app.example/logo.png").logo_uri == ""

    @pytest.mark.parametrize(
        ("fields", "way_back"),
        [
            ({"client_uri": "https://www.example/"}, "https://www.example/"),
            (
                {"initiate_login_uri": "https://app.example/login?x=1"},
                "https://app.example/login?x=1&iss=http%3A%2F%2Ftestserver",
            ),
            ({}, "https://app.example/"),
            ({"application_type": "native"}, ""),
            ({"redirect_uris": ["com.example.app:/callback"]}, ""),
        ],
    )
    def test_it_knows_the_way_back(self, fields, way_back):
        assert self.card(**fields).way_back == way_back


class TestErrorPage:
    @pytest.fixture
    def refused(self, rf):
        def refuse(error, **more):
            return render_error(rf.get("/"), error, **more)

        return refuse

    @pytest.mark.parametrize(
        "name", ["redirect_uri", "client_id", "response_type", "post_logout_redirect_uri", "id_token_hint", "x"]
    )
    def test_it_names_the_parameter_at_fault(self, refused, name):
        page = refused(errors.InvalidRequest("No.", parameter=name))
        assert page.status_code == 400
        assert f"<code>{name}</code>" in page.content.decode()

    def test_it_has_the_reference_of_the_event(self, web_app):
        page = Browser().authorize(web_app, redirect_uri="https://evil.example/")
        event = Event.objects.get(type="request_refused")
        assert page.shows(event.reference)
        assert not page.location

    def test_it_offers_a_link_that_the_client_registered(self, web_app):
        page = Browser().authorize(web_app, redirect_uri="https://evil.example/")
        assert page.shows('href="https://app.example/"')
        assert "evil.example" not in page.text

    def test_details_are_for_staff(self, alice, web_app):
        ask = {"redirect_uri": "https://evil.example/"}
        assert not alice.browser.authorize(web_app, **ask).shows("For administrators")
        alice.user.is_staff = True
        alice.user.save()
        page = alice.browser.authorize(web_app, **ask)
        assert page.shows("For administrators")
        assert page.shows(errors.InvalidRequest.remedy)

    def test_a_failure_of_ours_asks_the_database_nothing(self, refused, django_assert_num_queries):
        with django_assert_num_queries(0):
            page = refused(errors.TemporarilyUnavailable("The server cannot answer now."))
        assert page.status_code == 503
        assert page["Retry-After"] == "5"
        assert "Wait a moment" in page.content.decode()

    def test_nothing_is_read_as_html(self, refused):
        page = refused(errors.InvalidRequest("<b>", detail="<i>", parameter="<u>")).content.decode()
        assert "<u>" not in page
        assert "<b>" not in page
