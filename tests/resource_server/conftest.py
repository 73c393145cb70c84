"""An API "notes" beside the provider, and tokens for it as clients get them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from identityserver.models import ApiResource, ApiScope
from identityserver.testing import RelyingParty
from identityserver.testing.fixtures import Person
from identityserver.testing.relying_party import decoded
from identityserver.tokens.keys import signer
from identityserver.vocabulary import TokenType
from tests.resource_server.documented import configuration


@pytest.fixture(autouse=True)
def site(settings) -> None:
    settings.ROOT_URLCONF = "tests.resource_server.urls"
    settings.OAUTH2_PROVIDER = dict(configuration.OAUTH2_PROVIDER)
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "resource_server_audiences": ["notes"]}


@pytest.fixture(autouse=True)
def notes(db: None) -> ApiResource:
    api = ApiResource.objects.create(name="notes", display_name="Notes")
    api.api_scopes.set([ApiScope.objects.create(name=name) for name in ("notes.read", "notes.write")])
    return api


@pytest.fixture
def token(alice: Person, relying_party: Callable[..., RelyingParty]) -> str:
    """An access token that alice allowed a web app to have for her notes."""
    app = relying_party(scopes="openid notes.read")
    return app.redeem(alice.browser.authorize(app).code).succeeds().access_token


@pytest.fixture
def machine(relying_party: Callable[..., RelyingParty]) -> RelyingParty:
    """A client that acts for itself."""
    return relying_party(scopes="notes.read notes.write", allowed_grant_types=["client_credentials"], redirect_uris=[])


@pytest.fixture
def machine_token(machine: RelyingParty) -> str:
    return machine.client_credentials(scope="notes.read").succeeds().access_token


@pytest.fixture
def mint(token: str) -> Callable[..., str]:
    """Sign alice's token again, with other claims or of another type; ``None`` leaves a claim out."""

    def sign(*, typ: str = TokenType.ACCESS_TOKEN, algorithm: str = "ES256", **changes: Any) -> str:
        claims = {**decoded(token), **changes}
        return signer(algorithm).sign({k: v for k, v in claims.items() if v is not None}, typ=typ)

    return sign


class Api:
    """The API, as its callers see it."""

    def __init__(self) -> None:
        self.http = HttpClient(raise_request_exception=False)

    def get(self, path: str, token: str | None = None, *, scheme: str = "Bearer", **query: str) -> Any:
        headers = {} if token is None else {"Authorization": f"{scheme} {token}"}
        return self.http.get(path, query, headers=headers)


@pytest.fixture
def api() -> Api:
    return Api()
