"""Dynamic registration: who may register, and who may change a registration (RFC 7591 §3, RFC 7592 §3)."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from identityserver import digests
from identityserver.models.client import Client
from identityserver.models.fields import now


class InitialAccessTokenManager(models.Manager["InitialAccessToken"]):
    """Issues tokens, and takes their uses."""

    @sensitive_variables()
    def issue(
        self, *, description: str = "", expires: datetime | None = None, uses: int | None = None
    ) -> tuple["InitialAccessToken", str]:
        """A new token of 256 bits.

        Returns:
            The stored row and the token itself, which is shown once and kept nowhere.
        """
        value = digests.new_handle()
        fields = {"digest": digests.digest(value), "prefix": value[:4], "description": description}
        return self.create(**fields, expires=expires, uses_left=uses), value

    @sensitive_variables()
    def good(self, value: str) -> "InitialAccessToken | None":
        """The token ``value``, while it has not expired and has a use left."""
        return self._good().filter(digest=digests.digest(value)).first()

    def take_use(self, token: "InitialAccessToken") -> bool:
        """Whether there was a use to take: the count in the database decides between callers at once."""
        rows = self._good().filter(pk=token.pk)
        return bool(rows.update(uses_left=F("uses_left") - 1, last_used=timezone.now()))

    def _good(self) -> "models.QuerySet[InitialAccessToken]":
        unexpired = Q(expires=None) | Q(expires__gt=timezone.now())
        return self.filter(unexpired, Q(uses_left=None) | Q(uses_left__gt=0))


class InitialAccessToken(models.Model):
    """What lets its bearer register clients (RFC 7591 §3); only a digest is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=digests.LENGTH, unique=True, editable=False)
    prefix = models.CharField(
        max_length=8, blank=True, editable=False, help_text=_("First characters, for recognition.")
    )
    created = models.DateTimeField(default=now, editable=False)
    expires = models.DateTimeField(null=True, blank=True, db_index=True)
    uses_left = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty means without limit."))
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    objects = InitialAccessTokenManager()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("initial access token")
        verbose_name_plural = _("initial access tokens")

    def __str__(self) -> str:
        return self.description or f"{self.prefix}…"


class RegistrationManager(models.Manager["Registration"]):
    """Begins registrations and finds them by their token."""

    @sensitive_variables()
    def begin(self, client: Client, *, permit: InitialAccessToken | None, kept: dict[str, Any]) -> str:
        """Keep how ``client`` registered; returns its registration access token, which is kept nowhere."""
        value = digests.new_handle()
        self.create(client=client, digest=digests.digest(value), initial_access_token=permit, metadata=kept)
        return value

    @sensitive_variables()
    def managed_by(self, value: str) -> "Registration | None":
        """The registration, of a client that is enabled, whose token is ``value``."""
        return self._managed().filter(digest=digests.digest(value)).first()

    def current(self, registration: "Registration") -> "Registration | None":
        """The same registration as it is now, if it is still there and its client enabled."""
        return self._managed().filter(pk=registration.pk, digest=registration.digest).first()

    def _managed(self) -> "models.QuerySet[Registration]":
        return self.select_related("client", "initial_access_token").filter(client__enabled=True)

    def keep(self, registration: "Registration", kept: dict[str, Any]) -> bool:
        """Keep what is only given back; false where the registration is gone or its client disabled by now.

        Whoever else changes it waits until the transaction ends.
        """
        rows = self.filter(pk=registration.pk, digest=registration.digest, client__enabled=True)
        return bool(rows.update(metadata=kept))

    def end(self, registration: "Registration") -> bool:
        """Delete the row: true for exactly one of several callers at once."""
        return bool(self.filter(pk=registration.pk, digest=registration.digest).delete()[0])


class Registration(models.Model):
    """How a client registered itself, and the token by which it manages that (RFC 7592)."""

    client = models.OneToOneField(Client, models.CASCADE, primary_key=True, related_name="registration")
    digest = models.CharField(
        max_length=digests.LENGTH, unique=True, editable=False, help_text=_("Of the registration access token.")
    )
    initial_access_token = models.ForeignKey(InitialAccessToken, models.SET_NULL, null=True, related_name="+")
    metadata = models.JSONField(default=dict, help_text=_("What was registered and is only given back."))
    created = models.DateTimeField(default=now, editable=False)

    objects = RegistrationManager()

    class Meta:
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")

    def __str__(self) -> str:
        return str(self.client)
