"""``manage.py identityserver_clean_up``: delete what has expired; to be run every hour or so (RFC 6749 §4.1.2)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identityserver.clean_up import BATCH, MOST, clean_up, expired


class Command(BaseCommand):
    """Deletes expired rows in batches and prints how many there were."""

    help = "Delete what has expired and can no longer be needed. Safe to run on many nodes at once, and to break off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch-size", type=int, default=BATCH, help=f"Rows a statement, at most {MOST}.")
        parser.add_argument("--limit", type=int, help="Stop after about so many rows.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how much would be deleted.")

    def handle(self, *args: Any, batch_size: int, limit: int | None, dry_run: bool, **_: Any) -> None:
        if not 1 <= batch_size <= MOST:
            raise CommandError(f"--batch-size must be between 1 and {MOST}.")
        if limit is not None and limit < 1:
            raise CommandError("--limit must be 1 or more.")
        total, complete = 0, True
        for cleaned in expired() if dry_run else clean_up(batch=batch_size, limit=limit):
            total, complete = total + cleaned.count, complete and cleaned.complete
            self.stdout.write(f"{cleaned.name}: {cleaned.count}")
        self.stdout.write(f"{total} {'would be' if dry_run else 'were'} deleted.")
        if not complete:
            self.stdout.write("The limit is reached; there is more to delete.")
