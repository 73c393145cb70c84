"""What this server does not support is refused by its own error, never silently ignored (OpenID Connect Core §6)."""

from identityserver.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    ProtocolError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
)
from identityserver.parameters import Parameters

_UNSUPPORTED: dict[str, type[ProtocolError]] = {
    "request": RequestNotSupported,
    "request_uri": RequestUriNotSupported,
    "registration": RegistrationNotSupported,
    "authorization_details": InvalidAuthorizationDetails,
    "dpop_jkt": InvalidRequest,
}


def refuse_unsupported(parameters: Parameters) -> None:
    """Check that the request asks for nothing that would be ignored to somebody's harm.

    Raises:
        ProtocolError: the error that the parameter's specification names.
    """
    for name, error in _UNSUPPORTED.items():
        if name in parameters:
            raise error(f"The parameter {name} is not supported.", parameter=name)
