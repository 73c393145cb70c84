"""Keeping an authorization request while a person signs in or consents: its parameters, as they came."""

from typing import Any

from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.parameters import Parameters

#: What is read of a request. Anything else is not kept: it may be a secret that was sent here by mistake.
_READ = frozenset(
    {
        "acr_values",
        "claims",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "display",
        "id_token_hint",
        "login_hint",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "state",
        "ui_locales",
    }
)

#: Where the repeatable parameters are kept: no parameter has an empty name.
_REPEATED = ""


def storable(parameters: Parameters) -> dict[str, Any]:
    """The parameters that are read, as JSON."""
    values = {name: value for name, value in parameters.items() if name in _READ}
    repeated = {name: list(entries) for name, entries in parameters.repeated.items() if name in _READ}
    return {**values, _REPEATED: repeated}


def restored(stored: StoredRequest) -> Parameters:
    """The parameters of a stored request, as they came."""
    values = dict(stored.parameters)
    repeated = {name: tuple(entries) for name, entries in values.pop(_REPEATED, {}).items()}
    return Parameters.of(values, repeated)
