"""The headers of every hosted page: what a browser may load, frame, remember and tell others of it.

They are set by the page itself, so that no middleware of the host has to be there, and none of it
(SecurityMiddleware, XFrameOptionsMiddleware, Django's or django-csp's policy) replaces a value that is.

Sources: CSP Level 3, Fetch §4.6 (CORP and COOP), Referrer Policy §3, OAuth 2.0 Security BCP (RFC 9700 §4.16).
"""

import re
from collections.abc import Iterable

from django.http import HttpResponse
from django.templatetags.static import static
from django.utils.cache import add_never_cache_headers

from identityserver import uris

STYLESHEET = "identityserver/identityserver.css"
_AUTHORITY = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")


def protect(
    response: HttpResponse, *, images: Iterable[str] = (), stylesheet: str = "", leaves_site: bool = False
) -> None:
    """Set the browser-surface headers on a page.

    Args:
        images: addresses of the images that the page shows; only their origins are opened.
        stylesheet: the site's own, beside that of the pages; empty where it has none.
        leaves_site: a form of the page is posted to a client, or the answer to it redirects to one.
    """
    add_never_cache_headers(response)
    response["Content-Security-Policy"] = content_security_policy(images, stylesheet, leaves_site=leaves_site)
    response["X-Frame-Options"] = "DENY"
    response["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: Chromium then posts ``Origin: null``, which Django's CSRF check refuses.
    response["Referrer-Policy"] = "same-origin"
    # A client may have opened the page in a popup and waits for it there.
    response["Cross-Origin-Opener-Policy"] = "unsafe-none"


def content_security_policy(images: Iterable[str] = (), stylesheet: str = "", *, leaves_site: bool = False) -> str:
    """The policy of one page: its own static files, the images named, no inline code, no frame around it.

    No ``form-action`` where a post ends at a client: Chromium enforces it along the chain of redirects.
    """
    own = _source(static(STYLESHEET))
    directives = {
        "default-src": ["'none'"],
        "script-src": [own],
        "style-src": sorted({own, _source(stylesheet)}) if stylesheet else [own],
        "img-src": sorted({"'self'", own, *map(_source, images)}),
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    if not leaves_site:
        directives["form-action"] = ["'self'"]
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def _source(address: str) -> str:
    """The origin of an address as a source expression; nothing that could end the directive gets through."""
    scheme_relative = address.startswith("//")
    parts = uris.parse(f"https:{address}" if scheme_relative else address)
    if parts is None or parts.scheme not in {"http", "https"} or not _AUTHORITY.fullmatch(parts.netloc):
        return "'self'"
    return parts.netloc if scheme_relative else f"{parts.scheme}://{parts.netloc}"


def no_store(response: HttpResponse) -> None:
    """Keep what is answered out of every cache (RFC 6749 §5.1)."""
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
