"""Response types and modes (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode)."""

from identityserver.errors import InvalidRequest, UnauthorizedClient, UnsupportedResponseType
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import GrantType, ResponseMode, ResponseType

#: What is supported; discovery derives from this.
RESPONSE_TYPES = (ResponseType.CODE,)


def read_response_mode(parameters: Parameters) -> ResponseMode:
    """The mode asked for, or else that of the code flow.

    Raises:
        InvalidRequest: it is unknown.
    """
    asked = parameters.get("response_mode", "")
    if not asked:
        return ResponseMode.QUERY
    try:
        return ResponseMode(asked)
    except ValueError:
        raise InvalidRequest("The response_mode is not supported.", parameter="response_mode") from None


def read_response_type(client: Client, parameters: Parameters) -> ResponseType:
    """The response type, where this client may use it.

    Raises:
        InvalidRequest: it is missing.
        UnsupportedResponseType: nobody may use it.
        UnauthorizedClient: this client may not (RFC 6749 §4.1.2.1).
    """
    asked = parameters["response_type"]
    known = {response_type.value: response_type for response_type in RESPONSE_TYPES}
    if asked not in known:
        raise UnsupportedResponseType("The response_type is not supported.", parameter="response_type")
    if asked not in client.response_types or GrantType.AUTHORIZATION_CODE not in client.allowed_grant_types:
        raise UnauthorizedClient("The client may not use this response_type.", parameter="response_type")
    return known[asked]
