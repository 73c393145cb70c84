"""Signing keys and server secrets, encrypted at rest."""

import os
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver import encryption
from identityserver.conf import options
from identityserver.models.fields import now
from identityserver.vocabulary import Algorithm

#: How far the clocks of nodes may differ and, for as long, how a node signs on that cannot reach the database.
MARGIN = timedelta(minutes=5)


class SigningKey(models.Model):
    """A key of the server: announced, then signing, then only verifying, then gone (OpenID Connect Core §10.1.1).

    It never signs a token that expires later than ``retires_at`` plus ``longest_lifetime``: that is raised
    before the first such token is signed, and never lowered.
    """

    class State(models.TextChoices):
        ANNOUNCED = "announced", _("announced")
        SIGNING = "signing", _("signing")
        RETIRED = "retired", _("retired, published")
        DUE = "due", _("due for deletion")
        DELETED = "deleted", _("deleted")
        REVOKED = "revoked", _("revoked")

    kid = models.CharField(_("key ID"), max_length=64, unique=True)
    algorithm = models.CharField(max_length=10, choices=[(member.value, member.value) for member in Algorithm])
    sequence = models.PositiveIntegerField(help_text=_("Position among the keys of its algorithm."))
    private_jwk = models.TextField(editable=False, help_text=_("Encrypted."))
    public_jwk = models.JSONField(_("public JWK"))
    created = models.DateTimeField(default=now)
    announced_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retires_at = models.DateTimeField(db_index=True)
    longest_lifetime = models.PositiveIntegerField(
        default=0, help_text=_("Seconds that the longest-lived token it may have signed is valid.")
    )
    revoked_at = models.DateTimeField(null=True, blank=True, help_text=_("When it was found to be compromised."))
    deleted_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering: ClassVar = ["algorithm", "sequence"]
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        # Two workers that make "the next key" at once make one: the second insert finds its place taken.
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["algorithm", "sequence"], name="identityserver_key_sequence")
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"

    @staticmethod
    def context(kid: str) -> str:
        """The associated data of the encrypted private key."""
        return f"identityserver_signingkey/{kid}/private_jwk"

    def decrypted(self) -> bytes:
        """The private JWK.

        Raises:
            encryption.Undecryptable: no configured key opens it.
        """
        return encryption.decrypt(self.private_jwk, self.context(self.kid))

    @property
    def is_kept(self) -> bool:
        """Whether it was neither deleted nor revoked."""
        return self.deleted_at is None and self.revoked_at is None

    @property
    def needed_until(self) -> datetime:
        """When the last token that it may have signed has expired, by any node's clock and memory."""
        kept = max(options().key_retention, timedelta(seconds=self.longest_lifetime))
        return self.retires_at + kept + 2 * MARGIN + timedelta(seconds=options().configuration_cache_seconds)

    def signs_at(self, moment: datetime) -> bool:
        """Whether it may sign at ``moment``."""
        return self.is_kept and self.activates_at <= moment < self.retires_at

    def is_published_at(self, moment: datetime) -> bool:
        """Whether it is in the key set: a live token may need it, or it is announced."""
        return self.is_kept and moment < self.needed_until

    def verifies_hints_at(self, moment: datetime) -> bool:
        """Whether ID tokens that it signed say who is meant, although they have expired."""
        until = max(self.needed_until, self.retires_at + options().id_token_hint_key_retention)
        return self.revoked_at is None and moment < until

    def state_at(self, moment: datetime) -> State:
        """Where it is in its life."""
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.deleted_at is not None:
            return self.State.DELETED
        if moment < self.activates_at:
            return self.State.ANNOUNCED
        if moment < self.retires_at:
            return self.State.SIGNING
        return self.State.RETIRED if moment < self.needed_until else self.State.DUE


class ServerSecretManager(models.Manager["ServerSecret"]):
    """Finds or makes the one secret of each purpose."""

    def value_of(self, purpose: str) -> bytes:
        """The secret for ``purpose``, made on first need; 256 bits.

        Raises:
            encryption.Undecryptable: no configured key opens it.
        """
        row = self.filter(purpose=purpose).first()
        if row is None:
            sealed = encryption.encrypt(os.urandom(32), ServerSecret.context(purpose))
            self.bulk_create([ServerSecret(purpose=purpose, encrypted=sealed)], ignore_conflicts=True)
            row = self.get(purpose=purpose)
        return row.value


class ServerSecret(models.Model):
    """A secret that the server keeps for itself, one a purpose."""

    class Purpose(models.TextChoices):
        TYPED_SECRETS = "typed_secrets", _("Digests of typed secrets")
        USER_CODES = "user_codes", _("Digests of user codes")
        PAIRWISE_SUBJECTS = "pairwise_subjects", _("Pairwise subject identifiers")

    purpose = models.CharField(max_length=40, unique=True)
    encrypted = models.TextField()
    created = models.DateTimeField(default=now)

    objects = ServerSecretManager()

    class Meta:
        verbose_name = _("server secret")
        verbose_name_plural = _("server secrets")

    def __str__(self) -> str:
        return self.purpose

    @staticmethod
    def context(purpose: str) -> str:
        """The associated data of the encrypted value."""
        return f"identityserver_serversecret/{purpose}/value"

    @cached_property
    def value(self) -> bytes:
        """The secret, decrypted."""
        return self.decrypted()

    def decrypted(self) -> bytes:
        """The secret.

        Raises:
            encryption.Undecryptable: no configured key opens it.
        """
        return encryption.decrypt(self.encrypted, self.context(self.purpose))
