"""What a newcomer does in the first minute: start the demo, sign in, look around, sign out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.journeys.demo_process import Demo, free_ports, new_home

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)  # milliseconds: a machine that runs other tests beside is slow

ARTEFACTS = Path("artefacts") / "demo"
SIZES = {"narrow": {"width": 320, "height": 720}, "wide": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with new_home(tmp_path_factory.mktemp("demo")) as home, home.running_demo(*free_ports()) as demo:
        yield demo


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def visitor(request: pytest.FixtureRequest, chromium: Browser, demo: Demo) -> Iterator["Visitor"]:
    """Somebody who opens the demo in a fresh browser."""
    context = chromium.new_context(java_script_enabled=request.param, viewport=SIZES["wide"])
    yield Visitor(context.new_page(), demo)
    context.close()


class Visitor:
    """A person at the demo, and what their browser complained about."""

    def __init__(self, page: Page, demo: Demo) -> None:
        self.page = page
        self.demo = demo
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self) -> None:
        self.page.goto(self.demo.relying_party)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sign_in(self, username: str = "alice") -> None:
        self.page.locator("[name=username]").fill(username)
        self.page.locator("[name=password]").fill(self.demo.password(username))
        self.page.locator("[name=login]").click()

    def sees(self, text: str) -> None:
        expect(self.page.locator("body")).to_contain_text(text)

    def sees_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(text)

    def is_at(self, url: str) -> None:
        expect(self.page).to_have_url(re.compile(re.escape(url)))

    def arrives_signed_in(self) -> None:
        """From the start to the signed-in page, through as many of the provider's pages as there are."""
        self.open()
        self.press("Sign in")
        self.sign_in()
        self.allows_if_asked()
        self.sees_heading("Signed in as Alice Example")

    def allows_if_asked(self) -> None:
        """What was allowed in an earlier test may be remembered."""
        allow = self.page.locator("[name=allow][value=yes]")
        expect(allow.or_(self.page.get_by_role("heading", name="Signed in as"))).to_be_visible()
        if allow.count():
            allow.click()


def keep(page: Page, *names: str) -> None:
    """Keep a picture of the page among the artefacts."""
    page.screenshot(path=ARTEFACTS.joinpath(*names).with_suffix(".png"), full_page=True)


def test_the_whole_journey(visitor: Visitor, request: pytest.FixtureRequest):
    """Sign in, allow, look at the tokens, refresh them, call the API, sign out."""
    page, demo, folder = visitor.page, visitor.demo, request.node.callspec.id.replace(" ", "-")

    visitor.open()
    visitor.sees_heading("You are signed out")
    keep(page, folder, "1-signed-out")

    visitor.press("Sign in")
    visitor.is_at(demo.provider)
    visitor.sees_heading("Sign in")
    visitor.sees("Field Notes")
    keep(page, folder, "2-login")

    visitor.sign_in()
    visitor.sees("Read your notes")
    keep(page, folder, "3-consent")
    page.locator("[name=remember]").set_checked(False)
    page.locator("[name=allow][value=yes]").click()

    visitor.is_at(demo.relying_party)
    visitor.sees_heading("Signed in as Alice Example")
    visitor.sees("alice@example.com")
    keep(page, folder, "4-signed-in")

    visitor.press("Refresh the tokens")
    visitor.sees("The provider sent new tokens.")

    visitor.press("Call the API")
    visitor.sees("The API answered 200 OK.")
    visitor.sees("The provider keeps this note")
    page.get_by_label("A new note").fill("Written with a token")
    visitor.press("Add the note")
    visitor.sees("Written with a token")
    page.locator("#messages details").first.locator("summary").click()
    keep(page, folder, "5-notes-and-messages")

    visitor.press("Sign out")
    visitor.is_at(demo.relying_party)
    visitor.sees_heading("You are signed out")
    visitor.sees("You are signed out, here and at the provider.")
    keep(page, folder, "6-signed-out")

    visitor.press("Sign in")
    visitor.sees_heading("Sign in")
    assert visitor.complaints == []


def test_signing_out_here_only_leaves_the_session_at_the_provider(visitor: Visitor):
    visitor.arrives_signed_in()
    visitor.press("Sign out here only")
    visitor.sees_heading("You are signed out")
    visitor.press("Sign in")
    visitor.allows_if_asked()
    visitor.sees_heading("Signed in as Alice Example")


def test_the_provider_asks_for_the_password_again_when_told_to(visitor: Visitor):
    """OpenID Connect Core §3.1.2.1, ``prompt=login``."""
    visitor.arrives_signed_in()
    visitor.press("Ask for the password again")
    visitor.is_at(visitor.demo.provider)
    visitor.page.locator("[name=password]").fill(visitor.demo.password("alice"))
    visitor.page.locator("[name=login]").click()
    visitor.allows_if_asked()
    visitor.sees_heading("Signed in as Alice Example")


def test_signing_in_silently_shows_no_page_of_the_provider(visitor: Visitor):
    """OpenID Connect Core §3.1.2.1, ``prompt=none``; the consent is remembered."""
    visitor.arrives_signed_in()
    visitor.press("Sign in silently")
    visitor.is_at(visitor.demo.relying_party)
    visitor.sees("You are signed in.")


def test_what_was_not_allowed_stays_closed(visitor: Visitor):
    """RFC 6749 §3.3: the person may grant less than was asked for. RFC 6750 §3.1: the API says what is missing."""
    visitor.open()
    visitor.press("Sign in")
    visitor.sign_in("admin")
    visitor.page.locator("[name=scopes][value='notes.write']").set_checked(False)
    visitor.page.locator("[name=scopes][value='offline_access']").set_checked(False)
    visitor.page.locator("[name=remember]").set_checked(False)
    visitor.page.locator("[name=allow][value=yes]").click()
    visitor.sees_heading("Signed in as Ada Admin")
    expect(visitor.page.get_by_role("button", name="Refresh the tokens")).to_have_count(0)
    visitor.page.get_by_label("A new note").fill("Not mine to write")
    visitor.press("Add the note")
    visitor.sees("The API answered 403 Forbidden.")
    visitor.sees('"required_scopes":["notes.write"]')


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_device_is_allowed_on_another_one(visitor: Visitor, request: pytest.FixtureRequest, answer: str):
    """RFC 8628: the page stands for a television, and shows a code until somebody has answered elsewhere."""
    folder = request.node.callspec.id.replace(" ", "-")
    visitor.open()
    visitor.press("Sign in with a code")
    visitor.sees_heading("Allow this device")
    code = visitor.page.locator(".code").inner_text()
    expect(visitor.page.get_by_role("img", name="QR code of the link")).to_be_visible()
    keep(visitor.page, folder, "device-1-code")

    context = visitor.page.context.browser.new_context(viewport=SIZES["narrow"])
    telephone = Visitor(context.new_page(), visitor.demo)
    telephone.page.goto(visitor.page.get_by_role("link", name="follow the link").get_attribute("href"))
    telephone.sign_in()
    expect(telephone.page.locator("[name=user_code]")).to_have_value(code)
    telephone.press("Continue")
    telephone.sees_heading("Connect Field Notes to your account?")
    keep(telephone.page, folder, "device-2-question")
    telephone.page.locator(f"[name=allow][value={answer}]").click()
    telephone.sees_heading("Your device is connected" if answer == "yes" else "You refused")
    keep(telephone.page, folder, "device-3-answer")
    context.close()

    if answer == "yes":
        visitor.sees_heading("Signed in as Alice Example")
        visitor.press("Refresh the tokens")
        visitor.sees("The provider sent new tokens.")
    else:
        visitor.sees_heading("You did not sign in")
        visitor.sees("access_denied")
    keep(visitor.page, folder, "device-4-result")
    assert [text for text in visitor.complaints if "Failed to load resource" not in text] == []


@pytest.mark.parametrize("button", ["cancel", "allow"])
def test_who_changes_their_mind_comes_back_to_the_application(visitor: Visitor, button: str):
    visitor.open()
    visitor.press("Sign in")
    if button == "allow":
        visitor.sign_in("admin")
        visitor.page.locator("[name=allow][value=no]").click()
    else:
        visitor.page.locator("[name=cancel]").click()
    visitor.is_at(visitor.demo.relying_party)
    visitor.sees_heading("You did not sign in")
    visitor.sees("access_denied")


def test_a_wrong_password_says_so_and_lets_one_try_again(visitor: Visitor):
    visitor.open()
    visitor.press("Sign in")
    visitor.page.locator("[name=username]").fill("alice")
    visitor.page.locator("[name=password]").fill("wrong")
    visitor.page.locator("[name=login]").click()
    visitor.is_at(visitor.demo.provider)
    visitor.sign_in()
    visitor.allows_if_asked()
    visitor.sees_heading("Signed in as Alice Example")


@pytest.mark.parametrize(("size", "scheme"), [("narrow", "dark"), ("wide", "light")])
def test_the_pages_can_be_used_by_everybody(chromium: Browser, demo: Demo, size: str, scheme: str):
    """WCAG 2.2 AA as far as axe can tell, and no scrolling sideways."""
    context = chromium.new_context(viewport=SIZES[size], color_scheme=scheme)
    visitor = Visitor(context.new_page(), demo)
    for name, arrive in {
        "home-of-the-provider": lambda: visitor.page.goto(demo.provider),
        "signed-out": visitor.open,
        "signed-in": lambda: (
            visitor.arrives_signed_in(),
            visitor.press("Call the API"),
            open_all(visitor.page),
        ),
        "device": lambda: (
            visitor.press("Sign out here only"),
            visitor.press("Sign in with a code"),
            visitor.sees_heading("Allow this device"),
        ),
        "error": lambda: visitor.page.goto(f"{demo.relying_party}/callback?error=server_error&state=x"),
    }.items():
        arrive()
        assert Axe().run(visitor.page).violations_count == 0, name
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        keep(visitor.page, f"{size}-{scheme}", name)
    context.close()


def open_all(page: Page) -> None:
    """Open every part of the page that can be."""
    for summary in page.locator("details:not([open]) > summary").all()[::-1]:
        summary.click()
