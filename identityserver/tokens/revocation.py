"""Revoking what a client presents as a token of its own (RFC 7009 §2)."""

import uuid
from collections.abc import Callable

from django.utils import timezone

from identityserver import digests, signals
from identityserver.errors import InvalidRequest, InvalidToken, UnsupportedTokenType
from identityserver.models import Client, Grant, ReferenceToken, RefreshToken, UsedIdentifier
from identityserver.tokens.live import REVOKED
from identityserver.tokens.verify import verify_access_token, verify_id_token_hint


def revoke_token(client: Client, value: str, hint: str) -> None:
    """Revoke a token of ``client``; one that is foreign, unknown or revoked before is left as it is.

    A refresh token goes with its whole grant. A JWT access token is remembered by its ``jti`` until it expires.

    Args:
        hint: the ``token_type_hint``, by which the likelier kind is looked for first (§2.1).

    Raises:
        UnsupportedTokenType: an ID token of the client's: it is read by nobody but the client itself.
    """
    if "." in value:
        _revoke_jwt(client, value)
    elif len(value) == digests.LENGTH:
        _revoke_handle(client, digests.digest(value), hint)


def _revoke_jwt(client: Client, value: str) -> None:
    try:
        token = verify_access_token(value, audiences=None)
    except InvalidToken:
        _refuse_id_token(client, value)
        return
    accept = UsedIdentifier.objects.accept
    if token.client_id == client.client_id and accept(REVOKED, token.issuer, token.jti, token.expires):
        _tell(client, "access token", token.grant_id, token.subject or "")


def _refuse_id_token(client: Client, value: str) -> None:
    try:
        claims = verify_id_token_hint(value)
    except InvalidRequest:
        return
    if claims.get("aud") == client.client_id:
        raise UnsupportedTokenType("An ID token cannot be revoked; end the session instead.", parameter="token")


def _revoke_handle(client: Client, digest: str, hint: str) -> None:
    """A handle names at most one row in one of two tables."""
    kinds: list[Callable[[Client, str], bool]] = [_revoke_refresh_token, _revoke_reference_token]
    for revoke in reversed(kinds) if hint == "access_token" else kinds:
        if revoke(client, digest):
            return


def _revoke_refresh_token(client: Client, digest: str) -> bool:
    """Whether it is one; the grant goes with codes, access tokens and all refresh tokens of the family."""
    holder = RefreshToken.objects.filter(digest=digest, grant__client_id=client.pk)
    grant = holder.values_list("grant_id", "grant__subject").first()
    if grant is None:
        return False
    if Grant.objects.revoke(grant[0], "revoked by the client"):
        _tell(client, "refresh token", *grant)
    return True


def _revoke_reference_token(client: Client, digest: str) -> bool:
    rows = ReferenceToken.objects.filter(digest=digest, client_id=client.pk)
    if not rows.filter(revoked_at=None).update(revoked_at=timezone.now()):
        return False
    grant_id, subject = rows.values_list("grant_id", "grant__subject").first() or (None, None)
    _tell(client, "access token", grant_id, subject or "")
    return True


def _tell(client: Client, kind: str, grant_id: uuid.UUID | None, subject: str) -> None:
    signals.token_revoked.send(sender=Grant, client=client, kind=kind, grant_id=grant_id, subject=subject)
