"""A browser without a screen: keeps cookies, follows our redirects, fills in our forms."""

import html
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.test import Client as HttpClient
from django.urls import reverse

from identityserver.testing.relying_party import RelyingParty

_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?', re.IGNORECASE)

#: More redirects than any journey through the pages has.
_MOST_REDIRECTS = 10


class Browser:
    """One browser of one person; its checks of CSRF tokens are on, as in life."""

    def __init__(self) -> None:
        self.http = HttpClient(enforce_csrf_checks=True, raise_request_exception=False)

    def open(self, url: str, **extra: Any) -> "Page":
        """Go to an address of the site."""
        return self._follow(self.http.get(url, **extra), url)

    def authorize(self, client: RelyingParty, **changes: str | None) -> "Page":
        """Go where ``client`` sends people."""
        return self.open(client.authorization_url(**changes))

    def sign_in(self, username: str, password: str) -> "Page":
        """Sign in on the login page, without a request of a client."""
        return self.open(reverse("identityserver:login")).sign_in(username, password)

    def sign_out(self) -> "Page":
        """Sign out on the logout page."""
        return self.open(reverse("identityserver:logout")).submit(logout="yes")

    def enter_user_code(self, user_code: str) -> "Page":
        """Type the code that a device shows; ``allow()`` or ``deny()`` on the page that follows."""
        return self.open(reverse("identityserver:device")).submit(user_code=user_code)

    def submit(self, url: str, fields: dict[str, Any]) -> "Page":
        """Post a form."""
        return self._follow(self.http.post(url, fields), url)

    def _follow(self, response: Any, url: str) -> "Page":
        for _ in range(_MOST_REDIRECTS):
            target = response.headers.get("Location", "")
            if response.status_code not in {302, 303} or not target.startswith("/"):
                return Page(self, response, url)
            url = target
            response = self.http.get(url)
        raise AssertionError(f"Too many redirects, last to {url}")


class Page:
    """What the browser shows, or where it was sent outside of the site."""

    def __init__(self, browser: Browser, response: Any, url: str) -> None:
        self.browser = browser
        self.response = response
        self.url = url
        self.status: int = response.status_code
        self.location: str = response.headers.get("Location", "")
        self.text: str = response.content.decode()

    def sign_in(self, username: str, password: str) -> "Page":
        """Fill in the login form."""
        return self.submit(username=username, password=password, login="yes")

    def allow(self, *scopes: str) -> "Page":
        """Allow everything on the consent page or that of a device, or only ``scopes``."""
        return self.submit(allow="yes", **({"scopes": list(scopes)} if scopes else {}))

    def deny(self) -> "Page":
        """Refuse there."""
        return self.submit(allow="no")

    def submit(self, **fields: Any) -> "Page":
        """Post the page's form with what it holds, and ``fields``; buttons are pressed by naming them."""
        return self.browser.submit(self.url, {**self.fields, **fields})

    @property
    def fields(self) -> dict[str, Any]:
        """What the page's form would send: hidden and text inputs, and boxes that are ticked."""
        found: dict[str, Any] = {}
        for tag in _INPUT.findall(self.text):
            attributes = {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(tag[6:-1])}
            kind, name = attributes.get("type", "text"), attributes.get("name", "")
            if not name or kind == "submit" or "disabled" in attributes:
                continue
            if kind == "checkbox":
                if "checked" in attributes:
                    found.setdefault(name, []).append(attributes.get("value", "on"))
            else:
                found[name] = attributes.get("value", "")
        return found

    @property
    def parameters(self) -> dict[str, str]:
        """What was sent to the client: in the query, the fragment or a form."""
        if self.location:
            parts = urlsplit(self.location)
            return dict(parse_qsl(parts.fragment or parts.query, keep_blank_values=True))
        return {name: value for name, value in self.fields.items() if isinstance(value, str)}

    @property
    def code(self) -> str:
        """The authorization code that was sent to the client."""
        assert "code" in self.parameters, f"{self.status} {self.url} {self.parameters} {self.text[:2000]}"
        return self.parameters["code"]

    @property
    def error(self) -> str:
        """The error that was sent to the client, or ``""``."""
        return self.parameters.get("error", "") if self.location or "form-post" in self.text else ""

    def shows(self, text: str) -> bool:
        """Whether the page holds ``text``."""
        return text in html.unescape(self.text)
