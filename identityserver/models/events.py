"""The append-only event log. Identifiers are text without foreign keys, so that events outlive what they name."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver.models.fields import now


class Event(models.Model):
    """Something that happened; never holds a secret."""

    class Outcome(models.TextChoices):
        SUCCESS = "success", _("Success")
        FAILURE = "failure", _("Failure")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    time = models.DateTimeField(default=now, db_index=True)
    type = models.CharField(max_length=60, db_index=True)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reference = models.CharField(
        max_length=20, blank=True, db_index=True, help_text=_("What the client or person was shown.")
    )
    client = models.CharField(max_length=255, blank=True)
    user = models.CharField(max_length=255, blank=True)
    session = models.CharField(max_length=60, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    code = models.CharField(max_length=80, blank=True)
    detail = models.TextField(blank=True)
    clause = models.CharField(max_length=200, blank=True)
    remedy = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-time"]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.type}"
