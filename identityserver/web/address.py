"""The address a request came from, told by the connection and by the reverse proxies that are trusted.

``X-Forwarded-For`` is whatever the sender wrote until a proxy of ours appended to it: only the last
``trusted_proxy_count`` entries mean anything (RFC 7239 §8.1).
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.http import HttpRequest

from identityserver.conf import options


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address in its canonical form, or ``None`` where nothing trustworthy tells it."""
    peer = request.META.get("REMOTE_ADDR") or ""
    return _address(_forwarded(request) or peer) or _address(peer)


def sender_at(address: str | None) -> str:
    """By what limits count senders: the address, but of IPv6 the /64, all of which is one subscriber's (RFC 6177).

    All whose address nothing tells are one sender.
    """
    if address is None:
        return "unknown"
    parsed = ip_address(address)
    return str(IPv6Network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def _forwarded(request: HttpRequest) -> str:
    """The entry that the outermost trusted proxy appended; empty where there is none."""
    trusted = options().trusted_proxy_count
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-trusted:] if trusted else [""]
    return entries[0].strip()


def _address(text: str) -> str | None:
    """An IP address, also one with the port that some proxies add."""
    for candidate in (text, text.rpartition(":")[0], text.removeprefix("[").partition("]")[0]):
        try:
            return _plain(ip_address(candidate))
        except ValueError:
            continue
    return None


def _plain(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address)))  # without its zone, which means nothing here and no database stores
