"""The pages that are ours among Django's, in a browser: readable at 320 pixels, and the copy button copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from identityserver.models import Client

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ARTEFACTS = Path("artefacts") / "admin"
SIZES = {"narrow": {"width": 320, "height": 720}, "wide": {"width": 1280, "height": 900}}


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """An administrator's browser, signed in."""
    get_user_model().objects.create_superuser("root", password="a password")
    context = chromium.new_context(viewport=SIZES[request.param], base_url=live_server.url)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(f"{message.text} {message.location['url']}"))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.size = request.param
    page.goto("/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("a password")
    page.get_by_role("button", name="Log in").click()
    yield page
    context.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture, of a page that fits its width."""
    page.screenshot(path=ARTEFACTS / page.size / f"{name}.png", full_page=True)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{name} is {wider} pixels wider than the window."


def test_a_new_client_and_its_secret(page: Page):
    """Fill in the form, copy the secret, reload, generate another, revoke the first."""
    page.goto("/admin/identityserver/client/add/")
    keep(page, "new-client")
    page.get_by_label("Name:").fill("Shop")
    page.get_by_label("Redirect URIs:", exact=True).fill("https://shop.example/callback")
    page.get_by_role("button", name="Save", exact=True).click()

    secret = page.get_by_label("Secret").input_value()
    page.get_by_role("button", name="Copy").nth(1).click()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    keep(page, "secret")
    assert Client.objects.get().secrets.get().matches(secret)

    page.get_by_role("link", name="Done, to the client").click()
    expect(page.locator("body")).not_to_contain_text(secret)
    keep(page, "client")
    page.get_by_role("link", name="Generate a secret").click()
    page.get_by_label("Description").fill("since May")
    keep(page, "generate-secret")
    page.get_by_role("button", name="Generate the secret").click()
    second = page.get_by_label("Secret").input_value()

    page.reload()
    expect(page.locator("body")).to_contain_text("A secret is shown only once")
    assert second not in page.content()
    assert Client.objects.get().secrets.count() == 2
    page.go_back()
    assert second not in page.content()

    page.goto("/admin/identityserver/client/")
    keep(page, "clients")
    page.goto("/admin/identityserver/event/")
    keep(page, "events")
    page.goto("/admin/identityserver/usersession/")
    keep(page, "sessions")
    assert not [said for said in page.complaints if not said.endswith("/favicon.ico")]
