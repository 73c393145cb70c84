"""``manage.py identityserver_create_client``: register a client from the command line."""

import argparse
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from identityserver import jose
from identityserver.client_authentication import METHODS
from identityserver.configuration.create import CreatedClient, NewClient, create_client
from identityserver.configuration.environment import environment_file
from identityserver.configuration.presets import PRESETS
from identityserver.vocabulary import GrantType

#: Options whose names do not follow from the fields they set.
_OPTIONS = {"token_endpoint_auth_method": "auth-method", "jwks": "jwks-file"}


class Command(BaseCommand):
    """Creates one client and prints what its developer has to configure."""

    help = "Register a client. Its secret is printed once."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": presets_help(), "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--preset", required=True, choices=PRESETS, help="The kind of software; see below.")
        parser.add_argument("--name", required=True, help="The name people see when they sign in.")
        parser.add_argument("--client-id", default="", help="Its identifier; a random one unless given.")
        for option in ("--redirect-uri", "--post-logout-redirect-uri"):
            parser.add_argument(
                option,
                action="append",
                default=[],
                metavar="URI",
                help="May be repeated; matched as a whole string.",
            )
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            help="What it may ask for; may be repeated. offline_access lets it have refresh tokens.",
        )
        parser.add_argument(
            "--require-consent",
            action="store_true",
            help="Ask people before it gets anything: for third parties.",
        )
        parser.add_argument(
            "--auth-method",
            default="",
            choices=list(METHODS),
            help="How it authenticates; as the preset says unless given.",
        )
        parser.add_argument("--jwks-file", type=Path, help="A file with its public keys, as a JSON Web Key Set.")
        parser.add_argument("--jwks-uri", default="", metavar="URI", help="Where it publishes its public keys instead.")

    def handle(self, *args: Any, **given: Any) -> None:
        wanted = NewClient(
            preset=PRESETS[given["preset"]],
            name=given["name"],
            client_id=given["client_id"],
            redirect_uris=given["redirect_uri"],
            post_logout_redirect_uris=given["post_logout_redirect_uri"],
            scopes=" ".join(given["scope"]).split(),
            require_consent=given["require_consent"],
            auth_method=given["auth_method"],
            jwks=key_set_in(given["jwks_file"]) if given["jwks_file"] else None,
            jwks_uri=given["jwks_uri"],
        )
        try:
            self.stdout.write(summary(create_client(wanted)))
        except ValidationError as error:
            raise CommandError("\n".join(problems(error))) from error


def presets_help() -> str:
    """The presets with their descriptions, for ``--help``."""
    return "presets:\n" + "\n".join(f"  {preset.name:9} {preset.description}" for preset in PRESETS.values())


def problems(error: ValidationError) -> list[str]:
    """The messages of a validation error, each after the option it is about."""
    return [
        message if field == "__all__" else f"--{option_of(field)}: {message}"
        for field, messages in error.message_dict.items()
        for message in messages
    ]


def key_set_in(file: Path) -> dict[str, Any]:
    """The JSON object that a file holds; whether it is a key set is asked with everything else."""
    try:
        return jose.read_object(file.read_bytes())
    except (OSError, jose.InvalidJws) as error:
        raise CommandError(f"--jwks-file: {file} cannot be read. {error}") from error


def option_of(field: str) -> str:
    """The option that sets a field of the model: ``redirect-uri`` for ``redirect_uris``."""
    if field in _OPTIONS:
        return _OPTIONS[field]
    return field.removesuffix("s").replace("_", "-")


def summary(created: CreatedClient) -> str:
    """What to put into the client's configuration, as lines of a ``.env`` file with a comment on top."""
    client = created.client
    if created.secret:
        remark = "# The secret is shown only now."
    elif not client.is_public:
        remark = "# It has no secret: it signs what it says with its private key."
    elif GrantType.AUTHORIZATION_CODE in client.allowed_grant_types:
        remark = "# A public client: it has no secret, and proves itself with PKCE."
    else:
        remark = "# A public client: it has no secret."
    return "\n".join([f"# {client.name}", environment_file(client, created.secret), remark])
