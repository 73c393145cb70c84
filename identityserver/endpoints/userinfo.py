"""UserInfo (OpenID Connect Core §5.3, RFC 6750)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from identityserver.clients import find_client
from identityserver.conf import options
from identityserver.endpoints.base import FORM, ProtocolEndpoint, body_of, error_response, json_response, report
from identityserver.errors import (
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    MissingToken,
    ProtocolError,
    UnsupportedMediaType,
)
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.scopes import resolve
from identityserver.tokens.claims import claims_of, requested_claims, scope_claims
from identityserver.tokens.keys import key_ring, signer
from identityserver.tokens.live import live_token
from identityserver.vocabulary import Scope, SubjectType, TokenType
from identityserver.web.headers import no_store

#: For how long a signed response may be verified, which it is at once.
_SECONDS_OF_USE = 300


class UserInfoEndpoint(ProtocolEndpoint):
    """Claims about the user who allowed the access token."""

    name = "userinfo"
    path = "connect/userinfo"
    cross_origin: ClassVar[bool] = True

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """OpenID Connect Discovery §3."""
        return {
            "userinfo_endpoint": cls.url(),
            "userinfo_signing_alg_values_supported": list(key_ring().algorithms),
            "subject_types_supported": [subject_type.value for subject_type in SubjectType],
            "claim_types_supported": ["normal"],
        }

    def get(self, request: HttpRequest) -> HttpResponse:
        """The token in the Authorization header (RFC 6750 §2.1)."""
        return _userinfo(_token(request, Parameters({})))

    def post(self, request: HttpRequest) -> HttpResponse:
        """The token in the header, or in a form body (RFC 6750 §2.2)."""
        if request.content_type not in {"", FORM} and body_of(request):
            raise UnsupportedMediaType(f"The body must be {FORM}.")
        form = Parameters.parse(body_of(request))
        return _userinfo(_token(request, form))

    def refuse(self, request: HttpRequest, error: ProtocolError) -> HttpResponse:
        """The error in the body and in WWW-Authenticate (RFC 6750 §3); without a token only the scheme."""
        report(request, error, self.name)
        response = error_response(error)
        if error.status in {400, 401, 403}:
            said = (
                ""
                if isinstance(error, MissingToken)
                else f', error="{error.code}", error_description="{error.error_description}"'
            )
            response["WWW-Authenticate"] = f'Bearer realm="userinfo"{said}'
        return response


def _token(request: HttpRequest, form: Parameters) -> str:
    """The bearer token, presented in exactly one way; never in the query (RFC 9700 §4.3.2)."""
    if "access_token" in Parameters.parse(request.META.get("QUERY_STRING", "")):
        raise InvalidRequest("The access token must not be in the query string.", parameter="access_token")
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    in_header = credentials.strip() if scheme.lower() == "bearer" else ""
    in_body = form.get("access_token", "")
    if in_header and in_body:
        raise InvalidRequest("The access token is presented in two ways.", parameter="access_token")
    if not (in_header or in_body):
        raise MissingToken("An access token is needed.")
    return in_header or in_body


def _userinfo(presented: str) -> HttpResponse:
    """JSON, or signed where the client registered that (§5.3.2)."""
    client, claims = _claims(presented)
    algorithm = client.userinfo_signed_response_alg
    return _signed(client, claims, algorithm) if algorithm else json_response(claims)


def _signed(client: Client, claims: Mapping[str, Any], algorithm: str) -> HttpResponse:
    """The claims as a JWT for this client, of a type of its own: it is never taken for an ID token."""
    issued = {**claims, "iss": options().issuer, "aud": client.client_id, "iat": int(timezone.now().timestamp())}
    token = signer(algorithm, _SECONDS_OF_USE).sign(issued, typ=TokenType.USERINFO)
    response = HttpResponse(token, content_type="application/jwt")
    no_store(response)
    return response


def _claims(presented: str) -> tuple[Client, dict[str, Any]]:
    live = live_token(presented)
    token, grant = live.token, live.grant
    if token.confirmation is not None:
        raise InvalidToken("The access token is bound to a key, which was not proved.")
    if Scope.OPENID not in token.scopes or token.subject is None or grant is None:
        raise InsufficientScope("The access token needs the scope openid.")
    client = find_client(token.client_id)
    if client is None:
        raise InvalidToken("The client is disabled.")
    granted = [scope for scope in grant.scopes if scope in token.scopes and scope in client.identity_scopes]
    resources = resolve(client, granted)
    names = dict.fromkeys((*scope_claims(resources), *requested_claims(resources, grant.claims, "userinfo")))
    return client, {**claims_of(live.user, names, resources), "sub": token.subject}
