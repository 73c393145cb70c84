"""Device authorization requests: two codes, who claimed them and what was decided (RFC 8628 §3.1 to §3.5, §6.1)."""

import hmac
import secrets
import unicodedata
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import IntegrityError, models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from identityserver import digests
from identityserver.conf import options
from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now
from identityserver.models.grants import Grant, HolderQuerySet
from identityserver.models.keys import ServerSecret
from identityserver.models.sessions import UserSession

#: RFC 8628 §6.1: no vowels, so that no words come out, and nothing that is taken for something else.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LETTERS = 8
#: What somebody types is read so far.
_LONGEST = 100
#: Two requests that draw the same of 25,600,000,000 codes are rare; this often in a row, something else is wrong.
_DRAWS = 5
#: RFC 8628 §3.5.
_SLOWER_BY = 5


class DeviceRequestQuerySet(HolderQuerySet):
    """Begins, claims and finds requests. Conditions stand on the row's own columns, so that each UPDATE decides."""

    @sensitive_variables()
    def begin(
        self, client: Client, *, scopes: Sequence[str], resources: Sequence[str], ip: str | None
    ) -> tuple["DeviceRequest", str, str]:
        """Keep a request.

        Returns:
            The row, its device code and its user code, which are kept nowhere.
        """
        fields = {"scopes": list(scopes), "resources": list(resources), "ip": ip}
        for draw in range(_DRAWS):
            device_code, user_code = digests.new_handle(), new_user_code()
            row = _new_row(client, device_code, user_code, **fields)
            try:
                with transaction.atomic(using=router.db_for_write(DeviceRequest)):
                    row.save(force_insert=True)
            except IntegrityError:
                if draw == _DRAWS - 1:
                    raise
            else:
                break
        return row, device_code, user_code

    def waiting(self) -> "DeviceRequestQuerySet":
        """Those that may still be decided."""
        return self.filter(approved_at=None, denied_at=None, expires__gt=timezone.now())

    def claim(self, user_code: str, session: UserSession) -> "DeviceRequest | None":
        """The request of this code, which from now on only this session may decide; ``None`` where it is none.

        One that somebody else has claimed is none, either. The same user may go on with it in another session.
        """
        unclaimed = Q(user=None) | Q(user=session.user_id)
        waiting = self.waiting().filter(unclaimed, user_code=keyed_digest(user_code))
        claimed = waiting.update(user=session.user_id, sid=session.sid)
        return self.claimed(user_code, session) if claimed else None

    def claimed(self, user_code: str, session: UserSession) -> "DeviceRequest | None":
        """The request that this session has claimed, in whatever state."""
        own = self.filter(user_code=keyed_digest(user_code), user=session.user_id, sid=session.sid)
        found: DeviceRequest | None = own.select_related("client").first()
        return found


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

    #: Read by ``with_circumstances()`` only.
    client_enabled: bool | None
    session_ended_at: datetime | None

    objects = DeviceRequestQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("device request")
        verbose_name_plural = _("device requests")

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_waiting(self) -> bool:
        """Whether it may still be decided."""
        return not self.is_decided and self.expires > timezone.now()

    @property
    def is_decided(self) -> bool:
        """Whether somebody has allowed or refused it."""
        return self.approved_at is not None or self.denied_at is not None

    def poll(self) -> bool:
        """Note a poll; false where it came before its time, after which the device must wait longer (§3.5).

        The row must be as it was read: of polls at once, one is in time.
        """
        now = timezone.now()
        unchanged = DeviceRequest.objects.filter(pk=self.pk, last_polled=self.last_polled, interval=self.interval)
        if self._is_due(now) and unchanged.update(last_polled=now):
            return True
        DeviceRequest.objects.filter(pk=self.pk).update(last_polled=now, interval=F("interval") + _SLOWER_BY)
        return False

    def _is_due(self, now: datetime) -> bool:
        return self.last_polled is None or self.last_polled + timedelta(seconds=self.interval) <= now

    def approve(self, scopes: Sequence[str]) -> bool:
        """Record the approval of who claimed it; false where it waits no more, or another session claimed it since."""
        return self._decide(approved_at=timezone.now(), approved_scopes=list(scopes))

    def deny(self) -> bool:
        """Record the refusal of who claimed it; false as with an approval."""
        return self._decide(denied_at=timezone.now())

    def release(self) -> bool:
        """Let anybody claim it again; false as with an approval."""
        return self._decide(user=None, sid="")

    def _decide(self, **decision: object) -> bool:
        own = DeviceRequest.objects.waiting().filter(pk=self.pk, user=self.user_id, sid=self.sid)
        return bool(own.update(**decision))


@sensitive_variables()
def _new_row(client: Client, device_code: str, user_code: str, **fields: object) -> DeviceRequest:
    now = timezone.now()
    return DeviceRequest(
        client_id=client.pk,
        digest=digests.digest(device_code),
        user_code=keyed_digest(user_code),
        created=now,
        expires=now + client.lifetime("device_code_lifetime"),
        interval=int(options().device_polling_interval.total_seconds()),
        **fields,
    )


def new_user_code() -> str:
    """Eight letters: 34.5 bits, which no more than a few guesses are allowed at (RFC 8628 §5.1)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(_LETTERS))


def read_user_code(typed: str) -> str:
    """The code as it was drawn, whatever case, width, dashes and blanks it was typed with; ``""`` where it is none."""
    characters = unicodedata.normalize("NFKC", typed[:_LONGEST]).upper()
    letters = "".join(character for character in characters if character.isalnum())
    return letters if len(letters) == _LETTERS and set(letters) <= set(ALPHABET) else ""


def shown_user_code(user_code: str) -> str:
    """The code as people read it: ``WDJB-MJHT``."""
    return f"{user_code[:4]}-{user_code[4:]}"


@sensitive_variables()
def keyed_digest(user_code: str) -> str:
    """How a user code is kept: HMAC-SHA-256 under a server secret, since there are few enough to try."""
    key = ServerSecret.objects.value_of(ServerSecret.Purpose.USER_CODES)
    return digests.base64url(hmac.digest(key, user_code.encode(), "sha256"))
