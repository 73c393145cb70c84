"""Requests that wait for a person, kept on the server under a handle bound to the browser."""

import uuid
from typing import Any, ClassVar, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from identityserver import digests
from identityserver.conf import options
from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now


class PendingManager(models.Manager[Any]):
    """Finds a pending request only for the browser that made it."""

    def found(self, handle: str, binding: str) -> Any:
        """The request in whatever state, or ``None`` for another browser or an unknown handle."""
        if not handle or not binding:
            return None
        return (
            self.select_related("client").filter(digest=digests.digest(handle), binding=digests.digest(binding)).first()
        )

    def pending(self, handle: str, binding: str) -> Any:
        """The request, unless it was used or has expired, or its client was disabled."""
        row = self.found(handle, binding)
        return row if row is not None and row.is_pending else None


class PendingRequest(models.Model):
    """A handle's digest, the browser it is bound to, and how long it lives."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=digests.LENGTH, unique=True)
    binding = models.CharField(max_length=digests.LENGTH, help_text=_("Digest of the browser's own cookie."))
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def store(cls, **values: Any) -> tuple[Self, str, str]:
        """Keep a request.

        Returns:
            The row, its handle (for URLs) and its binding (for the browser's cookie).
        """
        handle, binding = digests.new_handle(), digests.new_handle()
        now = timezone.now()
        row = cls._default_manager.create(
            digest=digests.digest(handle),
            binding=digests.digest(binding),
            created=now,
            expires=now + options().interaction_lifetime,
            **values,
        )
        return row, handle, binding

    @property
    def is_pending(self) -> bool:
        """Whether it still waits for an answer."""
        return self.used_at is None and self.expires > timezone.now()

    def use(self) -> bool:
        """Take the request: true for exactly one caller."""
        rows = type(self)._default_manager.filter(pk=self.pk, used_at=None, expires__gt=timezone.now())
        return bool(rows.update(used_at=timezone.now()))


class AuthorizationRequest(PendingRequest):
    """A validated authorization request that waits for sign-in or consent."""

    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    parameters = models.JSONField(help_text=_("As received and validated."))
    seen_sid = models.CharField(
        max_length=digests.LENGTH, blank=True, help_text=_("The session that saw the consent page.")
    )
    approved_sid = models.CharField(max_length=digests.LENGTH, blank=True)
    approved_scopes = StringListField()
    remember_consent = models.BooleanField(default=False)
    denied_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[PendingManager] = PendingManager()

    class Meta:
        verbose_name = _("authorization request")
        verbose_name_plural = _("authorization requests")

    @property
    def is_pending(self) -> bool:
        """Whether it still waits for an answer, and its client is enabled."""
        return super().is_pending and self.client.enabled

    def shown_to(self, sid: str) -> None:
        """The consent page was shown in session ``sid``; only that session may answer it."""
        self.seen_sid = sid
        self.save(update_fields=["seen_sid"])

    def approve(self, sid: str, scopes: list[str], *, remember: bool) -> bool:
        """Record the approval of session ``sid``; false where another session saw the page."""
        if not sid or sid != self.seen_sid:
            return False
        rows = AuthorizationRequest.objects.filter(pk=self.pk, used_at=None, seen_sid=sid)
        return bool(rows.update(approved_sid=sid, approved_scopes=scopes, remember_consent=remember))

    def deny(self) -> None:
        """The person refused or cancelled; the client is told ``access_denied`` when the request resumes."""
        self.denied_at = timezone.now()
        self.save(update_fields=["denied_at"])


class LogoutRequest(PendingRequest):
    """A logout request of a client (OpenID Connect RP-Initiated Logout §2) that waits for the person's word."""

    client = models.ForeignKey(Client, models.CASCADE, null=True, related_name="+")
    post_logout_redirect_uri = models.CharField(max_length=2000, blank=True)
    state = models.TextField(blank=True)
    ui_locales = models.CharField(max_length=2000, blank=True)

    objects: ClassVar[PendingManager] = PendingManager()

    class Meta:
        verbose_name = _("logout request")
        verbose_name_plural = _("logout requests")
