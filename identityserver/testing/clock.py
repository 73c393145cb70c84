"""A clock that stands still until it is told to go on."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone


class Clock:
    """Replaces ``django.utils.timezone.now``, which is where the app and Django take the time from."""

    def __init__(self, moment: datetime | None = None) -> None:
        self.moment = moment or timezone.now().replace(microsecond=0)

    def now(self) -> datetime:
        """The time on this clock."""
        return self.moment

    def forward(self, **duration: float) -> datetime:
        """Move on by a ``timedelta`` of these arguments, such as ``minutes=5``."""
        self.moment += timedelta(**duration)
        return self.moment

    @property
    def replacement(self) -> Callable[[], datetime]:
        """What ``timezone.now`` becomes."""
        return self.now
