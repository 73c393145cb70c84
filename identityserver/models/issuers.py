"""Issuers whose assertions are good for tokens of ours (RFC 7523 §2.1)."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver.models.fields import StringListField
from identityserver.models.resources import ApiScope


class TrustedIssuer(models.Model):
    """Who may vouch for users, by which keys, and for what at most."""

    class SubjectMapping(models.TextChoices):
        SUBJECT = "subject", _("Our own subject identifier")
        USERNAME = "username", _("User name")
        EMAIL = "email", _("E-mail address")

    issuer = models.CharField(max_length=500, unique=True, help_text=_("Exactly as in the assertion's iss."))
    name = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    jwks = models.JSONField(_("JWKS"), null=True, blank=True)
    jwks_uri = models.CharField(_("JWKS URI"), max_length=500, blank=True)
    algorithms = StringListField(help_text=_("Signing algorithms that are accepted, one per line."))
    subject_mapping = models.CharField(
        max_length=10, choices=SubjectMapping, default=SubjectMapping.SUBJECT, help_text=_("Which user sub means.")
    )
    api_scopes = models.ManyToManyField(
        ApiScope, blank=True, related_name="+", help_text=_("What its assertions are good for; none by default.")
    )

    class Meta:
        ordering: ClassVar = ["issuer"]
        verbose_name = _("trusted issuer")
        verbose_name_plural = _("trusted issuers")

    def __str__(self) -> str:
        return self.name or self.issuer
