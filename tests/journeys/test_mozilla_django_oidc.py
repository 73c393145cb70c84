"""mozilla-django-oidc as a relying party: a Django site in a process of its own, with keys from our JWKS."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from identityserver.testing import RelyingParty
from tests.journeys.provider import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


class Site:
    """The running site, as alice's browser knows it."""

    def __init__(self, url: str, visitor: Visitor) -> None:
        self.url = url
        self.visitor = visitor
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", allow_redirects=False, timeout=20)

    def sign_in(self, **how: bool) -> requests.Response:
        """From its button, by way of the provider, to its callback."""
        there = self.get("/oidc/authenticate/").headers["Location"]
        return self.session.get(self.visitor.sent_from(there, **how), allow_redirects=False, timeout=20)

    @property
    def knows(self) -> dict[str, str]:
        return self.get("/").json()


@pytest.fixture
def site_for(provider: str, visitor: Visitor, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    processes: list[subprocess.Popen[str]] = []
    sites: list[Site] = []

    def start(algorithm: str, **fields: Any) -> Site:
        port = free_port()
        callback = f"http://127.0.0.1:{port}/oidc/callback/"
        party = RelyingParty(redirect_uris=[callback], id_token_signed_response_alg=algorithm, **fields)
        own = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        told = {"PROVIDER": provider, "DIRECTORY": str(tmp_path), "PORT": str(port), "SIGN_ALGO": algorithm}
        told |= {"CLIENT_ID": party.client_id, "CLIENT_SECRET": party.secret}
        command = [sys.executable, "-m", "tests.journeys.mozilla_site"]
        processes.append(subprocess.Popen(command, env=own | told, stdout=subprocess.PIPE, text=True))
        sites.append(Site(processes[-1].stdout.readline().strip(), visitor))
        return sites[-1]

    yield start
    for site in sites:
        site.session.close()
    for process in processes:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_sign_in(site_for: Callable[..., Site], algorithm: str) -> None:
    """PKCE, nonce, state, an ID token verified with our key, and UserInfo."""
    site = site_for(algorithm, require_consent=True)
    assert site.knows["email"] == ""
    arrived = site.sign_in()
    assert (arrived.status_code, arrived.headers["Location"]) == (302, "/")
    assert site.knows["email"] == "alice@example.com"


def test_denying(site_for: Callable[..., Site]) -> None:
    """The site is told, and nobody is signed in."""
    site = site_for("RS256", require_consent=True)
    arrived = site.sign_in(allow=False)
    assert (arrived.status_code, arrived.headers["Location"]) == (302, "/failed")
    assert site.knows["email"] == ""
