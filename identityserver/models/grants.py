"""Grants and what hangs off them: the root of a family of code and refresh tokens. Revoking it is one update."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from identityserver import digests
from identityserver.conf import options
from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now
from identityserver.models.sessions import UserSession


class GrantManager(models.Manager["Grant"]):
    """Revokes in the words of the domain."""

    def revoke(self, grant_id: uuid.UUID, reason: str) -> bool:
        """Revoke one grant with all its tokens; whether it was not revoked before."""
        return bool(self._revoke(self.filter(pk=grant_id), reason))

    def revoke_coordinated(self, reason: str) -> None:
        """Revoke what ends with its user session: by the client's choice, or else the server's."""
        coordinated = Q(client__coordinate_lifetime_with_user_session=True)
        if options().coordinate_lifetime_with_user_session:
            coordinated |= Q(client__coordinate_lifetime_with_user_session=None)
        self._revoke(self.filter(coordinated), reason)

    def revoke_for_user(self, user: Any, *, keep_session_sid: str | None, reason: str) -> None:
        """Revoke every grant of ``user`` but those of the session ``keep_session_sid``."""
        grants = self.filter(user=user)
        if keep_session_sid:
            grants = grants.exclude(pk__in=self.filter(user=user, session__sid=keep_session_sid).values("pk"))
        self._revoke(grants, reason)

    def _revoke(self, grants: "models.QuerySet[Grant]", reason: str) -> int:
        return grants.filter(revoked_at=None).update(revoked_at=timezone.now(), revocation_reason=reason)


class Grant(models.Model):
    """What a client may do for a subject (or for itself), as decided once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, models.CASCADE, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    subject = models.CharField(max_length=255, blank=True)
    session = models.ForeignKey(UserSession, models.SET_NULL, null=True, blank=True, related_name="grants")
    sid = models.CharField(_("session ID"), max_length=digests.LENGTH, blank=True)
    kind = models.CharField(max_length=255, help_text=_("The grant type that made it."))
    scopes = StringListField()
    resources = StringListField(help_text=_("Resource indicators (RFC 8707)."))
    claims = models.JSONField(default=dict, blank=True, help_text=_("The claims parameter."))
    acr = models.CharField(_("ACR"), max_length=255, blank=True)
    amr = StringListField(_("AMR"))
    auth_time = models.DateTimeField(null=True, blank=True)
    confirmation = models.CharField(max_length=100, blank=True, help_text=_("Thumbprint of the key it is bound to."))
    created = models.DateTimeField(default=now)
    last_used = models.DateTimeField(default=now)
    expires = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revocation_reason = models.CharField(max_length=100, blank=True)

    objects = GrantManager()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("grant")
        verbose_name_plural = _("grants")

    def __str__(self) -> str:
        return f"{self.client} {self.created:%Y-%m-%d %H:%M}"

    def revoke(self, reason: str) -> None:
        """Revoke it with all its tokens."""
        Grant.objects.revoke(self.pk, reason)


#: What is read together with a code or a token, and what of it nobody needs who redeems or checks one.
HOLDER_RELATIONS = ("grant", "grant__user")
UNNEEDED = {"": ("digest", "created"), "grant": ("kind", "created", "last_used")}


class HolderQuerySet(models.QuerySet[Any]):
    """Rows of a grant, read together with what their worth depends on."""

    def with_circumstances(self) -> Self:
        """Beside grant and user: whether the client is enabled and when the user session ended, in one statement."""
        return self.select_related("grant__user").annotate(
            client_enabled=F("grant__client__enabled"),
            session_ended_at=F("grant__session__ended_at"),
            session_expires=F("grant__session__expires"),
        )


class Redeemable(models.Model):
    """A value that is kept as a digest and consumed by use: consumed, not deleted, so that replay is seen."""

    digest = models.CharField(max_length=digests.LENGTH, unique=True)
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(db_index=True)
    consumed_at = models.DateTimeField(null=True, blank=True)

    #: Read by ``with_circumstances()`` only.
    client_enabled: bool
    session_ended_at: datetime | None
    session_expires: datetime | None

    objects = HolderQuerySet.as_manager()

    class Meta:
        abstract = True


class AuthorizationCode(Redeemable):
    """An authorization code (RFC 6749 §4.1.2), bound to what its request said."""

    grant = models.OneToOneField(Grant, models.CASCADE, related_name="code")
    redirect_uri = models.CharField(max_length=2000)
    redirect_uri_was_sent = models.BooleanField(default=True)
    code_challenge = models.CharField(max_length=43, blank=True)
    nonce = models.CharField(max_length=2000, blank=True)

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")

    def __str__(self) -> str:
        return f"code of {self.grant_id}"


class RefreshToken(Redeemable):
    """A refresh token (RFC 6749 §6). One-time tokens of one generation are siblings; the next use makes the next."""

    grant = models.ForeignKey(Grant, models.CASCADE, related_name="refresh_tokens")
    generation = models.PositiveIntegerField(default=0)
    superseded_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When a sibling was used in its place; using it then is a replay.")
    )

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")

    def __str__(self) -> str:
        return f"refresh token {self.generation} of {self.grant_id}"


class ReferenceToken(models.Model):
    """An access token that says nothing by itself: who is asked about it looks here (RFC 7662)."""

    digest = models.CharField(max_length=digests.LENGTH, unique=True)
    client = models.ForeignKey(Client, models.CASCADE, related_name="reference_tokens")
    grant = models.ForeignKey(Grant, models.CASCADE, null=True, related_name="reference_tokens")
    claims = models.JSONField(help_text=_("What the token would say if it were a JWT."))
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("reference token")
        verbose_name_plural = _("reference tokens")

    def __str__(self) -> str:
        return f"reference token of {self.client_id}"
