"""Sets up django-oauth-toolkit's site and prints how to speak with it.

Client secrets are not hashed: its default of a million PBKDF2 rounds serves two requests a second, and is no peer.
"""

import json
import secrets
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402  needs the settings
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import AccessToken, Application  # noqa: E402

from tests.benchmarks.peers.base import REDIRECT_URI  # noqa: E402
from tests.benchmarks.sites import people  # noqa: E402

_IDENTITY = "openid profile email"
_PATHS = {
    "authorization": "/o/authorize/",
    "token": "/o/token/",
    "userinfo": "/o/userinfo/",
    "introspection": "/o/introspect/",
    "discovery": "/o/.well-known/openid-configuration",
    "jwks": "/o/.well-known/jwks.json",
}


def main() -> None:
    """Tables, clients, people."""
    call_command("migrate", verbosity=0)
    roles = {
        "machine_reference": _role(Application.GRANT_CLIENT_CREDENTIALS, "es256.read"),
        "web_rs256": _role(Application.GRANT_AUTHORIZATION_CODE, _IDENTITY, skip_authorization=True),
        "web_reference": _role(Application.GRANT_AUTHORIZATION_CODE, _IDENTITY, skip_authorization=True),
        "consented": _role(Application.GRANT_AUTHORIZATION_CODE, _IDENTITY),
    }
    users = people.users()
    for user in users:
        _consent(user, roles["consented"]["client_id"])
    cookies = [people.cookie(people.signed_in(user)) for user in users]
    print(json.dumps({"paths": _PATHS, "roles": roles, "cookies": cookies}))


def _role(grant_type: str, scope: str, **fields: Any) -> dict[str, str]:
    secret = secrets.token_urlsafe(32)
    client = Application.objects.create(
        name="Client",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=grant_type,
        redirect_uris=REDIRECT_URI,
        client_secret=secret,
        hash_client_secret=False,
        algorithm=Application.RS256_ALGORITHM,
        **fields,
    )
    return {"client_id": client.client_id, "secret": secret, "scope": scope}


def _consent(user: Any, client_id: str) -> None:
    """One live token: django-oauth-toolkit knows of a consent by the tokens that it led to."""
    AccessToken.objects.create(
        user=user,
        application=Application.objects.get(client_id=client_id),
        token=secrets.token_urlsafe(24),
        scope=_IDENTITY,
        expires=timezone.now() + timedelta(days=1),
    )


if __name__ == "__main__":
    main()
