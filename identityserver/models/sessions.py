"""User sessions and the clients that took part in them (OpenID Connect Back-Channel Logout §2.1)."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from identityserver import digests, signals
from identityserver.conf import options
from identityserver.models.client import Client
from identityserver.models.fields import StringListField, now
from identityserver.models.prepared import Insert, Parameter, Select

#: ``last_seen`` is written at most this often.
_TOUCH_INTERVAL = timedelta(minutes=1)


class UserSessionManager(models.Manager["UserSession"]):
    """Begins, finds and ends sessions."""

    def begin(
        self,
        user: Any,
        *,
        acr: str = "",
        amr: Sequence[str] = (),
        idp: str = "",
        ip: str | None = None,
        user_agent: str = "",
        expires: datetime | None = None,
    ) -> "UserSession":
        """A new session of ``user``, who has just authenticated; ``expires`` is capped by ``user_session_lifetime``."""
        now = timezone.now()
        latest = now + options().user_session_lifetime
        return self.create(
            user=user,
            auth_time=now,
            acr=acr,
            amr=list(amr),
            idp=idp,
            created=now,
            last_seen=now,
            expires=min(expires or latest, latest),
            ip=ip,
            user_agent="".join(character if character.isprintable() else " " for character in user_agent[:255]),
        )

    def live(self, sid: str) -> "UserSession | None":
        """The session ``sid`` with its user, unless it has ended or expired or the user is inactive."""
        session: UserSession | None = _find().first(sid=sid)
        return session if session is not None and session.is_live else None

    def end_for_user(self, user: Any, *, keep_sid: str | None, reason: str) -> None:
        """End every session of ``user`` but ``keep_sid``."""
        for session in self.filter(user=user, ended_at=None).exclude(sid=keep_sid or ""):
            session.end(reason)


class UserSession(models.Model):
    """One sign-in of a user in one browser."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sid = models.CharField(
        _("session ID"), max_length=digests.LENGTH, unique=True, default=digests.new_handle, editable=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    auth_time = models.DateTimeField()
    acr = models.CharField(_("ACR"), max_length=255, blank=True)
    amr = StringListField(_("AMR"))
    idp = models.CharField(_("identity provider"), max_length=200, blank=True)
    created = models.DateTimeField(default=now)
    last_seen = models.DateTimeField()
    expires = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=100, blank=True)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)

    objects = UserSessionManager()

    class Meta:
        ordering: ClassVar = ["-created"]
        verbose_name = _("user session")
        verbose_name_plural = _("user sessions")

    def __str__(self) -> str:
        return f"{self.user} {self.created:%Y-%m-%d %H:%M}"

    @property
    def is_live(self) -> bool:
        """Whether it has neither ended nor expired, and the user is active. Needs the user loaded."""
        return not self.is_over and self.user.is_active

    @property
    def is_over(self) -> bool:
        """Whether it has ended or expired."""
        return self.ended_at is not None or self.expires <= timezone.now()

    def reauthenticated(
        self, *, acr: str = "", amr: Sequence[str] = (), idp: str = "", expires: datetime | None = None
    ) -> None:
        """The same user has authenticated again: the session goes on, with a new ``auth_time``."""
        now = timezone.now()
        latest = now + options().user_session_lifetime
        self.auth_time, self.acr, self.amr, self.idp = now, acr, list(amr), idp
        self.last_seen, self.expires = now, min(expires or latest, latest)
        self.save(update_fields=["auth_time", "acr", "amr", "idp", "last_seen", "expires"])

    def touch(self, expires: datetime) -> None:
        """The browser was seen; written at most once a minute, and never beyond ``user_session_lifetime``."""
        now = timezone.now()
        if now - self.last_seen < _TOUCH_INTERVAL:
            return
        self.last_seen = now
        self.expires = min(expires, self.auth_time + options().user_session_lifetime)
        type(self).objects.filter(pk=self.pk, ended_at=None).update(last_seen=now, expires=self.expires)

    def end(self, reason: str) -> None:
        """End it and whatever is coordinated with it. Ending an ended session does nothing."""
        with transaction.atomic(using=router.db_for_write(type(self))):
            live = type(self).objects.filter(pk=self.pk, ended_at=None)
            if not live.update(ended_at=timezone.now(), end_reason=reason):
                return
            self.grants.revoke_coordinated(reason)
        self.refresh_from_db(fields=["ended_at", "end_reason"])
        signals.session_ended.send(sender=type(self), session=self, reason=reason)

    def take_part(self, client: Client) -> None:
        """Remember that ``client`` got an authorization in this session, with its logout URIs of now."""
        _ADD_CLIENT.run(
            SessionClient(
                session=self,
                client_id=client.pk,
                front_channel_logout_uri=client.front_channel_logout_uri,
                back_channel_logout_uri=client.back_channel_logout_uri,
            )
        )


class SessionClient(models.Model):
    """A client that took part in a session."""

    session = models.ForeignKey(UserSession, models.CASCADE, related_name="clients")
    client = models.ForeignKey(Client, models.CASCADE, related_name="+")
    front_channel_logout_uri = models.CharField(max_length=500, blank=True)
    back_channel_logout_uri = models.CharField(max_length=500, blank=True)
    created = models.DateTimeField(default=now)

    class Meta:
        verbose_name = _("client of a session")
        verbose_name_plural = _("clients of a session")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["session", "client"], name="identityserver_session_client_once")
        ]

    def __str__(self) -> str:
        return f"{self.client} in {self.session}"


@cache
def _find() -> Select:
    """Made on first use, when every model is loaded."""
    return Select(UserSession.objects.filter(sid=Parameter("sid")), "user")


_ADD_CLIENT = Insert(SessionClient, ignore_conflicts=True)
