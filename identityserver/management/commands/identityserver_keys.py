"""``manage.py identityserver_keys``: look at the signing keys and change them (OpenID Connect Core §10.1.1)."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from identityserver.configuration.rekey import rekey
from identityserver.encryption import REMEDY
from identityserver.models import SigningKey
from identityserver.tokens import rotation
from identityserver.tokens.keys import key_ring
from identityserver.vocabulary import Algorithm

#: Columns of ``list``: what they are called, and how wide they are.
_COLUMNS = (("key ID", 43), ("algorithm", 9), ("state", 18), ("announced", 17), ("signs from", 17), ("until", 17))

#: How help names one: argparse's own ``choices`` take no part in an argument that may be left out (bpo-9625).
_ALGORITHM = "{" + ",".join(Algorithm) + "}"

_MOMENTS = ("announced_at", "activates_at", "retires_at", "needed_until", "revoked_at", "deleted_at")


class Command(BaseCommand):
    """Lists, rotates, retires and revokes keys, and encrypts them anew."""

    help = "Look at the signing keys, have the next one take over, withdraw one, or encrypt them under another key."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="action")
        listing = actions.add_parser("list", help="Every key with its state and dates; no private half.")
        listing.add_argument("--json", action="store_true", help="For programs: everything, as a JSON array.")
        rotating = actions.add_parser("rotate", help="Announce the next key now, and have it take over.")
        rotating.add_argument(
            "algorithm", nargs="*", type=Algorithm, metavar=_ALGORITHM, help="Which; all that sign unless given."
        )
        rotating.add_argument(
            "--now",
            action="store_true",
            help="Take over as soon as everybody has the key who keeps the key set no longer than its Cache-Control "
            "says, instead of after key_announcement.",
        )
        retiring = actions.add_parser("retire", help="Stop signing with a key now; its tokens stay good.")
        revoking = actions.add_parser("revoke", help="A key is compromised: refuse everything that it signed.")
        for one in (retiring, revoking):
            one.add_argument("kid", help="Its key ID, or a beginning that no other has.")
        revoking.add_argument("--yes", action="store_true", help="Do not ask.")
        actions.add_parser("rekey", help="Encrypt private keys and secrets under the first of key_encryption_keys.")

    def handle(self, *args: Any, action: str, **given: Any) -> None:
        match action:
            case "list":
                self._list(as_json=given["json"])
            case "rotate":
                self._rotate(given["algorithm"], soon=given["now"])
            case "retire":
                self._retire(_key(given["kid"]))
            case "revoke":
                self._revoke(_key(given["kid"]), agreed=given["yes"])
            case "rekey":
                self._rekey()

    def _list(self, *, as_json: bool) -> None:
        keys = list(SigningKey.objects.all())
        if as_json:
            self.stdout.write(json.dumps([_described(key) for key in keys], indent=2))
            return
        if not keys:
            self.stdout.write("There is no key yet: the first request that needs one makes it.")
            return
        self.stdout.write("  ".join(f"{title:{width}}" for title, width in _COLUMNS).rstrip())
        for key in keys:
            self.stdout.write(_line(key))

    def _rotate(self, algorithms: list[Algorithm], *, soon: bool) -> None:
        for algorithm in map(Algorithm, algorithms or key_ring().algorithms):
            coming = rotation.rotate(algorithm, soon=soon)
            self.stdout.write(f"{algorithm}: {coming.kid} signs from {_moment(coming.activates_at)} on.")
            if not soon and coming.activates_at > timezone.now():
                self.stdout.write("  Until then it is only published. With --now that takes a minute or two.")

    def _retire(self, key: SigningKey) -> None:
        if not rotation.retire(key):
            raise CommandError(f"{key.kid} does not sign: {key.state_at(timezone.now()).label}.")
        self.stdout.write(f"{key.kid} signs no more, and is published until {_moment(key.needed_until)}.")
        self.stdout.write("Another key has taken its place; clients that do not know it yet fetch the key set again.")

    def _revoke(self, key: SigningKey, *, agreed: bool) -> None:
        for line in rotation.effect_of_revoking(key):
            self.stdout.write(line)
        if not agreed and _typed(f"Type the beginning of the key ID, {key.kid[:8]}, to revoke it: ") != key.kid[:8]:
            raise CommandError("Nothing was changed.")
        if not rotation.revoke(key):
            raise CommandError(f"{key.kid} was revoked before.")
        self.stdout.write(f"{key.kid} is revoked.")

    def _rekey(self) -> None:
        failed: list[str] = []
        for done in rekey():
            self.stdout.write(f"{done.name}: {done.changed} encrypted anew, {done.current} were current.")
            failed += [f"{done.name}: {row}" for row in done.undecryptable]
        if failed:
            raise CommandError("\n".join(["These cannot be decrypted:", *failed, REMEDY]))


def _key(beginning: str) -> SigningKey:
    found = list(SigningKey.objects.filter(kid__startswith=beginning)[:2]) if beginning else []
    if len(found) != 1:
        raise CommandError(f"{'Several keys begin' if found else 'No key begins'} with {beginning!r}.")
    return found[0]


def _typed(question: str) -> str:
    """The answer; none where nobody is there to give it, as in a job."""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def _line(key: SigningKey) -> str:
    cells = (
        key.kid,
        key.algorithm,
        key.state_at(timezone.now()).label,
        _moment(key.announced_at),
        _moment(key.activates_at),
        _moment(key.revoked_at or key.retires_at),
    )
    return "  ".join(f"{cell!s:{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True)).rstrip()


def _described(key: SigningKey) -> dict[str, Any]:
    moments = {name: moment.isoformat() if (moment := getattr(key, name)) else None for name in _MOMENTS}
    state = key.state_at(timezone.now())
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": state.value,
        **moments,
        "longest_lifetime": key.longest_lifetime,
        "public_jwk": key.public_jwk,
    }


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}"
