"""Judging URIs without ever failing: what may be registered, and what matches.

Sources: RFC 6749 §3.1.2, RFC 8252, RFC 9700 §2.1.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlencode, urlsplit

#: Schemes that run code or read the local disk in a browser.
_DANGEROUS = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ws", "wss", "ftp"}
)
_ALLOWED = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()+,;=%]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_LITERAL = re.compile(r"(http://(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]))(?::[1-9][0-9]{0,4})?((?:[/?].*)?)")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


def parse(uri: str) -> SplitResult | None:
    """The parts of an absolute URI, or ``None`` for whatever is malformed (bad port, broken IPv6, ``\\``, control…)."""
    if not _ALLOWED.fullmatch(uri) or re.search(r"%(?![0-9A-Fa-f]{2})|%(0[0-9A-Fa-f]|1[0-9A-Fa-f]|7[fF])", uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises for 99999
    except ValueError:
        return None
    if not _SCHEME.fullmatch(parts.scheme) or not uri.lower().startswith(parts.scheme + ":"):
        return None
    return parts


def is_loopback(host: str | None) -> bool:
    """Whether a URI's host names this machine: ``localhost`` or a loopback literal."""
    return (host or "").lower().rstrip(".") == "localhost" or is_loopback_literal(host)


def is_loopback_literal(host: str | None) -> bool:
    """Whether the host is a loopback IP literal (RFC 8252 §7.3)."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def redirect_uri_problem(uri: str) -> str:
    """Why ``uri`` may not be registered as a redirect URI, as a sentence for people; ``""`` where it may."""
    if "*" in uri:
        return "Wildcards are not allowed; register each URI."
    parts = parse(uri)
    if parts is None:
        return "It is not a valid absolute URI."
    if parts.scheme.lower() in _DANGEROUS:
        return f"The scheme {parts.scheme} is not allowed."
    if "#" in uri:
        return "It must not have a fragment (RFC 6749 §3.1.2)."
    if parts.scheme in {"http", "https"}:
        return web_uri_problem(uri)
    if "." not in parts.scheme:
        return "A custom scheme must be a reversed domain name of yours, such as com.example.app (RFC 8252 §7.1)."
    return ""


def web_uri_problem(uri: str) -> str:
    """Why ``uri`` is not an https address (or http on loopback); ``""`` where it is."""
    parts = parse(uri)
    if parts is None or not parts.hostname:
        return "It is not a valid absolute URI."
    if not _is_host(parts):
        return "Its host name is malformed."
    if parts.username is not None or parts.password is not None:
        return "It must not hold a user name or password."
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return "Use https; http is for loopback addresses only (RFC 9700 §2.6)."
    if parts.scheme not in {"http", "https"}:
        return "Use https."
    return ""


def origin_problem(origin: str) -> str:
    """Why ``origin`` is not a web origin such as ``https://app.example``; ``""`` where it is."""
    if problem := web_uri_problem(origin):
        return problem
    parts = urlsplit(origin)
    if f"{parts.scheme}://{parts.netloc}" != origin or origin != origin.lower():
        return "An origin is scheme, host and port in lower case, without path or trailing slash."
    return ""


def redirect_uri_matches(registered: str, presented: str) -> bool:
    """Whole-string equality (RFC 9700 §2.1); a loopback IP literal over http may differ by port (RFC 8252 §7.3)."""
    if registered == presented:
        return True
    around_port = _around_port(registered)
    return around_port is not None and around_port == _around_port(presented)


def with_query(uri: str, parameters: Mapping[str, str]) -> str:
    """``uri`` with ``parameters`` added to the query it has (RFC 6749 §3.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def host_of(uri: str) -> str:
    """The host to show people, with a port where it has one; ``""`` for what has none."""
    parts = parse(uri)
    return parts.netloc.rpartition("@")[2] if parts and parts.hostname else ""


def own_host(uri: str) -> str:
    """The host to which ``uri`` certainly leads, and nowhere else; ``""`` behind another scheme and on loopback."""
    parts = parse(uri)
    if parts is None or parts.scheme != "https" or is_loopback(parts.hostname):
        return ""
    return (parts.hostname or "").lower()


def _around_port(uri: str) -> tuple[str, ...] | None:
    """What stands before and after the port, character by character; ``None`` where another may not stand for it."""
    parts, found = parse(uri), _LITERAL.fullmatch(uri)
    return found.groups() if parts and found and is_loopback_literal(parts.hostname) else None


def _is_host(parts: SplitResult) -> bool:
    """A DNS name, an IPv4 address, or in brackets an IPv6 address without a zone (RFC 3986 §3.2.2)."""
    host = parts.hostname or ""
    if "[" not in parts.netloc:
        return _HOST.fullmatch(host) is not None and len(host) <= 253
    try:
        return "%" not in host and bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False
