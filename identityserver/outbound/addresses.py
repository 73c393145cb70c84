"""Which addresses are public (RFC 6890 and the IANA special-purpose address registries)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address


def is_public(address: Address) -> bool:
    """Whether an address is anybody's to reach. One that carries an IPv4 address is judged by that."""
    match _unwrapped(address):
        case IPv4Address() as ipv4:
            return not _is_in(ipv4, _NOT_PUBLIC_IPV4)
        case ipv6:
            return _is_in(ipv6, _PUBLIC_IPV6) and not _is_in(ipv6, _NOT_PUBLIC_IPV6)


def is_private(address: Address) -> bool:
    """Whether an organisation may number a machine of its own with it, this one (loopback) included."""
    return _is_in(_unwrapped(address), _PRIVATE)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address in an IPv4-mapped or NAT64 one (RFC 4291 §2.5.5.2, RFC 6052 §2.1), or the address."""
    if isinstance(address, IPv6Address) and _is_in(address, _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return getattr(address, "ipv4_mapped", None) or address


def _networks(*networks: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for network in networks)


def _is_in(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


_NOT_PUBLIC_IPV4 = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",  # public by number; on Azure, the machine's own metadata
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PUBLIC_IPV6 = _networks("2000::/3")  # the only part that is given out (RFC 4291 §2.4)
_NOT_PUBLIC_IPV6 = _networks(
    "2001::/23",  # protocol assignments, Teredo among them
    "2001:db8::/32",
    "2002::/16",  # 6to4, which leads to any IPv4 address
    "3fff::/20",
)
_NAT64 = _networks("64:ff9b::/96")
# Link-local addresses are not among them: cloud metadata lives there.
_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
