"""The metadata at the root of the host: ``path("", include("identityserver.well_known_urls"))``.

RFC 8414 §3.1 inserts the issuer's path after the well-known one; OpenID Connect Discovery §4.1 appends to it.
"""

from urllib.parse import urlsplit

from django.urls import URLPattern, path

from identityserver.conf import options
from identityserver.endpoints.discovery import DiscoveryEndpoint, JwksEndpoint, OAuthMetadataEndpoint


def _patterns() -> list[URLPattern]:
    inserted = urlsplit(options().issuer).path.rstrip("/")
    documents = (DiscoveryEndpoint, OAuthMetadataEndpoint)
    patterns = [path(f"{document.path}{inserted}", document.as_view()) for document in documents]
    if not inserted:
        patterns.append(path(JwksEndpoint.path, JwksEndpoint.as_view()))
    return patterns


urlpatterns = _patterns()
