"""What a client's developer has to configure, by the names that this project uses everywhere."""

from identityserver.conf import options
from identityserver.models import Client


def environment_file(client: Client, secret: str = "") -> str:
    """The lines of a ``.env`` file; the secret only where one is given."""
    lines = {
        "OIDC_ISSUER": options().issuer,
        "OIDC_CLIENT_ID": client.client_id,
        **({"OIDC_CLIENT_SECRET": secret} if secret else {}),
    }
    return "\n".join(f"{name}={value}" for name, value in lines.items())
