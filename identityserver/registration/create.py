"""Registering a client, and what it is told (RFC 7591 §3.1, §3.2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import router, transaction

from identityserver import signals
from identityserver.conf import options
from identityserver.errors import InvalidToken
from identityserver.models import Client, InitialAccessToken, Registration
from identityserver.registration.drafts import read_draft
from identityserver.registration.metadata import members_of
from identityserver.registration.scopes import scope_of
from identityserver.registration.secrets import NewSecret, next_secret, secret_members
from identityserver.vocabulary import ClientSource


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What a client that has registered is told, its registration access token apart."""

    client_id: str
    information: dict[str, Any] = field(repr=False)
    token: str = field(repr=False)


def register_client(metadata: Mapping[str, Any], permit: InitialAccessToken | None) -> Registered:
    """Register a client, which takes one use of the initial access token; a refusal takes none.

    Args:
        permit: the initial access token presented; ``None`` where registration is open.

    Raises:
        InvalidToken: another registration has taken its last use.
        ProtocolError: what is asked for cannot be registered.
    """
    client = Client(
        source=ClientSource.DCR,
        accept_either_secret_method=False,
        require_consent=options().registration_require_consent,
    )
    draft = read_draft(client, metadata, permit=permit)
    with transaction.atomic(using=router.db_for_write(Client)):
        if permit is not None and not InitialAccessToken.objects.take_use(permit):
            raise InvalidToken("The initial access token has been used up.")
        client.save()
        draft.scopes.set_on(client)
        secret = next_secret(client)
        token = Registration.objects.begin(client, permit=permit, kept=draft.kept)
        information = client_information(client, draft.kept, secret)
    signals.client_registered.send(sender=Client, client=client, initial_access_token=permit)
    return Registered(client_id=client.client_id, information=information, token=token)


def client_information(client: Client, kept: Mapping[str, Any], secret: NewSecret | None) -> dict[str, Any]:
    """Everything that is registered, defaults included (RFC 7591 §3.2.1)."""
    scope = scope_of(client)
    return {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created.timestamp()),
        **secret_members(client, secret),
        **members_of(client),
        **({"scope": scope} if scope else {}),
        **kept,
    }
