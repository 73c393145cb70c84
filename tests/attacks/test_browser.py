"""Attacks through the browser: other sites, other tabs, links that somebody sends, and people on shared machines."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY
from django.test import Client as HttpClient
from django.urls import reverse

from identityserver.models import ApiScope, AuthorizationRequest, Client, Consent, Grant, IdentityResource, UserSession
from identityserver.testing import Browser, Page, RelyingParty
from identityserver.testing.fixtures import PASSWORD, Person
from identityserver.web.session import SID_KEY

LOGIN, LOGOUT = "/account/login", "/account/logout"
EVIL = "https://evil.example"

pytestmark = pytest.mark.django_db


def is_signed_in(browser: Browser) -> bool:
    return SESSION_KEY in browser.http.session


def cross_site(browser: Browser, url: str, fields: dict[str, Any], **headers: str) -> Any:
    """A form on another site, posted by the victim's browser with all its cookies."""
    return browser.http.post(url, fields, headers={"Origin": EVIL, "Referer": f"{EVIL}/", **headers})


class TestCrossSiteRequests:
    """RFC 6749 §10.12: what another site posts in the name of somebody changes nothing."""

    #: With the attacker's own token, with none, with a cookie's value that the attacker cannot know.
    TOKENS = ("", "x", "a" * 32, "a" * 64, "\0", "é" * 64)

    def test_login(self, person: Callable[..., Person]) -> None:
        """Signing the victim in as the attacker (login CSRF)."""
        attacker, victim = person("attacker"), Browser()
        victim.open(LOGIN)
        for token in self.TOKENS:
            fields = {"username": "attacker", "password": PASSWORD, "login": "yes", "csrfmiddlewaretoken": token}
            response = cross_site(victim, LOGIN, fields)
            assert response.status_code == 403
            assert not is_signed_in(victim)
        assert attacker.browser.sign_in("attacker", PASSWORD).status in {200, 404}

    def test_login_with_the_attacker_s_token(self, person: Callable[..., Person]) -> None:
        person("attacker")
        token = Browser().open(LOGIN).fields["csrfmiddlewaretoken"]
        victim = Browser()
        victim.open(LOGIN)
        fields = {"username": "attacker", "password": PASSWORD, "login": "yes", "csrfmiddlewaretoken": token}
        assert cross_site(victim, LOGIN, fields).status_code == 403
        assert not is_signed_in(victim)

    def test_consent(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        page = alice.browser.authorize(relying_party(require_consent=True))
        for allow in ("yes", "no"):
            response = cross_site(alice.browser, page.url, {"allow": allow, "scopes": ["openid"]})
            assert response.status_code == 403
        stored = AuthorizationRequest.objects.get()
        assert (stored.approved_sid, stored.denied_at, stored.used_at) == ("", None, None)
        assert not Grant.objects.exists()

    def test_switching_and_cancelling(self, alice: Person, web_app: RelyingParty) -> None:
        page = alice.browser.authorize(web_app, prompt="login")
        for button in ("switch", "cancel"):
            assert cross_site(alice.browser, page.url, {button: "yes"}).status_code == 403
        assert is_signed_in(alice.browser)
        assert AuthorizationRequest.objects.get().denied_at is None

    def test_logout(self, alice: Person, web_app: RelyingParty) -> None:
        """Neither by the page nor by the endpoint, without a hint that only the client has."""
        assert cross_site(alice.browser, LOGOUT, {"logout": "yes"}).status_code == 403
        http, uri = alice.browser.http, web_app.row.post_logout_redirect_uris[0]
        for fields in ({"state": "x"}, {"client_id": web_app.client_id, "post_logout_redirect_uri": uri}):
            assert http.get("/connect/endsession", fields)["Location"].startswith(LOGOUT)
            form = urlencode(fields)
            answer = http.post("/connect/endsession", form, content_type="application/x-www-form-urlencoded")
            assert answer["Location"].startswith(LOGOUT)
        assert is_signed_in(alice.browser)
        assert UserSession.objects.get().ended_at is None

    def test_logout_of_somebody_whom_only_the_site_knows(self, alice: Person) -> None:
        """A Django session from before the app was installed has no user session, and is asked all the same."""
        session = alice.browser.http.session
        del session[SID_KEY]
        session.save()
        assert alice.browser.http.get("/connect/endsession")["Location"].startswith(LOGOUT)
        assert is_signed_in(alice.browser)

    def test_logout_empties_nobody_s_cart(self) -> None:
        """Who is not signed in has a session of the host's all the same."""
        http = HttpClient()
        session = http.session
        session["cart"] = "full"
        session.save()
        http.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key
        http.get("/connect/endsession")
        assert http.session["cart"] == "full"

    def test_scripts_of_other_origins_read_nothing(self, alice: Person, web_app: RelyingParty) -> None:
        """No page, no code and no token goes to an origin that is not registered; cookies never count."""
        Client.objects.update(allowed_cors_origins=["https://spa.example"])
        urls = [
            LOGIN,
            LOGOUT,
            web_app.authorization_url(),
            "/connect/token",
            "/connect/userinfo",
            "/connect/endsession",
        ]
        for origin in (EVIL, "null", "https://spa.example.evil.example", "https://SPA.example", "http://spa.example"):
            for url in urls:
                for method in ("get", "post", "options"):
                    response = getattr(alice.browser.http, method)(url, headers={"Origin": origin})
                    assert "Access-Control-Allow-Origin" not in response
                    assert "Access-Control-Allow-Credentials" not in response


class TestClickjacking:
    """RFC 9700 §4.16: none of our pages is shown in a frame, whatever it says."""

    def test_every_page(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        for response in _pages(alice, relying_party):
            assert response["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
            assert "'unsafe" not in response["Content-Security-Policy"]
            assert "no-store" in response["Cache-Control"]
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Referrer-Policy"] == "same-origin"


def _pages(alice: Person, relying_party: Callable[..., RelyingParty]) -> Iterator[Any]:
    """Every page that there is, as a browser gets it."""
    app, stranger = relying_party(require_consent=True), Browser()
    yield stranger.http.get(LOGIN)
    yield stranger.authorize(app).response
    yield stranger.open(LOGIN).sign_in("alice", "wrong").response
    yield alice.browser.http.get(LOGIN)
    yield alice.browser.authorize(app).response
    yield alice.browser.authorize(app, prompt="login").response
    yield alice.browser.authorize(app, response_mode="form_post", prompt="none").response
    yield alice.browser.authorize(app, client_id="nobody").response
    yield alice.browser.http.get("/connect/authorize/resume")
    yield alice.browser.http.get(LOGOUT)
    yield alice.browser.http.post(LOGOUT, {"logout": "yes"})
    yield alice.browser.open(LOGOUT).submit(logout="no").response
    yield alice.browser.http.put(LOGIN)
    yield alice.browser.sign_out().response


class TestSessionFixation:
    """What an attacker planted in the browser before somebody signs in is worth nothing after it."""

    def test_django_session(self, person: Callable[..., Person]) -> None:
        bob = person("bob")
        planted = bob.browser.http.session
        planted["cart"] = "evil"
        planted.save()
        bob.browser.http.cookies[django_settings.SESSION_COOKIE_NAME] = planted.session_key
        bob.browser.sign_in("bob", bob.password)
        assert is_signed_in(bob.browser)
        assert bob.browser.http.session.session_key != planted.session_key
        attacker = HttpClient()
        attacker.cookies[django_settings.SESSION_COOKIE_NAME] = planted.session_key
        assert SESSION_KEY not in attacker.session

    def test_a_planted_sid(self, alice: Person, person: Callable[..., Person]) -> None:
        """Only a session that is signed in has a sid, and only its own user's."""
        sid = alice.browser.http.session[SID_KEY]
        mallory = person("mallory").sign_in()
        session = mallory.browser.http.session
        session[SID_KEY] = sid
        session.save()
        app = RelyingParty()
        page = mallory.browser.authorize(app)
        if page.location.startswith(app.redirect_uri):
            assert app.userinfo(app.redeem(page.code).access_token).json()["preferred_username"] != "alice"
        assert UserSession.objects.get(sid=sid).ended_at is None

    def test_csrf_token_changes_at_login(self, person: Callable[..., Person]) -> None:
        bob = person("bob")
        bob.browser.open(LOGIN)
        before = bob.browser.http.cookies["csrftoken"].value
        bob.browser.sign_in("bob", bob.password)
        assert bob.browser.http.cookies["csrftoken"].value != before

    def test_cookies_are_out_of_reach(self, settings: Any, alice: Person, relying_party: Callable[..., Any]) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "issuer": "https://testserver"}
        alice.browser.authorize(relying_party(require_consent=True))
        binding = next(
            cookie for name, cookie in alice.browser.http.cookies.items() if name.startswith("identityserver")
        )
        assert binding["httponly"]
        assert binding["secure"]
        assert binding["samesite"] == "Lax"
        assert not binding["domain"]


class TestSharedBrowser:
    """Protocol rule 7: an approval counts only for the user session that saw the page."""

    def test_consent_of_somebody_else(
        self, alice: Person, person: Callable[..., Person], relying_party: Callable[..., RelyingParty]
    ) -> None:
        """alice leaves the consent page open, bob signs in in another tab, and the old page is sent off."""
        app, bob = relying_party(require_consent=True), person("bob")
        page = alice.browser.authorize(app)
        alice.browser.sign_in("bob", bob.password)
        stale = dict(page.fields) | {"csrfmiddlewaretoken": alice.browser.open(LOGOUT).fields["csrfmiddlewaretoken"]}
        answer = alice.browser.submit(page.url, {**stale, "allow": "yes", "scopes": ["openid"]})
        assert not answer.location
        assert not Grant.objects.exists()
        assert not Consent.objects.exists()
        assert answer.allow().location.startswith(app.redirect_uri)
        assert Grant.objects.get().user == bob.user

    def test_an_approval_does_not_outlive_its_session(
        self, alice: Person, person: Callable[..., Person], relying_party: Callable[..., RelyingParty]
    ) -> None:
        """alice allows, and before the answer is fetched somebody else has signed in."""
        app, bob = relying_party(require_consent=True), person("bob")
        page = alice.browser.authorize(app)
        allowed = alice.browser.http.post(page.url, {**page.fields, "allow": "yes"})
        alice.browser.sign_in("bob", bob.password)
        answer = alice.browser.open(allowed["Location"])
        assert not answer.location
        assert answer.shows("bob")
        assert not Grant.objects.exists()

    def test_another_browser_with_the_link(
        self, alice: Person, person: Callable[..., Person], relying_party: Callable[..., RelyingParty]
    ) -> None:
        """Somebody gets the victim to open the page of their own request."""
        mallory = person("mallory").sign_in()
        page = mallory.browser.authorize(relying_party(require_consent=True))
        seen = alice.browser.open(page.url)
        assert seen.status == 400
        assert not seen.shows("Allow")


class TestOpenRedirect:
    """Nobody is sent from our pages to where a link said."""

    TARGETS = (
        EVIL,
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "https:evil.example",
        "https:///evil.example",
        "http:\\\\evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        " //evil.example",
        "\x08//evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
        "http://[::1",
        "http://testserver:99999/",
        "ftp://testserver/",
        "\u3000//evil.example",
        "https://evil.example\\@testserver/",
    )

    def test_after_login(self, person: Callable[..., Person]) -> None:
        person("bob")
        for target in self.TARGETS:
            browser = Browser()
            page = browser.open(f"{LOGIN}?{urlencode({'next': target})}")
            answer = browser.http.post(
                page.url, {**page.fields, "username": "bob", "password": PASSWORD, "next": target}
            )
            assert answer.status_code == 303
            assert answer["Location"] == "/accounts/profile/" or answer["Location"].startswith("http://testserver:"), (
                target
            )
            assert "evil" not in answer["Location"], target

    def test_after_logout(self, alice: Person, web_app: RelyingParty) -> None:
        for target in self.TARGETS:
            for name in ("next", "post_logout_redirect_uri", "return_to", "redirect_uri"):
                answer = alice.browser.http.get("/connect/endsession", {name: target, "client_id": web_app.client_id})
                assert not answer.get("Location", "/").startswith(("http", "//", "\\")), target
        page = alice.browser.open(f"{LOGOUT}?{urlencode({'next': EVIL})}")
        answer = alice.browser.http.post(page.url, {**page.fields, "logout": "yes", "next": EVIL})
        assert answer["Location"] == "/account/signed-out"

    def test_signed_out_page(self) -> None:
        for name in ("next", "return_url", "url"):
            page = HttpClient().get("/account/signed-out", {name: EVIL}).content.decode()
            assert EVIL not in page


class TestHostHeader:
    """Addresses come from the issuer: a forged Host goes nowhere, whatever the site allows."""

    HEADERS = {"HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_X_FORWARDED_PROTO": "https"}

    def test_documents(self, settings: Any, signing_keys: None) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
            document = HttpClient().get(path, **self.HEADERS)
            assert b"evil" not in document.content
            assert document.json()["issuer"] == "http://testserver"

    def test_answers_and_pages(self, settings: Any, alice: Person, web_app: RelyingParty) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        settings.USE_X_FORWARDED_HOST = True
        http, stranger = alice.browser.http, HttpClient()
        for response in (
            http.get(web_app.authorization_url(), **self.HEADERS),
            http.get(web_app.authorization_url(response_mode="form_post"), **self.HEADERS),
            http.get(web_app.authorization_url(prompt="none", max_age="x"), **self.HEADERS),
            http.get(web_app.authorization_url(client_id="nobody"), **self.HEADERS),
            stranger.get(web_app.authorization_url(), **self.HEADERS),
            stranger.get(LOGIN, **self.HEADERS),
            http.get(LOGOUT, **self.HEADERS),
            http.get("/connect/endsession", **self.HEADERS),
        ):
            assert b"evil" not in response.content
            assert "evil" not in str(response.headers)

    def test_tokens(self, settings: Any, alice: Person, web_app: RelyingParty) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        code = alice.browser.authorize(web_app).code
        web_app.http = HttpClient(**self.HEADERS)
        tokens = web_app.redeem(code).succeeds()
        assert tokens.id_token["iss"] == tokens.access_token_claims["iss"] == "http://testserver"


class TestHeaderInjection:
    """CR and LF cannot reach a header, encoded once, twice or as other characters that some count for them."""

    INJECTED = ("\r\nSet-Cookie: evil=1", "\nX-Evil: 1", "\r\n\r\n<script>", "\u560d\u560aX-Evil: 1", "\u2028X-Evil: 1")

    def test_every_echoed_parameter(self, alice: Person, web_app: RelyingParty) -> None:
        for text in self.INJECTED:
            for name in ("state", "redirect_uri", "ui_locales", "login_hint", "scope", "prompt", "client_id", "nonce"):
                for changes in ({}, {"prompt": "none", "max_age": "x"}):
                    value = f"x{text}"
                    response = alice.browser.http.get(web_app.authorization_url(**{**changes, name: value}))
                    self.is_clean(response)
            for url in (f"{LOGIN}?next=/x{quote(text)}", f"/connect/endsession?state=x{quote(text)}"):
                self.is_clean(alice.browser.http.get(url))

    def test_next(self, person: Callable[..., Person]) -> None:
        bob = person("bob")
        for text in self.INJECTED:
            page = bob.browser.open(LOGIN)
            fields = {**page.fields, "username": "bob", "password": PASSWORD, "next": f"/x{text}"}
            self.is_clean(bob.browser.http.post(LOGIN, fields))

    def is_clean(self, response: Any) -> None:
        assert response.status_code in {200, 303, 400}
        assert "X-Evil" not in response
        assert "evil" not in response.cookies
        for name, value in response.items():
            assert not re.search(r"[\r\n]", name + value)


class ActiveContent(HTMLParser):
    """What of a page a browser would act on and is none of ours: reads it as a browser does, and not as text."""

    OURS = "/static/identityserver/"

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Any] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            runs = name.startswith("on") or name == "style"
            leads_away = name in {"href", "src", "action", "formaction", "data"} and not self.is_place(value or "")
            if runs or leads_away:
                self.found.append((tag, name, value))
        sources = [value for name, value in attributes if name == "src"]
        if (
            tag in {"script", "img", "iframe", "object", "embed", "svg", "base", "link"}
            and tag != "link"
            and not any((source or "").startswith(self.OURS) for source in sources)
        ):
            self.found.append((tag, attributes))

    def is_place(self, value: str) -> bool:
        return value.startswith(("/", "#", "https://app.example"))


class TestCrossSiteScripting:
    """No parameter of a request and no field of a registration becomes markup, on any page."""

    MARKUP = (
        "\"><script>alert('xss')</script>",
        "'><img src=x onerror=alert('xss')>",
        "</title><script>alert('xss')</script>",
        "</textarea><svg onload=alert('xss')>",
    )
    PAYLOADS = (" ".join(MARKUP) + "{{ 7|add:7 }}{% debug %}", "javascript:alert('xss')")

    def is_inert(self, response: Any) -> None:
        assert response["Content-Type"].startswith(("text/html; charset=utf-8", "application/json"))
        if response["Content-Type"].startswith("text/html"):
            assert "script-src 'self'" in response["Content-Security-Policy"]
            reader = ActiveContent()
            reader.feed(response.content.decode())
            assert not reader.found

    @pytest.mark.parametrize("payload", MARKUP)
    def test_the_reader_would_find_it(self, payload: str) -> None:
        reader = ActiveContent()
        reader.feed(f"<p title='{payload}'>{payload}</p><a href='javascript:alert(1)'></a>")
        assert len(reader.found) > 1

    def test_parameters(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        app, stranger = relying_party(require_consent=True), Browser()
        names = [*app.authorization_parameters(), "response_mode", "login_hint", "ui_locales", "prompt", "max_age"]
        names += [
            "id_token_hint",
            "claims",
            "resource",
            "request",
            "request_uri",
            "display",
            "acr_values",
            "next",
            "error",
        ]
        for payload in self.PAYLOADS:
            for name in names:
                for browser in (stranger, alice.browser):
                    response = browser.authorize(app, **{name: payload}).response
                    if response.content:
                        self.is_inert(response)

    def test_form_post(self, alice: Person, web_app: RelyingParty) -> None:
        for payload in self.PAYLOADS:
            for changes in ({}, {"max_age": payload}, {"scope": payload}, {"prompt": payload}):
                page = alice.browser.authorize(web_app, response_mode="form_post", state=payload, **changes)
                self.is_inert(page.response)
                assert page.parameters["state"] == payload

    def test_pages(self, alice: Person) -> None:
        stranger = Browser()
        for payload in self.PAYLOADS:
            query = urlencode(dict.fromkeys(("request", "next", "error", "username", "client_id", "state"), payload))
            for path in (LOGIN, LOGOUT, "/account/consent", "/account/signed-out", "/connect/authorize/resume"):
                for browser in (stranger, alice.browser):
                    self.is_inert(browser.open(f"{path}?{query}").response)
            page = stranger.open(LOGIN)
            fields = {**page.fields, "username": payload, "password": payload, "next": payload, "request": payload}
            self.is_inert(stranger.http.post(LOGIN, fields, follow=True))
            self.is_inert(stranger.http.post(LOGIN, {"username": payload}))

    def test_logout_requests(self, alice: Person, web_app: RelyingParty) -> None:
        for payload in self.PAYLOADS:
            for name in (
                "client_id",
                "post_logout_redirect_uri",
                "id_token_hint",
                "state",
                "ui_locales",
                "logout_hint",
            ):
                self.is_inert(alice.browser.open(f"/connect/endsession?{urlencode({name: payload})}").response)

    def test_errors_of_machines(self, web_app: RelyingParty) -> None:
        """They say what was wrong, and never as something that a browser would show."""
        for payload in self.PAYLOADS:
            for fields in ({"grant_type": payload}, {"grant_type": "refresh_token", "refresh_token": payload}):
                response = web_app.token(**fields).response
                assert response["Content-Type"] == "application/json"
                assert response["X-Content-Type-Options"] == "nosniff"

    def test_registrations_and_people(self, person: Callable[..., Person]) -> None:
        """Whoever writes client names, scopes and user names is not the one who reads the page."""
        for number, payload in enumerate(self.MARKUP):
            evil = person(f"u{number}{payload}", first_name=payload, last_name=payload, email=f"{number}@example.com")
            scope = ApiScope.objects.create(
                name=f"s{number}", display_name=payload, description=payload, emphasize=True
            )
            IdentityResource.objects.filter(name="profile").update(display_name=payload, description=payload)
            app = RelyingParty(scopes=f"openid profile {scope.name}", require_consent=True, name=payload)
            Client.objects.filter(pk=app.row.pk).update(
                description=payload, translations={"name": {"en": payload, "en-us": payload}}
            )
            evil.sign_in()
            for page in self.pages_of(evil.browser, app):
                self.is_inert(page.response)

    def pages_of(self, browser: Browser, app: RelyingParty) -> Iterator[Page]:
        yield Browser().authorize(app)
        yield browser.authorize(app, prompt="login")
        consent = browser.authorize(app)
        assert consent.shows("Allow")
        yield consent
        yield browser.authorize(app, redirect_uri="https://evil.example")
        yield browser.open(f"/connect/endsession?client_id={app.client_id}")
        yield browser.open(LOGIN)
        consent.allow()
        yield browser.open(LOGOUT)
        yield browser.open(LOGOUT).submit(logout="no")
        yield browser.sign_out()

    def test_links_of_a_registration_that_nobody_validated(self, alice: Person, web_app: RelyingParty) -> None:
        """Only web addresses become links, wherever they come from."""
        evil = "javascript:alert('xss')"
        Client.objects.update(require_consent=True)
        for name in ("logo_uri", "client_uri", "policy_uri", "tos_uri", "initiate_login_uri"):
            Client.objects.update(**{name: evil})
            for page in (
                alice.browser.authorize(web_app),
                alice.browser.authorize(web_app, redirect_uri="https://evil.example"),
                Browser().authorize(web_app),
            ):
                assert "javascript:" not in page.text
            Client.objects.update(**{name: ""})


class TestEnumerationOfPeople:
    """An unknown user name, a wrong password and a disabled user read the same, and take one hash each."""

    def test_same_words_and_work(self, monkeypatch: pytest.MonkeyPatch, person: Callable[..., Person]) -> None:
        from django.contrib.auth.hashers import MD5PasswordHasher

        person("bob")
        person("gone", is_active=False)
        hashed: list[str] = []
        encode = MD5PasswordHasher.encode

        def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
            hashed.append(password)
            return encode(self, password, salt)

        monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
        answers = []
        for username, password in (("bob", "wrong"), ("nobody", "wrong"), ("gone", "wrong"), ("gone", PASSWORD)):
            browser = Browser()
            hashed.clear()
            answer = browser.sign_in(username, password)
            words = re.sub(r'value="[^"]*"', "", answer.text)
            answers.append((answer.status, words, len(hashed)))
        assert all(answer == answers[0] for answer in answers)


def test_every_redirect_is_303(alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
    """A 307 would post a password on to the client (Fett, Küsters, Schmitz 2016; RFC 9700 §4.12)."""
    app, browser = relying_party(require_consent=True), Browser()
    page = browser.authorize(app)
    steps = [browser.http.post(page.url, {**page.fields, "username": "alice", "password": PASSWORD, "login": "yes"})]
    steps.append(browser.http.get(steps[-1]["Location"]))
    consent = browser.open(steps[-1]["Location"])
    steps.append(browser.http.post(consent.url, {**consent.fields, "allow": "yes"}))
    steps.append(browser.http.get(steps[-1]["Location"]))
    assert steps[-1]["Location"].startswith(app.redirect_uri)
    for step in steps:
        assert step.status_code == 303
        assert "no-store" in step["Cache-Control"]
        assert step["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert reverse("identityserver:resume") in steps[0]["Location"]
