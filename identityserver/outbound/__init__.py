"""The only HTTP client: https to public addresses, pinned, without redirects, small and soon over.

What it fetches is named by clients: ``jwks_uri`` (OpenID Connect Dynamic Client Registration §2) and the
back-channel logout URI (OpenID Connect Back-Channel Logout §2.2). So every URL is hostile until it is
checked (RFC 7591 §5), and so is the server behind it. Proxies of the environment are ignored;
``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name the trusted authorities, as they do for OpenSSL.
"""

from identityserver.outbound.documents import Document, DocumentCache, fetch_document
from identityserver.outbound.errors import (
    AddressRefused,
    DocumentUnavailable,
    OutboundError,
    ResponseRefused,
    TimedOut,
    Unreachable,
    UrlRefused,
)
from identityserver.outbound.exchange import LARGEST_BODY, LONGEST, Response, fetch

__all__ = [
    "LARGEST_BODY",
    "LONGEST",
    "AddressRefused",
    "Document",
    "DocumentCache",
    "DocumentUnavailable",
    "OutboundError",
    "Response",
    "ResponseRefused",
    "TimedOut",
    "Unreachable",
    "UrlRefused",
    "fetch",
    "fetch_document",
]
