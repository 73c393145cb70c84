"""What the developer of a client or an API has to configure, by the names that this project uses everywhere."""

from identityserver.conf import options
from identityserver.models import ApiResource, Client


def environment_file(client: Client, secret: str = "") -> str:
    """The lines of a ``.env`` file; the secret only where one is given."""
    lines = {
        "OIDC_ISSUER": options().issuer,
        "OIDC_CLIENT_ID": client.client_id,
        **({"OIDC_CLIENT_SECRET": secret} if secret else {}),
    }
    return "\n".join(f"{name}={value}" for name, value in lines.items())


def api_environment_file(api: ApiResource, secret: str) -> str:
    """The lines of a ``.env`` file of an API that asks about tokens."""
    return f"OIDC_ISSUER={options().issuer}\nOIDC_API_NAME={api.name}\nOIDC_API_SECRET={secret}"
