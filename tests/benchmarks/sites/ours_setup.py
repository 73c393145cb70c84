"""Sets up this provider's site and prints how to speak with it: ``python -m tests.benchmarks.sites.ours_setup``."""

import json
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402  needs the settings
from django.test import RequestFactory  # noqa: E402
from django.urls import NoReverseMatch, resolve, reverse  # noqa: E402

from identityserver.clients import unusable_because  # noqa: E402
from identityserver.models import (  # noqa: E402
    ApiResource,
    ApiScope,
    Client,
    ClientSecret,
    Consent,
    IdentityResource,
    Subject,
)
from identityserver.tokens.keys import signer  # noqa: E402
from identityserver.web.watch import SID_KEY  # noqa: E402
from tests.benchmarks.peers.base import REDIRECT_URI  # noqa: E402
from tests.benchmarks.sites import people  # noqa: E402

_IDENTITY = "openid profile email"
_ENDPOINTS = {
    "authorization": "authorization",
    "token": "token",
    "userinfo": "userinfo",
    "introspection": "introspection",
    "discovery": "openid_configuration",
    "jwks": "jwks",
}


def main() -> None:
    """Tables first."""
    call_command("migrate", verbosity=0)
    print(json.dumps(set_up()))


def set_up() -> dict[str, Any]:
    """Keys, APIs, clients and people; how to speak with them."""
    for algorithm in ("ES256", "RS256"):
        signer(algorithm)
    apis = {"es256": _api("es256", []), "rs256": _api("rs256", ["RS256"])}
    rows = {
        "machine_es256": _machine(apis["es256"]),
        "machine_rs256": _machine(apis["rs256"]),
        "machine_reference": _machine(apis["es256"], access_token_type="reference"),
        "web_es256": _web(id_token_signed_response_alg="ES256"),
        "web_rs256": _web(id_token_signed_response_alg="RS256"),
        "web_reference": _web(access_token_type="reference"),
        "consented": _web(require_consent=True),
    }
    users = people.users()
    sessions = [people.signed_in(user) for user in users]
    for user in users:
        Subject.objects.of(user)
        Consent.objects.remember(user, rows["consented"], scopes=_IDENTITY.split(), claims=[], resources=[])
    return {
        "paths": {name: path for name, url in _ENDPOINTS.items() if (path := _path(url))},
        "roles": {name: _role(name, row) for name, row in rows.items()},
        "unusable": [name for name, row in rows.items() if unusable_because(row)],
        "cookies": [people.cookie(session) for session in sessions],
        "sids": [session[SID_KEY] for session in sessions],
        "documents": [_document("openid_configuration"), _document("jwks")],
    }


def _api(name: str, algorithms: list[str]) -> ApiScope:
    """An API that can verify ``algorithms``, and its scope."""
    scope = ApiScope.objects.create(name=f"{name}.read")
    api = ApiResource.objects.create(name=f"https://{name}.example", allowed_access_token_signing_algorithms=algorithms)
    api.api_scopes.add(scope)
    return scope


def _machine(scope: ApiScope, **fields: Any) -> Client:
    client = Client.objects.create(name="Machine", allowed_grant_types=["client_credentials"], **fields)
    client.api_scopes.add(scope)
    return client


def _web(**fields: Any) -> Client:
    client = Client.objects.create(
        name="Web app",
        redirect_uris=[REDIRECT_URI],
        allowed_grant_types=["authorization_code", "refresh_token"],
        allow_offline_access=True,
        refresh_token_usage="one_time",
        authorization_code_lifetime=600,
        **fields,
    )
    client.identity_resources.set(IdentityResource.objects.filter(name__in=_IDENTITY.split()))
    return client


def _role(name: str, client: Client) -> dict[str, str]:
    offline = " offline_access" if name.startswith("web") else ""
    scope = " ".join(client.api_scopes.values_list("name", flat=True)) or _IDENTITY + offline
    return {"client_id": client.client_id, "secret": ClientSecret.generate(client)[1], "scope": scope}


def _document(url: str) -> str:
    """What is published there, byte for byte."""
    path = _path(url)
    return str(resolve(path).func(RequestFactory().get(path)).content.decode())


def _path(url: str) -> str:
    try:
        return reverse(f"identityserver:{url}")
    except NoReverseMatch:  # an endpoint that is not built
        return ""


if __name__ == "__main__":
    main()
