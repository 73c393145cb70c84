"""Discovery and the key set, from memory (OpenID Connect Discovery §4, RFC 8414 §3, RFC 7517 §5).

The document is derived from the registries, the keys and the options, never configured: it cannot lie.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import get_script_prefix
from django.utils.http import parse_etags

from identityserver.caching import ConfigurationCache
from identityserver.conf import options
from identityserver.endpoints.base import ProtocolEndpoint
from identityserver.models import ApiResource, ApiScope, IdentityResource
from identityserver.tokens.claims import PROTOCOL_CLAIMS
from identityserver.tokens.keys import key_ring
from identityserver.tokens.rotation import document_max_age
from identityserver.vocabulary import Scope

Published = tuple[bytes, str]

_documents: ConfigurationCache[str, Published] = ConfigurationCache(8)
_last_known: dict[str, Published] = {}


class _Standing(HttpResponse):
    """A document's bytes, which ``front.py`` may send again while it ``stands()``."""

    stands: Callable[[], bool]


class _Document(ProtocolEndpoint):
    """A public document for everybody, with an ETag."""

    content_type = "application/json"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The bytes, or 304 for who has them."""
        key = f"{self.name} {get_script_prefix()}"
        content, etag = published = _published(key, self.document)
        if _is_known(etag, request.META.get("HTTP_IF_NONE_MATCH", "")):
            response: HttpResponse = HttpResponseNotModified()
        else:
            response = _Standing(content, content_type=self.content_type)
            response.stands = partial(_is_current, key, published)
        response["ETag"] = etag
        response["Cache-Control"] = f"public, max-age={document_max_age()}"
        response["Access-Control-Allow-Origin"] = "*"
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A preflight from anywhere may go on."""
        response = super().options(request, *args, **kwargs)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Allow-Methods"] = "GET"
        response["Access-Control-Allow-Headers"] = "If-None-Match"
        return response

    @classmethod
    def document(cls) -> Mapping[str, Any]:
        """What is published."""
        raise NotImplementedError


class JwksEndpoint(_Document):
    """The public keys."""

    name = "jwks"
    path = ".well-known/openid-configuration/jwks"
    content_type = "application/jwk-set+json"

    @classmethod
    def metadata(cls) -> dict[str, Any]:
        """Where the keys are."""
        return {"jwks_uri": cls.url()}

    @classmethod
    def document(cls) -> Mapping[str, Any]:
        """RFC 7517 §5."""
        return key_ring().jwks


class DiscoveryEndpoint(_Document):
    """OpenID Connect Discovery §4."""

    name = "openid_configuration"
    path = ".well-known/openid-configuration"

    @classmethod
    def document(cls) -> Mapping[str, Any]:
        """The metadata of every endpoint that there is, and what holds for all of them."""
        members: dict[str, Any] = {"issuer": options().issuer}
        for endpoint in _registry():
            members.update(endpoint.metadata())
        return {**members, **_tokens(), **_resources()}


class OAuthMetadataEndpoint(DiscoveryEndpoint):
    """RFC 8414 §3: the same document at OAuth's own address."""

    name = "oauth_metadata"
    path = ".well-known/oauth-authorization-server"


#: Told by ``endpoints/__init__.py``, which knows every endpoint, this one included.
_endpoints: list[type[ProtocolEndpoint]] = []


def describe(endpoints: tuple[type[ProtocolEndpoint], ...]) -> None:
    """Have the document derive from ``endpoints``."""
    _endpoints[:] = endpoints


def _registry() -> tuple[type[ProtocolEndpoint], ...]:
    return tuple(_endpoints)


def _published(key: str, document: Callable[[], Mapping[str, Any]]) -> Published:
    """The document's bytes; while the database fails, the last ones known."""
    try:
        found = _documents.get(key) or _documents.load(key, lambda: _encoded(document()))
    except (DatabaseError, InterfaceError):
        if key not in _last_known:
            raise
        return _last_known[key]
    _last_known[key] = found
    return found


def _is_current(key: str, published: Published) -> bool:
    """Whether the document in memory is this one, and neither too old nor changed."""
    return _documents.get(key) is published


def _is_known(etag: str, if_none_match: str) -> bool:
    """Weak comparison (RFC 9110 §13.1.2): what compresses responses on the way makes their ETags weak."""
    known = {tag.removeprefix("W/") for tag in parse_etags(if_none_match)}
    return bool(known & {etag, "*"})


def _encoded(document: Mapping[str, Any]) -> Published:
    content = json.dumps(document, indent=2).encode()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _tokens() -> dict[str, Any]:
    algorithms = list(key_ring().algorithms)
    return {
        "id_token_signing_alg_values_supported": algorithms,
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def _resources() -> dict[str, Any]:
    identity = list(IdentityResource.objects.filter(enabled=True, show_in_discovery_document=True))
    scopes = ApiScope.objects.filter(enabled=True, show_in_discovery_document=True, parameterised=False)
    apis = ApiResource.objects.filter(enabled=True, show_in_discovery_document=True)
    claims = dict.fromkeys(claim for resource in identity for claim in resource.user_claims)
    names = [*(resource.name for resource in identity), *scopes.values_list("name", flat=True)]
    members = {
        "scopes_supported": [*names, Scope.OFFLINE_ACCESS.value],
        "claims_supported": ["sub", *(claim for claim in claims if claim not in PROTOCOL_CLAIMS)],
        "protected_resources": [name for name in apis.values_list("name", flat=True) if name.startswith("https:")],
    }
    return {name: value for name, value in members.items() if value}
