"""Token introspection, plain (RFC 7662) and signed (RFC 9701)."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from identityserver.apis import Api, current_secrets, find_api, remembered_api
from identityserver.client_authentication import Credentials, metadata_of
from identityserver.client_authentication.client_secret import is_secret_of
from identityserver.conf import options
from identityserver.endpoints.base import json_response
from identityserver.endpoints.client import ClientEndpoint, refuse_guessing
from identityserver.errors import InvalidClient
from identityserver.models import ApiSecret, Client
from identityserver.parameters import Parameters
from identityserver.scopes import algorithm_for
from identityserver.tokens.introspection import told_to_api, told_to_client
from identityserver.tokens.keys import key_ring, signer
from identityserver.vocabulary import AuthMethod, TokenType
from identityserver.web.headers import no_store

_JWT = "application/token-introspection+jwt"

#: For how long a signed response may be verified, which it is at once.
_SECONDS_OF_USE = 300


class IntrospectionEndpoint(ClientEndpoint):
    """Whether a token is good, for APIs and for the client that has it.

    An API authenticates as a client does, with its name in place of the client_id (RFC 7662 §2.1).
    """

    name = "introspection"
    path = "connect/introspect"

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """RFC 8414 §2, RFC 9701 §7. A caller that proves nothing is told nothing."""
        members = metadata_of(cls.name)
        methods = members[f"{cls.name}_endpoint_auth_methods_supported"]
        return {
            "introspection_endpoint": cls.url(),
            **members,
            f"{cls.name}_endpoint_auth_methods_supported": [name for name in methods if name != AuthMethod.NONE],
            "introspection_signing_alg_values_supported": list(key_ring().algorithms),
        }

    def judged(self, request: HttpRequest, credentials: Credentials, parameters: Parameters) -> HttpResponse:
        """The answer to an API, or else to a client.

        Whoever is refused has cost one query for the client and one for the API that there may be.
        """
        api = remembered_api(credentials.client_id)
        if api is not None and _proves(request, credentials, api.secrets):
            return _answer_api(request, api, parameters)
        try:
            return super().judged(request, credentials, parameters)
        except InvalidClient:
            if not _proves(request, credentials, current_secrets(credentials.client_id)):
                raise
        api = find_api(credentials.client_id)
        if api is None:
            raise InvalidClient("The API is disabled.")
        return _answer_api(request, api, parameters)

    def answer(self, request: HttpRequest, client: Client, parameters: Parameters) -> HttpResponse:
        """What a client is told of a token of its own."""
        if client.is_public:
            raise InvalidClient("Client authentication failed.", detail="A public client cannot introspect.")
        told = told_to_client(client, parameters["token"], parameters.get("token_type_hint", ""))
        algorithm = client.introspection_signed_response_alg or options().id_token_signing_algorithm
        return _response(request, told, client.client_id, algorithm)


def _proves(request: HttpRequest, credentials: Credentials, secrets: Sequence[ApiSecret]) -> bool:
    """Whether the credentials are those of the API with these secrets; guessing one that a person chose is slow."""
    if any(secret.kind != ApiSecret.Kind.GENERATED for secret in secrets):
        refuse_guessing(request, credentials)
    return bool(credentials.secret) and is_secret_of(secrets, credentials.secret)


def _answer_api(request: HttpRequest, api: Api, parameters: Parameters) -> HttpResponse:
    """What an API is told of a token for it."""
    return _response(request, told_to_api(api, parameters["token"]), api.name, algorithm_for([api.row]))


def _response(request: HttpRequest, told: Mapping[str, Any], caller: str, algorithm: str) -> HttpResponse:
    """The members, plain or as a JWT, as the caller accepts it.

    The JWT has neither ``sub`` nor ``exp`` of its own, so that nobody can take it for an access token (RFC 9701 §5).
    """
    if not _asks_for_jwt(request):
        return json_response(told)
    claims = {
        "iss": options().issuer,
        "aud": caller,
        "iat": int(timezone.now().timestamp()),
        "token_introspection": dict(told),
    }
    token = signer(algorithm, _SECONDS_OF_USE).sign(claims, typ=TokenType.INTROSPECTION)
    response = HttpResponse(token, content_type=_JWT)
    no_store(response)
    return response


def _asks_for_jwt(request: HttpRequest) -> bool:
    """Whether the JWT is asked for by its own media type; ``*/*`` is content with JSON (RFC 9701 §4)."""
    if _JWT not in request.META.get("HTTP_ACCEPT", ""):
        return False
    named = [media for media in request.accepted_types if f"{media.main_type}/{media.sub_type}" == _JWT]
    return any(str(media.params.get("q", "1")).strip("0.") for media in named)
