"""The provider, as Authlib knows it: all but our own registration comes from its discovery document."""

from authlib.integrations.django_client import OAuth
from django.conf import settings

from example_project.relying_party.traffic import record_response

SCOPE = "openid profile email offline_access notes.read notes.write"

oauth = OAuth()
oauth.register(
    "provider",
    client_id=settings.OIDC_CLIENT_ID,
    client_secret=settings.OIDC_CLIENT_SECRET,
    server_metadata_url=f"{settings.OIDC_ISSUER}/.well-known/openid-configuration",
    client_kwargs={
        "scope": SCOPE,
        "code_challenge_method": "S256",
        "default_timeout": 10,
        "hooks": {
            "response": record_response
        },  # to show the messages; an application of yours needs no such line
    },
)
provider = oauth.provider
