"""What a user has allowed a client, remembered."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now
from identityserver.models.prepared import Parameter, Select


class ConsentManager(models.Manager["Consent"]):
    """Asks and remembers."""

    def remembered(self, user: Any, client: Client) -> "Consent | None":
        """The consent of ``user`` for ``client``, unless it has expired or the client's are not to be remembered."""
        if not client.allow_remember_consent:
            return None
        row: Consent | None = _find().first(user=user.pk, client=client.pk)
        return None if row is None or row.has_expired(client) else row

    def remember(
        self, user: Any, client: Client, *, scopes: Iterable[str], claims: Iterable[str], resources: Iterable[str]
    ) -> None:
        """Add to what ``user`` has allowed ``client``, one row a pair, for the client's ``consent_lifetime``.

        What is added ends with what was there: that was not shown again, so nothing may prolong it.
        """
        expires = timezone.now() + timedelta(seconds=client.consent_lifetime) if client.consent_lifetime else None
        new = Consent(user=user, client_id=client.pk, expires=expires)
        with transaction.atomic(using=self.db):
            self.bulk_create([new], ignore_conflicts=True)
            row = self.select_for_update().get(user=user, client_id=client.pk)
            if row.has_expired(client):
                row.scopes, row.claims, row.resources = [], [], []
                row.created, row.expires = new.created, new.expires
            row.scopes = sorted({*row.scopes, *scopes})
            row.claims = sorted({*row.claims, *claims})
            row.resources = sorted({*row.resources, *resources})
            row.save()


class Consent(models.Model):
    """One row for a user and a client: never a scan over tokens."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    client = models.ForeignKey(Client, models.CASCADE, related_name="consents")
    scopes = StringListField()
    claims = StringListField()
    resources = StringListField()
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = ConsentManager()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "client"], name="identityserver_consent_once")]

    def __str__(self) -> str:
        return f"{self.user} → {self.client}"

    def has_expired(self, client: Client) -> bool:
        """Whether its time is up, by the ``consent_lifetime`` of then or by that of now."""
        ends = [self.expires] if self.expires is not None else []
        if client.consent_lifetime:
            ends.append(self.created + timedelta(seconds=client.consent_lifetime))
        return any(end <= timezone.now() for end in ends)

    def covers(self, *, scopes: Collection[str], claims: Collection[str], resources: Collection[str]) -> bool:
        """Whether everything asked for was allowed before."""
        return (
            set(scopes) <= set(self.scopes)
            and set(claims) <= set(self.claims)
            and set(resources) <= set(self.resources)
        )


@cache
def _find() -> Select:
    """Made on first use, when every model is loaded."""
    return Select(Consent.objects.filter(user_id=Parameter("user"), client_id=Parameter("client")))
