"""The provider, as Authlib knows it: all but our own registration comes from its discovery document."""

from authlib.integrations.django_client import OAuth
from django.conf import settings

from example_project.relying_party.traffic import record_response

# Settings of this site, where mypy knows those of another.
ISSUER: str = settings.OIDC_ISSUER  # type: ignore[misc]
CLIENT_ID: str = settings.OIDC_CLIENT_ID  # type: ignore[misc]
CLIENT_SECRET: str = settings.OIDC_CLIENT_SECRET  # type: ignore[misc]
NOTES_API: str = settings.NOTES_API  # type: ignore[misc]
SCOPE = "openid profile email notes.read notes.write"

oauth = OAuth()
oauth.register(
    "provider",
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    client_kwargs={
        "scope": f"{SCOPE} offline_access",
        "code_challenge_method": "S256",
        "default_timeout": 10,
        "hooks": {"response": record_response},  # to show the messages; an application of yours needs no such line
    },
)
provider = oauth.provider
