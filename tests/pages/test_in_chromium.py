"""Every hosted page in a real browser: WCAG 2.2 AA by axe, narrow and wide, light and dark, also without scripts."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from identityserver.models import ApiScope, DeviceRequest, Grant
from identityserver.vocabulary import GrantType

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ARTEFACTS = Path("artefacts") / "pages"
SIZES = {"narrow": {"width": 320, "height": 640}, "wide": {"width": 1280, "height": 900}}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

#: A name that nothing can break where a reader would, at the length that the database allows.
LONG_NAME = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " * 2

#: What can be pressed is 24 by 24 pixels at least (WCAG 2.2, 2.5.8), links within a sentence apart.
SMALL_TARGETS = """
    [...document.querySelectorAll("a, button, input, summary, label.choice")]
        .filter((element) => element.checkVisibility() && element.type !== "hidden")
        .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 || box.height < 24)
        .map(([html]) => html)
"""


class Visitor:
    """Somebody in front of a browser that leads to the live server."""

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/favicon.ico", lambda route: route.fulfill(body=""))

    def open(self, path: str, **parameters: str) -> None:
        self.page.goto(f"{self.server}{path}{'?' if parameters else ''}{urlencode(parameters)}")

    def authorize(self, client, **changes: str) -> None:
        self.page.goto(self.server + client.authorization_url(**changes))

    def sign_in(self, person) -> None:
        self.open(reverse("identityserver:login"), next=reverse("identityserver:logout"))
        self.type_password(person.username, person.password)

    def type_password(self, username: str, password: str) -> None:
        self.page.locator("[name=username]").fill(username)
        self.page.locator("[name=password]").fill(password)
        self.page.locator("[name=login]").click()

    def type_user_code(self, user_code: str) -> None:
        self.page.locator("[name=user_code]").fill(user_code)
        self.page.keyboard.press("Enter")

    def press(self, name: str, value: str) -> None:
        self.page.locator(f"[name={name}][value={value}]").click()


@pytest.fixture
def visitor(chromium, live_server):
    context = chromium.new_context()
    yield Visitor(context.new_page(), live_server.url)
    context.close()


@pytest.fixture
def scriptless(chromium, live_server):
    """A visitor whose browser runs no scripts."""
    context = chromium.new_context(java_script_enabled=False)
    yield Visitor(context.new_page(), live_server.url)
    context.close()


@pytest.fixture
def callback(live_server, settings):
    """Where the client is: the live server under another name, so that it is another site to the browser."""
    settings.ALLOWED_HOSTS = ["*"]
    return live_server.url.replace("localhost", "127.0.0.1") + "/callback"


@pytest.fixture
def app(relying_party, api, callback):
    """A client that asks for everything."""
    ApiScope.objects.filter(name="notes.write").update(emphasize=True, description="Also those of your team.")
    scopes = "openid profile email notes.read notes.write offline_access"
    return relying_party(
        scopes=scopes,
        name="Acme Reports",
        require_consent=True,
        redirect_uris=[callback],
        policy_uri="https://app.example/privacy",
        tos_uri="https://app.example/terms",
    )


@pytest.fixture
def unwieldy(relying_party, api):
    """A client nobody has looked at, with names that are hard to lay out."""
    ApiScope.objects.create(name="notes.all", display_name=LONG_NAME.strip(), description=LONG_NAME * 3)
    host = "a-long-name-of-a-subdomain.of-some-department." + "d" * 60 + ".example"
    return relying_party(
        scopes="openid profile email notes.all",
        name=LONG_NAME.strip(),
        redirect_uris=[f"https://{host}/callback"],
        require_consent=True,
        source="dcr",
    )


@pytest.fixture
def bob(person):
    return person("bob", email="bob.with.a.long.address@mail.northwind.example", first_name="Bob")


def in_browser(visitor, url):
    """An address of ours, at the live server, which the issuer of the tests does not name."""
    return visitor.server + url.removeprefix("http://testserver")


def login(visitor, app, bob, **_):
    visitor.authorize(app, login_hint="bob")


def login_refused(visitor, app, **_):
    visitor.authorize(app)
    visitor.type_password("bob", "wrong")


def login_empty(visitor, app, **_):
    visitor.authorize(app)
    visitor.type_password("", "")


def login_limited(visitor, settings, **_):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "login_attempts_per_minute": 1}
    for _attempt in range(2):
        visitor.open(reverse("identityserver:login"))
        visitor.type_password("bob", "wrong")


def login_of_the_site(visitor, **_):
    visitor.open(reverse("identityserver:login"))


def login_unwieldy(visitor, unwieldy, **_):
    visitor.authorize(unwieldy)


def login_in_arabic(visitor, app, **_):
    visitor.authorize(app, ui_locales="ar")


def reauthentication(visitor, app, bob, **_):
    visitor.sign_in(bob)
    visitor.authorize(app, prompt="login")


def consent(visitor, app, bob, **_):
    visitor.sign_in(bob)
    visitor.authorize(app)


def consent_unwieldy(visitor, unwieldy, bob, **_):
    visitor.sign_in(bob)
    visitor.authorize(unwieldy)


def consent_in_arabic(visitor, app, bob, **_):
    visitor.sign_in(bob)
    visitor.authorize(app, ui_locales="ar")


def device(visitor, bob, **_):
    visitor.sign_in(bob)
    visitor.open(reverse("identityserver:device"))


def device_with_the_code(visitor, bob, television, **_):
    visitor.sign_in(bob)
    visitor.page.goto(in_browser(visitor, television.device_authorization().verification_uri_complete))


def device_refused(visitor, bob, **_):
    device(visitor, bob)
    visitor.type_user_code("BCDF-GHJK")


def device_limited(visitor, bob, settings, **_):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "user_code_attempts": 1}
    device_refused(visitor, bob)
    visitor.type_user_code("BCDF-GHJL")


def device_confirm(visitor, bob, television, **_):
    device(visitor, bob)
    visitor.type_user_code(television.device_authorization().user_code)


def device_confirm_unwieldy(visitor, bob, unwieldy, **_):
    unwieldy.row.allowed_grant_types = ["authorization_code", GrantType.DEVICE_CODE]
    unwieldy.row.save()
    asked = unwieldy.device_authorization()
    began = timezone.now() - timedelta(minutes=4)
    DeviceRequest.objects.update(ip="2001:db8:1234:5678:9abc:def0:1234:5678", created=began)
    device(visitor, bob)
    visitor.type_user_code(asked.user_code)


def device_confirm_in_arabic(visitor, bob, television, settings, **_):
    settings.LANGUAGE_CODE = "ar"
    device_confirm(visitor, bob, television)


def device_for_others(visitor, bob, television, **_):
    television.row.allowed_groups.add(Group.objects.create(name="Staff"))
    device_confirm(visitor, bob, television)


def device_allowed(visitor, bob, television, **_):
    device_confirm(visitor, bob, television)
    visitor.press("allow", "yes")


def device_denied(visitor, bob, television, **_):
    device_confirm(visitor, bob, television)
    visitor.press("allow", "no")


def logout(visitor, app, bob, **_):
    consent(visitor, app, bob)
    visitor.press("allow", "yes")
    visitor.open(reverse("identityserver:end_session"), client_id=app.client_id)


def still_signed_in(visitor, app, bob, **_):
    logout(visitor, app, bob)
    visitor.press("logout", "no")


def signed_out(visitor, app, bob, **_):
    logout(visitor, app, bob)
    visitor.press("logout", "yes")


def signed_out_of_the_site(visitor, **_):
    visitor.open(reverse("identityserver:signed_out"))


def error(visitor, app, **_):
    visitor.authorize(app, redirect_uri="https://evil.example/")


def error_for_staff(visitor, app, bob, **_):
    bob.user.is_staff = True
    bob.user.save()
    visitor.sign_in(bob)
    visitor.authorize(app, redirect_uri="https://evil.example/")


STATES = [
    login,
    login_refused,
    login_empty,
    login_limited,
    login_of_the_site,
    login_unwieldy,
    login_in_arabic,
    reauthentication,
    consent,
    consent_unwieldy,
    consent_in_arabic,
    device,
    device_with_the_code,
    device_refused,
    device_limited,
    device_confirm,
    device_confirm_unwieldy,
    device_confirm_in_arabic,
    device_for_others,
    device_allowed,
    device_denied,
    logout,
    still_signed_in,
    signed_out,
    signed_out_of_the_site,
    error,
    error_for_staff,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_page_is_accessible(state: Callable[..., None], visitor, app, unwieldy, television, bob, settings):
    page = visitor.page
    state(visitor=visitor, app=app, unwieldy=unwieldy, television=television, bob=bob, settings=settings)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            page.screenshot(path=ARTEFACTS / f"{state.__name__}-{size}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            assert page.evaluate(SMALL_TARGETS) == []
            if (size, scheme) in {("narrow", "light"), ("wide", "dark")}:
                found = Axe().run(page, options={"runOnly": RULES})
                assert found.violations_count == 0, found.generate_report()
    # Chromium notes the status of an error, and that nothing is at the client's address.
    assert [text for text in visitor.complaints if "Failed to load resource" not in text] == []


def test_what_is_wrong_has_the_focus(visitor, app):
    login_refused(visitor, app)
    expect(visitor.page.get_by_role("alert")).to_be_focused()
    expect(visitor.page.get_by_role("alert")).to_contain_text("This combination is not right.")


def test_it_has_the_focus_without_scripts_too(scriptless, app):
    login_refused(scriptless, app)
    expect(scriptless.page.locator("[role=alert]:focus")).to_have_count(1)


def test_the_first_field_to_fill_in_has_the_focus(visitor, app):
    visitor.authorize(app)
    expect(visitor.page.locator("[name=username]")).to_be_focused()
    visitor.authorize(app, login_hint="bob")
    expect(visitor.page.locator("[name=password]")).to_be_focused()


def test_the_password_can_be_looked_at(visitor, app):
    visitor.authorize(app)
    password = visitor.page.locator("[name=password]")
    password.fill("hunter2")
    visitor.page.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")
    visitor.page.get_by_role("button", name="Hide password").click()
    expect(password).to_have_attribute("type", "password")


def test_everything_works_with_the_keyboard(visitor, app, bob):
    visitor.authorize(app)
    visitor.page.keyboard.type("bob")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(bob.password)
    visitor.page.keyboard.press("Enter")
    allow = visitor.page.get_by_role("button", name="Allow")
    for _ in range(30):
        visitor.page.keyboard.press("Tab")
        if allow.evaluate("element => element === document.activeElement"):
            break
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/callback?code=*")


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_everything_works_without_scripts(scriptless, app, bob, mode):
    scriptless.authorize(app, response_mode=mode)
    expect(scriptless.page.get_by_role("button", name="Show password")).to_be_hidden()
    scriptless.type_password("bob", bob.password)
    scriptless.press("allow", "yes")
    if mode == "form_post":
        scriptless.page.get_by_role("button", name="Continue").click()
    scriptless.page.wait_for_url(f"{app.redirect_uri}**")


def test_a_form_post_sends_itself(visitor, app, bob):
    """OAuth 2.0 Form Post Response Mode §2."""
    consent(visitor, app, bob)
    visitor.press("allow", "yes")
    posted = []
    visitor.page.on("request", lambda request: posted.append((request.method, request.url)))
    visitor.authorize(app, scope="openid", response_mode="form_post")
    visitor.page.wait_for_url(app.redirect_uri)
    assert ("POST", app.redirect_uri) in posted
    assert [text for text in visitor.complaints if "Security Policy" in text] == []


def test_a_device_is_connected_with_the_keyboard_alone(visitor, bob, television):
    """The code is the first field, and allowing is never what the Enter key does by accident."""
    visitor.sign_in(bob)
    visitor.open(reverse("identityserver:device"))
    keyboard = visitor.page.keyboard
    keyboard.type(television.device_authorization().user_code.lower())
    keyboard.press("Enter")
    allow = visitor.page.get_by_role("button", name="Allow")
    for _ in range(30):
        keyboard.press("Tab")
        if allow.evaluate("element => element === document.activeElement"):
            break
    keyboard.press("Enter")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Your device is connected")


def test_the_enter_key_on_a_permission_allows_nothing(visitor, bob, television):
    device_confirm(visitor, bob, television)
    visitor.page.locator("[name=scopes][value=profile]").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("You refused")


def test_a_device_is_connected_without_scripts(scriptless, bob, television):
    scriptless.page.goto(in_browser(scriptless, television.device_authorization().verification_uri_complete))
    scriptless.type_password("bob", bob.password)
    scriptless.page.get_by_role("button", name="Continue").click()
    scriptless.page.locator("[name=scopes][value=email]").set_checked(False)
    scriptless.press("allow", "yes")
    expect(scriptless.page.get_by_role("heading", level=1)).to_have_text("Your device is connected")
    assert Grant.objects.get().scopes == ["openid", "profile", "offline_access"]


def test_what_is_wrong_with_a_code_has_the_focus(visitor, bob):
    device_refused(visitor, bob)
    expect(visitor.page.get_by_role("alert")).to_be_focused()
    expect(visitor.page.get_by_role("alert")).to_contain_text("This code is unknown or has expired.")
    expect(visitor.page.locator("[name=user_code]")).to_have_attribute("aria-invalid", "true")


def test_nobody_can_frame_a_page(visitor, app):
    """The live server under its other name is another site."""
    visitor.page.goto(app.redirect_uri)
    page = f"{visitor.server}{reverse('identityserver:login')}"
    visitor.page.evaluate(
        "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))", page
    )
    visitor.page.wait_for_event("console", lambda message: "frame-ancestors" in message.text)
    assert visitor.page.frame_locator("iframe").locator("[name=password]").count() == 0


def test_forced_colours_leave_everything_to_be_seen(visitor, app, bob):
    consent(visitor, app, bob)
    visitor.page.emulate_media(forced_colors="active")
    visitor.page.screenshot(path=ARTEFACTS / "consent-forced-colours.png", full_page=True)
    border = "element => getComputedStyle(element).borderTopStyle"
    assert visitor.page.get_by_role("button", name="Allow").evaluate(border) == "solid"
