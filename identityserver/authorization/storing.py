"""Keeping an authorization request while a person signs in or consents: its parameters, as they came."""

from typing import Any

from identityserver.models import AuthorizationRequest as StoredRequest
from identityserver.parameters import Parameters

#: Where the repeatable parameters are kept: no parameter has an empty name.
_REPEATED = ""


def storable(parameters: Parameters) -> dict[str, Any]:
    """The parameters as JSON."""
    return {**parameters, _REPEATED: {name: list(entries) for name, entries in parameters.repeated.items()}}


def restored(stored: StoredRequest) -> Parameters:
    """The parameters of a stored request, as they came."""
    values = dict(stored.parameters)
    repeated = {name: tuple(entries) for name, entries in values.pop(_REPEATED, {}).items()}
    return Parameters.of(values, repeated)
