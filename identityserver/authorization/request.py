"""Reading an authorization request: what it asks for, validated in an order that can be seen."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from identityserver.authorization.claims_request import asked_subjects, read_claims
from identityserver.authorization.client import identify_client, match_redirect_uri, read_code_challenge
from identityserver.authorization.prompt import read_max_age, read_prompt
from identityserver.authorization.request_object import refuse_unsupported
from identityserver.authorization.response_type import (
    default_response_mode,
    read_response_mode,
    read_response_type,
)
from identityserver.clients import judge_client
from identityserver.errors import InvalidScope, ProtocolError
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.scopes import Resources, resolve
from identityserver.tokens.verify import verify_id_token_hint
from identityserver.vocabulary import Prompt, ResponseMode, ResponseType, Scope


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the answer goes, once client and redirect URI are trusted."""

    redirect_uri: str
    response_mode: ResponseMode
    state: str


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request.

    Attributes:
        max_age: seconds since the user must have authenticated, or ``None``.
        subjects: the ``sub`` of those whom a verified id_token_hint and the claims parameter allow; ``None``
            for anybody.
        parameters: everything as received, for storing.
    """

    client: Client
    destination: Destination
    redirect_uri_was_sent: bool
    response_type: ResponseType
    resources: Resources
    nonce: str
    code_challenge: str
    prompt: frozenset[Prompt]
    max_age: int | None
    login_hint: str
    subjects: frozenset[str] | None
    ui_locales: tuple[str, ...]
    claims: Mapping[str, Any]
    parameters: Parameters


class RedirectableError(ProtocolError):
    """A protocol error with the client it may be sent to."""

    def __init__(self, error: ProtocolError, destination: Destination) -> None:
        super().__init__(error.description)
        self.error = error
        self.destination = destination


def read_authorization_request(parameters: Parameters) -> AuthorizationRequest:
    """The request that ``parameters`` make.

    Raises:
        ProtocolError: client or redirect URI cannot be trusted; for the person only.
        RedirectableError: anything else is wrong; for the client.
    """
    return judge_client(parameters["client_id"], partial(_read, parameters))


def _read(parameters: Parameters, found: Client | None) -> AuthorizationRequest:
    client = identify_client(found)
    redirect_uri = match_redirect_uri(client, parameters)
    with errors_sent_to(redirect_uri, parameters) as destination:
        refuse_unsupported(parameters)
        claims = read_claims(parameters)
        response_type = read_response_type(client, parameters)
        return AuthorizationRequest(
            client=client,
            destination=destination,
            redirect_uri_was_sent="redirect_uri" in parameters,
            response_type=response_type,
            resources=_read_resources(client, parameters, response_type),
            nonce=parameters.get("nonce", ""),
            code_challenge=read_code_challenge(client, parameters) if response_type.gives_code else "",
            prompt=read_prompt(parameters),
            max_age=read_max_age(client, parameters),
            login_hint=parameters.get("login_hint", ""),
            subjects=_read_subjects(parameters, claims),
            ui_locales=parameters.words("ui_locales"),
            claims=claims,
            parameters=parameters,
        )


@contextmanager
def errors_sent_to(redirect_uri: str, parameters: Parameters) -> Iterator[Destination]:
    """Errors raised in here go to the client, since it and its redirect URI are trusted."""
    state = parameters.get("state", "")
    destination = Destination(redirect_uri=redirect_uri, response_mode=default_response_mode(parameters), state=state)
    try:
        destination = Destination(redirect_uri=redirect_uri, response_mode=read_response_mode(parameters), state=state)
        yield destination
    except ProtocolError as error:
        raise RedirectableError(error, destination) from error


def _read_resources(client: Client, parameters: Parameters, response_type: ResponseType) -> Resources:
    names = parameters.words("scope")
    if not response_type.gives_code:  # without a code there is no refresh token (OpenID Connect Core §11)
        names = tuple(name for name in names if name != Scope.OFFLINE_ACCESS)
    if not names:
        raise InvalidScope("The parameter scope is missing.", parameter="scope")
    return resolve(client, names, parameters.repeated.get("resource", ()))


def _read_subjects(parameters: Parameters, claims: Mapping[str, Any]) -> frozenset[str] | None:
    allowed = asked_subjects(claims)
    if hint := parameters.get("id_token_hint", ""):
        allowed.append(frozenset({str(verify_id_token_hint(hint)["sub"])}))
    return frozenset.intersection(*allowed) if allowed else None
