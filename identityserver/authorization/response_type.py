"""Response types and modes (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode)."""

from identityserver.conf import options
from identityserver.errors import InvalidRequest, UnauthorizedClient, UnsupportedResponseType
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import GrantType, ResponseMode, ResponseType, Scope

#: Those that put no access token into the browser, for clients that register them.
RESPONSE_TYPES = (ResponseType.CODE, ResponseType.CODE_ID_TOKEN)


def served_response_types() -> tuple[ResponseType, ...]:
    """Every response type of this deployment; discovery derives from this.

    Implicit ones, and those with an access token, are off unless ``optional_grant_types`` names ``implicit``.
    """
    return tuple(ResponseType) if GrantType.IMPLICIT in options().optional_grant_types else RESPONSE_TYPES


def read_response_mode(parameters: Parameters) -> ResponseMode:
    """The mode asked for, or else the default of what is asked for: the fragment, where tokens are.

    Raises:
        InvalidRequest: it is unknown, or would put tokens into the query (Multiple Response Types §3).
    """
    asked, default = parameters.get("response_mode", ""), default_response_mode(parameters)
    if asked not in {"", *ResponseMode}:
        raise InvalidRequest("The response_mode is not supported.", parameter="response_mode")
    if asked == ResponseMode.QUERY and default != ResponseMode.QUERY:
        raise InvalidRequest("Tokens are never sent in a query string.", parameter="response_mode")
    return ResponseMode(asked) if asked else default


def default_response_mode(parameters: Parameters) -> ResponseMode:
    """How the response is sent unless the request says otherwise (Multiple Response Types §2.1)."""
    has_tokens = {"token", "id_token"} & set(parameters.words("response_type"))
    return ResponseMode.FRAGMENT if has_tokens else ResponseMode.QUERY


def read_response_type(client: Client, parameters: Parameters) -> ResponseType:
    """The response type, where this client may use it.

    Raises:
        InvalidRequest: it is missing, or comes without the nonce that its ID token needs (OpenID Connect Core
            §3.2.2.1, §3.3.2.11), or asks for an ID token without the scope openid.
        UnsupportedResponseType: nobody may use it.
        UnauthorizedClient: this client may not (RFC 6749 §4.1.2.1).
    """
    asked = _named(parameters["response_type"])
    if asked not in served_response_types():
        raise UnsupportedResponseType("The response_type is not supported.", parameter="response_type")
    if not _is_allowed(client, asked):
        raise UnauthorizedClient("The client may not use this response_type.", parameter="response_type")
    if asked.gives_id_token and not parameters.get("nonce", ""):
        raise InvalidRequest("This response_type needs a nonce.", parameter="nonce")
    if asked.gives_id_token and Scope.OPENID not in parameters.words("scope"):
        raise InvalidRequest("An ID token needs the scope openid.", parameter="scope")
    return asked


def _named(value: str) -> ResponseType:
    """The response type of these words, in whatever order (RFC 6749 §3.1.1)."""
    words = sorted(value.split(" "))
    found = next((known for known in ResponseType if sorted(known.split()) == words), None)
    if found is None:
        raise UnsupportedResponseType("The response_type is not supported.", parameter="response_type")
    return found


def _is_allowed(client: Client, asked: ResponseType) -> bool:
    """Whether the client registered it, with the grant type that belongs to it (RFC 7591 §2.1)."""
    grant_type = GrantType.AUTHORIZATION_CODE if asked.gives_code else GrantType.IMPLICIT
    return (
        sorted(asked.split()) in [sorted(registered.split()) for registered in client.response_types]
        and grant_type in client.allowed_grant_types
        and (client.allow_access_tokens_via_browser or not asked.gives_access_token)
    )
