"""The provider behind a real HTTP server, and a person with a browser who gets there by the network."""

from typing import Any
from urllib.parse import urljoin

import requests

from identityserver.testing import Browser
from identityserver.testing.fixtures import PASSWORD


class Network:
    """Requests over HTTP to one site, in the words that ``Browser`` uses; redirects are left to it."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.session = requests.Session()

    def get(self, url: str, **_: Any) -> requests.Response:
        return self.session.get(urljoin(self.site, url), allow_redirects=False, timeout=20)

    def post(self, url: str, fields: dict[str, Any]) -> requests.Response:
        return self.session.post(urljoin(self.site, url), data=fields, allow_redirects=False, timeout=20)


class Visitor(Browser):
    """Somebody who knows alice's password, with a browser of their own."""

    def __init__(self, site: str) -> None:
        self.http = Network(site)

    def close(self) -> None:
        self.http.session.close()

    def sent_from(self, url: str, *, allow: bool = True) -> str:
        """Go where a client sends people, sign in and consent where asked, and tell where one is sent back to."""
        page = self.open(url)
        if "password" in page.fields:
            page = page.sign_in("alice", PASSWORD)
        if page.shows("Allow"):
            page = page.allow() if allow else page.deny()
        assert page.location, page.text
        return page.location
