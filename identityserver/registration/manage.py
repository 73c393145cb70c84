"""A client reads, replaces and deletes its own registration (RFC 7592 §2)."""

from collections.abc import Mapping
from typing import Any

from django.db import router, transaction

from identityserver import signals
from identityserver.errors import InvalidClientMetadata, InvalidToken, TemporarilyUnavailable
from identityserver.models import AuthorizationCode, Client, Consent, Grant, ReferenceToken, RefreshToken, Registration
from identityserver.registration.create import client_information
from identityserver.registration.drafts import FIELDS, read_draft
from identityserver.registration.scopes import held_scopes
from identityserver.registration.secrets import next_secret

#: What only the server says (RFC 7592 §2.2).
_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")

#: Fields of a client that a replacement leaves as they are, or allows because they are so.
_KEPT_FIELDS = (
    "allowed_grant_types",
    "response_types",
    "allow_access_tokens_via_browser",
    "require_pkce",
    "allowed_cors_origins",
)

#: Times that a replacement is judged anew because somebody else changed the client meanwhile.
_TRIES = 10

_OF_GRANTS = {AuthorizationCode, RefreshToken, ReferenceToken}


class _ChangedMeanwhile(Exception):
    """What the decision was taken from is no longer so."""


def find_registration(client_id: str, presented: str) -> Registration:
    """The registration of ``client_id``, which the token presented manages.

    Raises:
        InvalidToken: the token is unknown, or manages another; or the client is disabled or gone. All read alike.
    """
    registration = Registration.objects.managed_by(presented)
    if registration is None or registration.client.client_id != client_id:
        raise InvalidToken("The registration access token is not good for this client.")
    return registration


def read_registration(registration: Registration) -> dict[str, Any]:
    """What is registered (§2.1); never the secret, of which only a digest is kept."""
    return client_information(registration.client, registration.metadata, None)


def replace_registration(registration: Registration, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Replace what is registered as a whole (§2.2), and leave alone what administrators have set.

    Where people are sent back to another place, or the client has another name, nobody's consent is remembered.

    Raises:
        InvalidToken: the registration was deleted, or the client disabled, meanwhile.
        TemporarilyUnavailable: others change it all the time.
        ProtocolError: the metadata is not that of this client, or cannot be registered.
    """
    for _attempt in range(_TRIES):
        try:
            return _replaced(registration, metadata)
        except _ChangedMeanwhile:
            registration = _current(registration)
    raise TemporarilyUnavailable("The registration is being changed; try again.")


def _replaced(registration: Registration, metadata: Mapping[str, Any]) -> dict[str, Any]:
    client = registration.client
    _check_own(client, metadata)
    former, held = _seen(client), _held(client)
    wanted = {name: value for name, value in metadata.items() if name not in {"client_id", "client_secret"}}
    draft = read_draft(client, wanted, permit=registration.initial_access_token)
    with transaction.atomic(using=router.db_for_write(Client)):
        if not Registration.objects.keep(registration, draft.kept):
            raise _gone()
        if _held(Client.objects.select_for_update().get(pk=client.pk)) != held:
            raise _ChangedMeanwhile
        client.save(update_fields=FIELDS)
        draft.scopes.set_on(client)
        secret = next_secret(client)
        if _seen(client) != former:
            client.consents.all().delete()
        information = client_information(client, draft.kept, secret)
    signals.registration_replaced.send(sender=Client, client=client)
    return information


def delete_registration(registration: Registration) -> None:
    """Delete the client with all its grants (§2.3).

    Raises:
        InvalidToken: it has just been deleted.
    """
    client = registration.client
    with transaction.atomic(using=router.db_for_write(Client)):
        if not Registration.objects.end(registration):
            raise _gone()
        locked = Client.objects.select_for_update().get(pk=client.pk)  # nobody may add a grant now
        _delete_grants(locked)
        locked.delete()
    signals.registration_deleted.send(sender=Client, client_id=client.client_id, name=client.name)


def _delete_grants(client: Client) -> None:
    """One statement for each kind of row, however many there are: a cascade would read them all first.

    Where a model of the site hangs off grants, the grants themselves are left to the cascade, which asks it.
    """
    for kind in (AuthorizationCode, RefreshToken):
        kind.objects.filter(grant__client=client).delete()
    for owned in (ReferenceToken, Consent):
        owned.objects.filter(client=client).delete()
    if {relation.related_model for relation in Grant._meta.related_objects} <= _OF_GRANTS:
        grants = Grant.objects.filter(client=client)
        grants._raw_delete(grants.db)


def _check_own(client: Client, metadata: Mapping[str, Any]) -> None:
    """§2.2: the client names itself, cannot choose its secret, and sends nothing that is ours to say."""
    if metadata.get("client_id") != client.client_id:
        raise InvalidClientMetadata("client_id must be that of this client.", parameter="client_id")
    for name in _OURS:
        if name in metadata:
            raise InvalidClientMetadata(f"{name} must not be sent.", parameter=name)
    secret = metadata.get("client_secret")
    if secret is not None and not _is_secret_of(client, secret):
        raise InvalidClientMetadata("client_secret is not that of this client.", parameter="client_secret")


def _is_secret_of(client: Client, value: Any) -> bool:
    return isinstance(value, str) and any(secret.matches(value) for secret in client.secrets.all())


def _seen(client: Client) -> tuple[Any, ...]:
    """What people went by when they consented."""
    return client.name, client.translations.get("name"), sorted(client.redirect_uris)


def _held(client: Client) -> tuple[Any, ...]:
    """What it may keep because it has it, and what is written back as it was read."""
    return *(getattr(client, name) for name in _KEPT_FIELDS), held_scopes(client)


def _current(registration: Registration) -> Registration:
    """The registration with its client as they are now.

    Raises:
        InvalidToken: it is gone, or its client disabled.
    """
    current = Registration.objects.current(registration)
    if current is None:
        raise _gone()
    return current


def _gone() -> InvalidToken:
    return InvalidToken("The client is not registered any more.")
