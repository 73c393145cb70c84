"""Replay protection by the database: an identifier is accepted once (never by cache get and set)."""

from datetime import datetime
from typing import ClassVar

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from identityserver import digests


class UsedIdentifierManager(models.Manager["UsedIdentifier"]):
    """Accepts an identifier once."""

    def accept(self, purpose: str, issuer: str, identifier: str, expires: datetime) -> bool:
        """Whether this is the first use of ``identifier``: true for exactly one caller.

        Two calls at once are settled by the unique index (``INSERT … ON CONFLICT DO NOTHING``); the
        winner is the caller whose own random mark is then found in the row.
        """
        mark = digests.new_handle()
        key = {"purpose": purpose, "issuer": digests.digest(issuer), "digest": digests.digest(identifier)}
        self.bulk_create([UsedIdentifier(**key, expires=expires, mark=mark)], ignore_conflicts=True)
        return self.using(router.db_for_write(UsedIdentifier)).filter(**key, mark=mark).exists()


class UsedIdentifier(models.Model):
    """A jti, or another identifier, that was accepted."""

    purpose = models.CharField(max_length=40)
    issuer = models.CharField(max_length=digests.LENGTH, help_text=_("Digest of the issuer or client."))
    digest = models.CharField(max_length=digests.LENGTH)
    mark = models.CharField(max_length=digests.LENGTH)
    expires = models.DateTimeField(db_index=True)

    objects = UsedIdentifierManager()

    class Meta:
        verbose_name = _("used identifier")
        verbose_name_plural = _("used identifiers")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["purpose", "issuer", "digest"], name="identityserver_identifier_once")
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.digest}"
