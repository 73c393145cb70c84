"""Secrets of clients and APIs: several at once, kept as digests only."""

import hmac
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from identityserver import digests
from identityserver.models.fields import now
from identityserver.models.keys import ServerSecret


class Secret(models.Model):
    """A secret by which its holder authenticates; only a digest is kept."""

    #: The field that names whose secret it is.
    HOLDER: ClassVar[str]

    class Kind(models.TextChoices):
        GENERATED = "generated", _("Generated")
        TYPED = "typed", _("Typed")
        IMPORTED = "imported", _("Imported")

    description = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.GENERATED, editable=False)
    prefix = models.CharField(
        max_length=8, blank=True, editable=False, help_text=_("First characters, for recognition.")
    )
    digest = models.CharField(max_length=255, editable=False, help_text=_("Or a slow hash that was imported."))
    encrypted = models.TextField(blank=True, editable=False, help_text=_("The secret itself, for client_secret_jwt."))
    created = models.DateTimeField(default=now, editable=False)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
        ordering: ClassVar = ["-created"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    @sensitive_variables()
    def generate(
        cls, holder: models.Model, *, description: str = "", expires: datetime | None = None
    ) -> tuple[Self, str]:
        """A new secret of 256 bits for ``holder``.

        Returns:
            The stored row and the secret itself, which is shown once and kept nowhere.
        """
        value = digests.new_handle()
        fields = {"prefix": value[:4], "digest": digests.digest(value), "description": description}
        return cls._default_manager.create(**{cls.HOLDER: holder}, **fields, expires=expires), value

    @classmethod
    @sensitive_variables()
    def typed(cls, holder: models.Model, value: str, *, description: str = "", expires: datetime | None = None) -> Self:
        """Keep a secret that a person chose: HMAC-SHA-256 under a server secret, since it may be guessable."""
        fields = {"kind": cls.Kind.TYPED, "digest": _keyed_digest(value), "description": description}
        return cls._default_manager.create(**{cls.HOLDER: holder}, **fields, expires=expires)

    @sensitive_variables()
    def matches(self, value: str) -> bool:
        """Whether ``value`` is this secret, and it has not expired; compared in constant time."""
        computed = digests.digest(value) if self.kind == self.Kind.GENERATED else _keyed_digest(value)
        same = hmac.compare_digest(computed, self.digest)
        return same and (self.expires is None or self.expires > timezone.now())


def _keyed_digest(value: str) -> str:
    key = ServerSecret.objects.value_of(ServerSecret.Purpose.TYPED_SECRETS)
    return digests.base64url(hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256"))
