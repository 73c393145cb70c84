"""The public keys of clients, from ``jwks`` or from ``jwks_uri`` (RFC 7591 §2, OpenID Connect Core §10.1.1)."""

from datetime import timedelta
from typing import Protocol

from django.utils import timezone

from identityserver import jose
from identityserver.errors import ClientKeysUnavailable
from identityserver.key_sets import KeySet, read_key_set
from identityserver.outbound import Document, DocumentUnavailable, OutboundError, fetch_document
from identityserver.vocabulary import Algorithm

#: A document that was asked for anew is older than this only where that failed: it is asked for once a minute.
_NEW = timedelta(minutes=1)


class KeyHolder(Protocol):
    """Whoever registered keys, or an address of them: a client, or an issuer of assertions."""

    @property
    def jwks_uri(self) -> str:
        """Where the keys are, or ``""``."""

    @property
    def registered_keys(self) -> KeySet:
        """The keys themselves, where there is no address."""


def client_verifier(client: KeyHolder, algorithm: Algorithm, kid: str) -> jose.Verifier:
    """The client's one key for ``algorithm`` named ``kid``; a name that is not known has its keys fetched again.

    Raises:
        UnknownKey: it has none, or without a name there is a choice.
        ClientKeysUnavailable: nobody can tell, since its keys cannot be fetched.
    """
    if not client.jwks_uri:
        return client.registered_keys.verifier(algorithm, kid)
    try:
        return _fetched_keys(client.jwks_uri).verifier(algorithm, kid)
    except jose.UnknownKey:
        if not kid:
            raise
    return _fetched_keys(client.jwks_uri, renew=True).verifier(algorithm, kid)


def _fetched_keys(uri: str, *, renew: bool = False) -> KeySet:
    try:
        return read_key_set(_document(uri, renew=renew).body)
    except (OutboundError, jose.InvalidJws) as error:
        raise ClientKeysUnavailable("The client's keys cannot be fetched now.", detail=str(error)) from error


def _document(uri: str, *, renew: bool) -> Document:
    """What stands at the address; one that was to be new and is not would give an untrue answer."""
    document = fetch_document(uri, renew=renew)
    if renew and timezone.now() - document.fetched > _NEW:
        raise DocumentUnavailable(f"{uri} was last seen at {document.fetched:%Y-%m-%d %H:%M:%S} UTC.")
    return document
