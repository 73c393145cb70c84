"""The waist: one value that every grant type produces and every token is made from."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from identityserver.models import Client, Grant
from identityserver.scopes import Resources
from identityserver.vocabulary import Scope


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """What a client may do now, and for whom.

    Attributes:
        client: to whom tokens are issued.
        grant_type: the name of the grant type by which it was obtained.
        resources: the scopes granted and the APIs they open.
        user: who allowed it, or ``None`` where the client acts for itself.
        subject: the user's ``sub``; the client_id where there is no user (RFC 9068 §2.2).
        grant_id: the stored root of its family, or ``None`` where nothing outlives the request.
        sid: the user session, or ``""``.
        claims: the ``claims`` parameter (OpenID Connect Core §5.5), validated.
        nonce: echoed in the ID token; ``""`` where none was sent.
        refresh_token: one that was issued with it, ``""`` where there is none.
        access_token: a reference token that was stored with it; ``""`` where the access token is a JWT.
        not_after: when the access token must expire at the latest; ``None`` leaves that to the client's lifetime.
        actor: who acts for the subject, the ``act`` claim (RFC 8693 §4.1); ``None`` where nobody else does.
        issued_token_type: what a token exchange gives (RFC 8693 §2.2.1); ``""`` elsewhere. No ID token comes with it.
    """

    client: Client
    grant_type: str
    resources: Resources
    user: AbstractBaseUser | None = None
    subject: str
    grant_id: uuid.UUID | None = None
    sid: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    nonce: str = ""
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()
    refresh_token: str = ""
    access_token: str = ""
    not_after: datetime | None = None
    actor: Mapping[str, Any] | None = None
    issued_token_type: str = ""

    @property
    def is_openid(self) -> bool:
        """Whether an ID token belongs to it."""
        return self.user is not None and Scope.OPENID in self.resources.scopes and not self.issued_token_type


def from_grant(grant: Grant, client: Client, resources: Resources, **more: Any) -> Authorization:
    """The authorization that a stored grant holds; ``more`` overrides or adds."""
    return Authorization(
        **{
            "client": client,
            "resources": resources,
            "user": grant.user,
            "subject": grant.subject,
            "grant_id": grant.pk,
            "sid": grant.sid,
            "claims": grant.claims,
            "auth_time": grant.auth_time,
            "acr": grant.acr,
            "amr": tuple(grant.amr),
            **more,
        }
    )
