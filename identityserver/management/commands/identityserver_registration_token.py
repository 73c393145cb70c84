"""``manage.py identityserver_registration_token``: a token that lets its bearer register clients (RFC 7591 §3)."""

import argparse
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from identityserver.conf import options
from identityserver.models import InitialAccessToken
from identityserver.vocabulary import RegistrationMode

_MOST_USES, _MOST_DAYS = 2**31 - 1, 3653
_LONGEST_DESCRIPTION = 200


class Command(BaseCommand):
    """Prints the token alone, so that a script can take it; what there is to say goes to stderr."""

    help = "Make an initial access token, with which clients can be registered. It is printed once and not stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--uses", type=up_to(_MOST_USES), help="How many clients it may register; else any number.")
        parser.add_argument("--days", type=up_to(_MOST_DAYS), help="When it expires; otherwise never.")
        parser.add_argument("--description", default="", help="Whom it is for.")

    def handle(self, *args: Any, **given: Any) -> None:
        if len(given["description"]) > _LONGEST_DESCRIPTION:
            raise CommandError(f"--description: at most {_LONGEST_DESCRIPTION} characters.")
        expires = timezone.now() + timedelta(days=given["days"]) if given["days"] else None
        _, value = InitialAccessToken.objects.issue(
            description=given["description"], expires=expires, uses=given["uses"]
        )
        self.stdout.write(value)
        self.stderr.write(remark(given["uses"], expires))
        if options().registration == RegistrationMode.OFF:
            self.stderr.write("It is of no use yet: the option registration is off.")


def up_to(most: int) -> Callable[[str], int]:
    """A reader of whole numbers from 1 to ``most``."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    return read


def remark(uses: int | None, expires: datetime | None) -> str:
    """What the token is good for."""
    clients = "any number of clients" if uses is None else f"{uses} client{'s' if uses > 1 else ''}"
    until = f" until {expires:%Y-%m-%d %H:%M} UTC" if expires is not None else ""
    return f"The token lets its bearer register {clients}{until}. It is shown only now: it is not stored."
