"""Device authorization requests (RFC 8628)."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver import digests
from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now
from identityserver.models.grants import Grant


class DeviceRequest(models.Model):
    """A device that waits for a person to allow it on another one; both codes are kept as digests only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=digests.LENGTH, unique=True, help_text=_("Of the device code."))
    user_code = models.CharField(max_length=digests.LENGTH, unique=True, help_text=_("Keyed digest of the user code."))
    scopes = StringListField()
    resources = StringListField(help_text=_("Resource indicators (RFC 8707)."))
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(db_index=True)
    interval = models.PositiveIntegerField(help_text=_("Seconds that the device must wait between polls."))
    last_polled = models.DateTimeField(null=True, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+", help_text=_("Who claimed the code.")
    )
    sid = models.CharField(_("session ID"), max_length=digests.LENGTH, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_scopes = StringListField()
    denied_at = models.DateTimeField(null=True, blank=True)
    consumed_at = models.DateTimeField(null=True, blank=True)
    grant = models.ForeignKey(Grant, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("device request")
        verbose_name_plural = _("device requests")

    def __str__(self) -> str:
        return str(self.pk)
