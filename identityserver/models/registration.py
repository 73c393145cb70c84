"""Dynamic registration: who may register, and who may change a registration (RFC 7591 §3, RFC 7592 §3)."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver import digests
from identityserver.models.client import Client
from identityserver.models.fields import now


class InitialAccessToken(models.Model):
    """What lets its bearer register clients (RFC 7591 §3); only a digest is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=digests.LENGTH, unique=True, editable=False)
    prefix = models.CharField(
        max_length=8, blank=True, editable=False, help_text=_("First characters, for recognition.")
    )
    created = models.DateTimeField(default=now, editable=False)
    expires = models.DateTimeField(null=True, blank=True)
    uses_left = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty means without limit."))
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("initial access token")
        verbose_name_plural = _("initial access tokens")

    def __str__(self) -> str:
        return self.description or f"{self.prefix}…"


class Registration(models.Model):
    """How a client registered itself, and the token by which it manages that (RFC 7592)."""

    client = models.OneToOneField(Client, models.CASCADE, primary_key=True, related_name="registration")
    digest = models.CharField(
        max_length=digests.LENGTH, unique=True, editable=False, help_text=_("Of the registration access token.")
    )
    initial_access_token = models.ForeignKey(InitialAccessToken, models.SET_NULL, null=True, related_name="+")
    metadata = models.JSONField(default=dict, help_text=_("What was registered and is only given back."))
    created = models.DateTimeField(default=now, editable=False)

    class Meta:
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")

    def __str__(self) -> str:
        return str(self.client)
