"""Secrets of clients and APIs: several at once, kept as digests (RFC 6749 §2.3.1).

A slow hash that was imported turns into a digest when its secret is used. Only what verifies MACs is kept so that
it can be recovered: encrypted, for clients that use client_secret_jwt (OpenID Connect Core §9, §10.1).
"""

import hmac
import secrets
from datetime import datetime
from typing import ClassVar, Self

from django.contrib.auth.hashers import check_password, identify_hasher
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from identityserver import digests, encryption
from identityserver.models.fields import now
from identityserver.models.keys import ServerSecret

#: Octets of a key that HS256 takes (RFC 7518 §3.2): no shorter secret may be kept for MACs.
LEAST_MAC_KEY = 32

_LONGEST_HASH = 255


class Secret(models.Model):
    """A secret by which its holder authenticates; a digest is kept, or a slow hash until its first use."""

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
    digest = models.CharField(
        max_length=_LONGEST_HASH, editable=False, help_text=_("Or a slow hash that was imported.")
    )
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
        cls, holder: models.Model, *, description: str = "", expires: datetime | None = None, recoverable: bool = False
    ) -> tuple[Self, str]:
        """A new secret of 256 bits for ``holder``.

        Args:
            recoverable: keep it encrypted, too, for client_secret_jwt; it is longer then, as HS512 asks for.

        Returns:
            The stored row and the secret itself, which is shown once.
        """
        value = secrets.token_urlsafe(48) if recoverable else digests.new_handle()
        fields = {"prefix": value[:4], "digest": digests.digest(value), "description": description}
        fields["encrypted"] = cls._sealed(value, fields["digest"]) if recoverable else ""
        return cls._default_manager.create(**{cls.HOLDER: holder}, **fields, expires=expires), value

    @classmethod
    @sensitive_variables()
    def typed(
        cls,
        holder: models.Model,
        value: str,
        *,
        description: str = "",
        expires: datetime | None = None,
        recoverable: bool = False,
    ) -> Self:
        """Keep a secret that a person chose: HMAC-SHA-256 under a server secret, since it may be guessable.

        Raises:
            ValueError: it is to be recoverable, and too short for a key of HS256: whoever sees an assertion could
                find it by trying.
        """
        if recoverable and len(value.encode()) < LEAST_MAC_KEY:
            raise ValueError(f"A secret for client_secret_jwt has at least {LEAST_MAC_KEY} octets.")
        fields = {"kind": cls.Kind.TYPED, "digest": _keyed_digest(value), "description": description}
        fields["encrypted"] = cls._sealed(value, fields["digest"]) if recoverable else ""
        return cls._default_manager.create(**{cls.HOLDER: holder}, **fields, expires=expires)

    @classmethod
    def imported(
        cls, holder: models.Model, encoded: str, *, description: str = "", expires: datetime | None = None
    ) -> Self:
        """Keep a secret of which only a slow hash is known, such as ``pbkdf2_sha256$…``.

        Raises:
            ValueError: no hasher in PASSWORD_HASHERS can check it, or it is too long to be kept.
        """
        identify_hasher(encoded)
        if len(encoded) > _LONGEST_HASH:
            raise ValueError(f"The hash is longer than {_LONGEST_HASH} characters.")
        fields = {"kind": cls.Kind.IMPORTED, "digest": encoded, "description": description}
        return cls._default_manager.create(**{cls.HOLDER: holder}, **fields, expires=expires)

    @property
    def has_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= timezone.now()

    @sensitive_variables()
    def matches(self, value: str) -> bool:
        """Whether ``value`` is this secret, and it has not expired; compared in constant time."""
        if self.expires is not None and self.has_expired:
            return False
        if self.kind == self.Kind.IMPORTED:
            return check_password(value, self.digest)
        computed = digests.digest(value) if self.kind == self.Kind.GENERATED else _keyed_digest(value)
        return hmac.compare_digest(computed, self.digest)

    @sensitive_variables()
    def replace_slow_hash(self, value: str) -> None:
        """Keep the keyed digest of an imported secret instead, now that it is known; of many callers, one does."""
        still_slow = type(self)._default_manager.filter(pk=self.pk, kind=self.Kind.IMPORTED, digest=self.digest)
        still_slow.update(kind=self.Kind.TYPED, digest=_keyed_digest(value))

    @classmethod
    def context(cls, digest: str) -> str:
        """The associated data of an encrypted secret: its table, its row and what it is."""
        return f"{cls._meta.db_table}/{digest}/encrypted"

    def decrypted(self) -> bytes:
        """The secret of a row that keeps it recoverable.

        Raises:
            encryption.Undecryptable: no configured key opens it.
        """
        return encryption.decrypt(self.encrypted, self.context(self.digest))

    @classmethod
    @sensitive_variables()
    def _sealed(cls, value: str, digest: str) -> str:
        return encryption.encrypt(value.encode(), cls.context(digest))


def _keyed_digest(value: str) -> str:
    key = ServerSecret.objects.value_of(ServerSecret.Purpose.TYPED_SECRETS)
    return digests.base64url(hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256"))
