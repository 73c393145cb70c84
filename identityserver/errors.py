"""The tree of protocol errors.

Raised anywhere and converted in three places only: to JSON by ``endpoints/base.py``, to a redirect or
an error page by ``endpoints/authorization.py``, and to an error page by ``pages/base.py``. An error is its
class; the text says what to fix.

Sources: RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6, RFC 8628 §3.5,
RFC 8707 §2.
"""

import re
import secrets
from typing import ClassVar

#: What RFC 6749 §5.2 does not allow in an error_description.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_REFERENCE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


class ProtocolError(Exception):
    """A request that is refused.

    Args:
        description: sent to the client; a sentence that says what to fix, without a secret.
        detail: for staff only, kept in the event log.
        parameter: the request parameter at fault, where there is one.

    ``reference`` is the opaque word that joins what the client sees with the event log.
    """

    code: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400
    clause: ClassVar[str] = "RFC 6749 §5.2"
    remedy: ClassVar[str] = "Compare the request with the client's registration."

    #: Whether it is a step of a flow that goes well, so that staff have nothing to hear of.
    is_ordinary: ClassVar[bool] = False

    #: Seconds after which another try makes sense, where it does (RFC 9110 §10.2.3).
    retry_after: int | None = None

    def __init__(self, description: str = "", *, detail: str = "", parameter: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.detail = detail
        self.parameter = parameter
        self.reference = "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(10))

    @property
    def error_description(self) -> str:
        """The description as it is sent: RFC 6749 §5.2 characters only, with the reference in it."""
        text = _NOT_ALLOWED.sub("?", self.description.replace('"', "'"))
        return f"{text} (reference {self.reference})".lstrip()


class InvalidRequest(ProtocolError):
    """A parameter is missing, malformed, repeated or not allowed here."""

    clause = "RFC 6749 §4.1.2.1, §5.2"


class UnsupportedMediaType(InvalidRequest):
    """The body is of another media type than the endpoint reads (RFC 9110 §15.5.16)."""

    status = 415
    clause = "RFC 6749 §3.2, RFC 9110 §15.5.16"
    remedy = "Send the body in the media type that the description names."


class ContentTooLarge(InvalidRequest):
    """The body is larger than the site takes (RFC 9110 §15.5.14)."""

    status = 413
    clause = "RFC 9110 §15.5.14"
    remedy = "Send less, or raise DATA_UPLOAD_MAX_MEMORY_SIZE."


class MethodNotAllowed(InvalidRequest):
    """The endpoint does not know the HTTP method (RFC 9110 §15.5.6)."""

    status = 405
    clause = "RFC 6749 §3.2, RFC 9110 §15.5.6"
    remedy = "Use a method named in the Allow header."


class RequestAnswered(InvalidRequest):
    """A pending request was answered already, has expired, or belongs to another browser."""

    clause = "RFC 9700 §4.7"
    remedy = "Nothing to mend: the person starts again at the application."


class InvalidClient(ProtocolError):
    """Client authentication failed; unknown client and wrong secret read the same."""

    code = "invalid_client"
    status = 401
    remedy = "Check the client_id, its secret and its token_endpoint_auth_method; look for an expired secret."


class InvalidGrant(ProtocolError):
    """The code or refresh token is not (or no longer) good for this client."""

    code = "invalid_grant"
    remedy = "Send the user through authorization again."


class UnauthorizedClient(ProtocolError):
    """The client may not use this grant type or response type."""

    code = "unauthorized_client"
    clause = "RFC 6749 §4.1.2.1, §5.2"
    remedy = "Allow the grant type on the client's page in the admin."


class UnsupportedGrantType(ProtocolError):
    """The server does not know the grant type."""

    code = "unsupported_grant_type"
    remedy = "Use a grant type that discovery lists in grant_types_supported."


class UnsupportedTokenType(ProtocolError):
    """What was presented cannot be revoked."""

    code = "unsupported_token_type"
    clause = "RFC 7009 §2.2.1"
    remedy = "Revoke the access token or the refresh token."


class InvalidScope(ProtocolError):
    """A scope is unknown, or the client may not ask for it."""

    code = "invalid_scope"
    clause = "RFC 6749 §3.3, §5.2"
    remedy = "Allow the scope on the client's page in the admin, or leave it out."


class InvalidTarget(ProtocolError):
    """The resource is unknown, or not one of those granted."""

    code = "invalid_target"
    clause = "RFC 8707 §2"
    remedy = "Ask for an API resource that has a scope among those requested."


class RequestNotSupported(ProtocolError):
    """Request objects by value are not supported."""

    code = "request_not_supported"
    clause = "OpenID Connect Core §6.1, §3.1.2.6"
    remedy = "Send the parameters themselves."


class RequestUriNotSupported(ProtocolError):
    """Request objects by reference are not supported."""

    code = "request_uri_not_supported"
    clause = "OpenID Connect Core §6.2, §3.1.2.6"
    remedy = "Send the parameters themselves."


class RegistrationNotSupported(ProtocolError):
    """The ``registration`` parameter is not supported."""

    code = "registration_not_supported"
    clause = "OpenID Connect Core §7.2.1, §3.1.2.6"
    remedy = "Register the client first."


class InvalidAuthorizationDetails(ProtocolError):
    """No authorization details type is supported."""

    code = "invalid_authorization_details"
    clause = "RFC 9396 §5"
    remedy = "Ask by scope."


class UnsupportedResponseType(ProtocolError):
    """The server does not know the response type."""

    code = "unsupported_response_type"
    clause = "RFC 6749 §4.1.2.1"
    remedy = "Use a response type that discovery lists in response_types_supported."


class AccessDenied(ProtocolError):
    """The user, or an access policy, said no."""

    code = "access_denied"
    status = 403
    clause = "RFC 6749 §4.1.2.1"
    remedy = "The user may try again and allow; or look at the client's allowed groups."


class LoginRequired(ProtocolError):
    """``prompt=none``, and the user must sign in."""

    code = "login_required"
    clause = "OpenID Connect Core §3.1.2.6"
    remedy = "Ask again without prompt=none."


class ConsentRequired(ProtocolError):
    """``prompt=none``, and the user must consent."""

    code = "consent_required"
    clause = "OpenID Connect Core §3.1.2.6"
    remedy = "Ask again without prompt=none."


class UnmetAuthenticationRequirements(ProtocolError):
    """An essential ``acr`` cannot be met."""

    code = "unmet_authentication_requirements"
    clause = "OpenID Connect Core Unmet Authentication Requirements 1.0 §2"
    remedy = "Ask for an acr that the site's authentication_contexts option can give."


class InvalidToken(ProtocolError):
    """A bearer token is expired, revoked, malformed or not meant for this resource."""

    code = "invalid_token"
    status = 401
    clause = "RFC 6750 §3.1"
    remedy = "Get a new access token."


class MissingToken(InvalidToken):
    """No bearer token was presented: the challenge then names no error (RFC 6750 §3.1)."""

    remedy = "Send the access token in the Authorization header."


class InsufficientScope(ProtocolError):
    """A bearer token lacks the scope that the resource needs."""

    code = "insufficient_scope"
    status = 403
    clause = "RFC 6750 §3.1"
    remedy = "Ask for an access token with the scope."


class InvalidRedirectUri(ProtocolError):
    """A redirect URI cannot be registered."""

    code = "invalid_redirect_uri"
    clause = "RFC 7591 §3.2.2"
    remedy = "The client's developer registers other redirect URIs, or another application_type."


class InvalidClientMetadata(ProtocolError):
    """A member of the client metadata is malformed, unsupported, or contradicts another."""

    code = "invalid_client_metadata"
    clause = "RFC 7591 §3.2.2"
    remedy = "The client's developer corrects the member that the description names."


class InvalidSoftwareStatement(ProtocolError):
    """The software statement is malformed, or its signature is wrong."""

    code = "invalid_software_statement"
    clause = "RFC 7591 §3.2.2"
    remedy = "Register without a software statement, or with one that the registration_policy can verify."


class UnapprovedSoftwareStatement(ProtocolError):
    """The software statement is of nobody whose statements count here."""

    code = "unapproved_software_statement"
    clause = "RFC 7591 §3.2.2"
    remedy = "Register without a software statement; or have the registration_policy verify it and take it out."


class NotOffered(InvalidRequest):
    """The endpoint is switched off."""

    status = 404
    clause = "RFC 9110 §15.5.5"
    remedy = "Set the option that switches the endpoint on, where it is wanted."


class SlowDown(ProtocolError):
    """Too many attempts from one sender."""

    code = "slow_down"
    status = 429
    clause = "RFC 6585 §4"
    remedy = "Wait as long as Retry-After says."

    def __init__(self, description: str = "", *, retry_after: int, detail: str = "") -> None:
        super().__init__(description, detail=detail)
        self.retry_after = retry_after


class AuthorizationPending(ProtocolError):
    """Nobody has decided yet; the client polls again."""

    code = "authorization_pending"
    clause = "RFC 8628 §3.5"
    remedy = "Nothing to mend: a person has yet to answer."
    is_ordinary = True


class PollingTooFast(AuthorizationPending):
    """Nobody has decided yet, and the client polls more often than it was told; from now on it waits longer."""

    code = "slow_down"
    remedy = "The client must wait for its interval between polls, and five seconds more after each slow_down."


class ExpiredToken(ProtocolError):
    """The device code has expired before anybody allowed it."""

    code = "expired_token"
    clause = "RFC 8628 §3.5"
    remedy = "Start again on the device."


class RefusedByUser(AccessDenied):
    """The user said no, which a poll is told by the status of the token endpoint (RFC 6749 §5.2)."""

    status = 400
    clause = "RFC 8628 §3.5"


class TemporarilyUnavailable(ProtocolError):
    """The database or a key cannot be reached: say so, and never an untrue definite answer."""

    code = "temporarily_unavailable"
    status = 503
    clause = "RFC 6749 §4.1.2.1, RFC 9110 §15.6.4"
    remedy = "Look at the database and the key encryption keys; see the log for the cause."
    retry_after = 5


class ClientKeysUnavailable(ProtocolError):
    """The client's jwks_uri cannot be read, so nobody can say whether the client is who it says it is."""

    code = "temporarily_unavailable"
    status = 503
    retry_after = 60
    clause = "RFC 7591 §2, OpenID Connect Core §10.1.1"
    remedy = "Look whether the client's jwks_uri answers with its keys, and whether outbound_* options allow it."


class ServerError(ProtocolError):
    """An unforeseen fault; the log has the traceback."""

    code = "server_error"
    status = 503
    clause = "RFC 6749 §4.1.2.1"
    remedy = "Look for the reference in the log."
    retry_after = 5
