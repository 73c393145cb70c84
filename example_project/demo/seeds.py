"""What the demo's database starts with. Everything here may run any number of times."""

import dataclasses
import secrets

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from example_project.notes.models import Note
from identityserver.configuration.create import NewClient, create_client
from identityserver.configuration.presets import WEB
from identityserver.models import ApiResource, ApiScope, Client, ClientSecret
from identityserver.vocabulary import GrantType

CLIENT_ID = "field-notes"
SCOPES = ["openid", "profile", "email", "offline_access", "notes.read", "notes.write"]
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is easily taken for something else


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """A user of the demo."""

    username: str
    first_name: str
    last_name: str
    is_administrator: bool = False


ACCOUNTS = (
    Account(username="alice", first_name="Alice", last_name="Example"),
    Account(username="admin", first_name="Ada", last_name="Admin", is_administrator=True),
)


@transaction.atomic
def seed_accounts(*, new_passwords: bool) -> dict[str, str]:
    """Make the accounts that are not there; return the passwords that were generated, by user name."""
    users = get_user_model().objects.in_bulk([account.username for account in ACCOUNTS], field_name="username")
    generated = {}
    for account in ACCOUNTS:
        user = users.get(account.username)
        if user is None or new_passwords:
            generated[account.username] = password = new_password()
            save_account(account, user or get_user_model()(username=account.username), password)
    return generated


def save_account(account: Account, user: AbstractUser, password: str) -> None:
    user.first_name, user.last_name = account.first_name, account.last_name
    user.email = f"{account.username}@example.com"
    user.is_staff = user.is_superuser = account.is_administrator
    user.is_active = True
    user.set_password(password)
    user.save()


def new_password() -> str:
    """Sixteen characters that can be read out: 79 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


@transaction.atomic
def seed_api() -> None:
    """The API, its two scopes, and a first note."""
    read, _ = ApiScope.objects.get_or_create(
        name="notes.read",
        defaults={"display_name": "Read your notes", "description": "See everything you have written down."},
    )
    write, _ = ApiScope.objects.get_or_create(
        name="notes.write",
        defaults={
            "display_name": "Write notes for you",
            "description": "Add notes in your name.",
            "emphasize": True,
        },
    )
    api, created = ApiResource.objects.get_or_create(name="notes", defaults={"display_name": "Notes"})
    if created:
        api.api_scopes.set([read, write])
    alice = get_user_model().objects.get(username="alice")
    if created and not Note.objects.filter(author=alice).exists():
        Note.objects.create(author=alice, text="The provider keeps this note; the application fetched it with a token.")


@transaction.atomic
def seed_client(relying_party: str, *, secret_is_kept: bool) -> str:
    """Register the application, or move its client to where the application is now.

    Returns:
        A new secret, or ``""`` where the client has one and the application still knows it.
    """
    redirect_uri, post_logout_redirect_uri = f"{relying_party}/callback", f"{relying_party}/signed-out"
    client = Client.objects.filter(client_id=CLIENT_ID).first()
    if client is None:
        wanted = NewClient(
            preset=WEB,
            name="Field Notes",
            client_id=CLIENT_ID,
            redirect_uris=[redirect_uri],
            post_logout_redirect_uris=[post_logout_redirect_uri],
            scopes=SCOPES,
            require_consent=True,
        )
        created = create_client(wanted)
        client, secret = created.client, created.secret
    else:
        client.redirect_uris, client.post_logout_redirect_uris = [redirect_uri], [post_logout_redirect_uri]
        secret = "" if secret_is_kept and client.secrets.exists() else new_secret(client)
    if GrantType.DEVICE_CODE not in client.allowed_grant_types:
        client.allowed_grant_types = [*client.allowed_grant_types, GrantType.DEVICE_CODE.value]
    client.client_uri, client.logo_uri = relying_party, f"{relying_party}/static/relying_party/icon.svg"
    client.full_clean()
    client.save()
    return secret


def new_secret(client: Client) -> str:
    """The application has lost the former one, so nobody knows it any more."""
    client.secrets.all().delete()
    return ClientSecret.generate(client, description="Demo")[1]
