"""``python manage.py demo``: the provider and an application that uses it, ready to sign in."""

import argparse
import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.files import locks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from example_project.demo import seeds
from example_project.demo.directory import demo_directory, kept_secret, write_private
from example_project.demo.ports import free_port
from example_project.demo.processes import (
    Server,
    Stopped,
    signals_raise_stopped,
    stopping,
    wait_until_one_ends,
    wait_until_ready,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Places:
    """Where the two servers are. Their host names differ, since cookies do not tell ports apart."""

    provider_port: int
    relying_party_port: int

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.provider_port}"

    @property
    def relying_party(self) -> str:
        return f"http://127.0.0.1:{self.relying_party_port}"


class AlreadyRunning(Exception):  # an answer, not an error
    """Another process serves this demo."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class Command(BaseCommand):
    """Prepares the data, starts both servers on the loopback interface, and waits for Ctrl-C."""

    help = "Start the identity provider, and an application to sign in to, on this machine."
    requires_system_checks: list[str] = []  # they look at tables that may not be there yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=port_number, default=8000, help="The provider's port (default: %(default)s)."
        )
        parser.add_argument(
            "--relying-party-port",
            type=port_number,
            default=8001,
            help="The application's port (default: %(default)s).",
        )
        parser.add_argument("--new-password", action="store_true", help="Give both accounts a new password.")

    def handle(self, *args: Any, **given: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo speaks plain http, to this machine only. It runs with DEBUG on.")
        try:
            with signals_raise_stopped(), only_one() as tell_where:
                self.run_demo(given, tell_where)
        except AlreadyRunning as running:
            self.show_running(running.url, new_passwords=given["new_password"])
        except Stopped:
            self.stdout.write("\nStopped.")

    def run_demo(self, given: Mapping[str, Any], tell_where: "TellWhere") -> None:
        places = self.choose_places(given["port"], given["relying_party_port"])
        tell_where(places.relying_party)
        passwords, client_secret = prepare(places, new_passwords=given["new_password"])
        servers = [
            provider(places, given["verbosity"]),
            relying_party(places, client_secret, given["verbosity"]),
        ]
        with stopping(servers):
            self.wait_for(servers)
            self.show_welcome(places, passwords)
            ended = wait_until_one_ends(servers)
        raise CommandError(f"The {ended.name} ended unexpectedly; its messages are above.")

    def choose_places(self, provider_port: int, relying_party_port: int) -> Places:
        first = self.choose_port("provider", provider_port)
        return Places(
            provider_port=first,
            relying_party_port=self.choose_port("application", relying_party_port, taken=[first]),
        )

    def choose_port(self, name: str, wanted: int, *, taken: Collection[int] = ()) -> int:
        try:
            port = free_port(wanted, taken=taken)
        except OSError as error:
            raise CommandError(str(error)) from error
        if port != wanted:
            self.stdout.write(self.style.WARNING(f"Port {wanted} is in use, so the {name} takes {port}."))
        return port

    def wait_for(self, servers: list[Server]) -> None:
        try:
            wait_until_ready(servers)
        except RuntimeError as error:
            raise CommandError(str(error)) from error

    def show_welcome(self, places: Places, passwords: Mapping[str, str]) -> None:
        strong = self.style.SUCCESS
        self.say(
            "",
            f"  Open   {strong(places.relying_party)}   and sign in: an application that uses the provider",
            f"         {places.issuer}   the provider itself; its admin is at {places.issuer}/admin/",
            "",
            *self.credentials(passwords),
            "",
            f"  Everything is kept in {demo_directory()}; delete that folder to begin anew.",
            "  Stop with Ctrl-C.",
            "",
        )

    def show_running(self, url: str, *, new_passwords: bool) -> None:
        passwords = seeds.seed_accounts(new_passwords=True) if new_passwords else {}
        self.say("", f"  The demo is already running: open {self.style.SUCCESS(url)}", "")
        self.say(*self.credentials(passwords), "")

    def credentials(self, passwords: Mapping[str, str]) -> list[str]:
        if not passwords:
            return ["  Passwords were shown when they were made. New ones: python manage.py demo --new-password"]
        lines = [f"  {name:6} {self.style.SUCCESS(password)}" for name, password in passwords.items()]
        return ["  Accounts, with passwords that are shown only now:", *lines]

    def say(self, *lines: str) -> None:
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


class TellWhere:
    """Notes in the lock's file where the demo runs, for whoever finds it locked."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __call__(self, url: str) -> None:
        self.file.truncate(0)
        self.file.write(url)
        self.file.flush()


def port_number(text: str) -> int:
    """A port as somebody types it."""
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 1 to 65535.")
    return int(text)


@contextmanager
def only_one() -> Iterator[TellWhere]:
    """Hold the lock of the demo's folder; the system lets go of it when the process ends, however it ends.

    Raises:
        AlreadyRunning: another process holds it.
    """
    with (demo_directory() / "running").open("a+", encoding="ascii") as file:
        if not locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
            file.seek(0)
            raise AlreadyRunning(file.read())
        yield TellWhere(file)


def prepare(places: Places, *, new_passwords: bool) -> tuple[dict[str, str], str]:
    """Bring the database up to date.

    Returns:
        The passwords that were generated, by user name, and the client's secret.
    """
    call_command("migrate", verbosity=0, interactive=False)
    passwords = seeds.seed_accounts(new_passwords=new_passwords)
    seeds.seed_api()
    kept = demo_directory() / "client_secret"
    if secret := seeds.seed_client(places.relying_party, secret_is_kept=kept.exists()):
        write_private(kept, secret)
    connections.close_all()
    return passwords, kept.read_text(encoding="utf-8")


def provider(places: Places, verbosity: int) -> Server:
    return Server(
        name="provider",
        application="example_project.wsgi:application",
        port=places.provider_port,
        path="/.well-known/openid-configuration",
        environment={"ISSUER": places.issuer},
        log_requests=verbosity > 1,
    )


def relying_party(places: Places, client_secret: str, verbosity: int) -> Server:
    return Server(
        name="application",
        application="example_project.relying_party.wsgi:application",
        port=places.relying_party_port,
        path="/",
        environment={
            "DJANGO_SETTINGS_MODULE": "example_project.relying_party.settings",
            "SECRET_KEY": kept_secret("relying_party_secret_key"),
            "SESSION_DIRECTORY": str(demo_directory() / "relying_party_sessions"),
            "OIDC_ISSUER": places.issuer,
            "OIDC_CLIENT_ID": seeds.CLIENT_ID,
            "OIDC_CLIENT_SECRET": client_secret,
            "NOTES_API": f"{places.issuer}/api/notes",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "localhost,127.0.0.1"])),
        },
        log_requests=verbosity > 1,
    )
