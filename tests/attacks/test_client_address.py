"""The client's address: what the connection and trusted proxies say, and nothing a sender claims."""

import pytest
from django.http import HttpRequest

from identityserver.web.address import client_address, sender_at


@pytest.fixture
def behind(settings):
    """Say how many trusted proxies there are."""

    def proxies(count: int) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "trusted_proxy_count": count}

    return proxies


def seen(rf, peer: str | None = "203.0.113.9", forwarded: str | None = None) -> str | None:
    request = rf.get("/")
    request.META["REMOTE_ADDR"] = peer
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(request)


def test_without_trusted_proxies_the_header_means_nothing(rf):
    assert seen(rf, forwarded="198.51.100.1") == "203.0.113.9"


@pytest.mark.parametrize(
    ("count", "forwarded", "address"),
    [
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "10.0.0.1, 198.51.100.1", "198.51.100.1"),  # the first is what the client claims
        (1, "127.0.0.1,127.0.0.1 , 198.51.100.1", "198.51.100.1"),
        (2, "10.0.0.1, 198.51.100.1, 192.0.2.7", "198.51.100.1"),
        (2, "198.51.100.1", "198.51.100.1"),
        (1, "198.51.100.1:4711", "198.51.100.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "2001:0DB8:0:0::1", "2001:db8::1"),
        (1, "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_trusted_proxies_tell_it(rf, behind, count, forwarded, address):
    behind(count)
    assert seen(rf, forwarded=forwarded) == address


@pytest.mark.parametrize(
    "forwarded", ["", ",", "unknown", "198.51.100.1, _hidden", "999.1.1.1", "\0", "::1::", "é", "1" * 9000, "[", "]:1"]
)
def test_garbage_gives_the_peer(rf, behind, forwarded):
    behind(1)
    assert seen(rf, forwarded=forwarded) == "203.0.113.9"


@pytest.mark.parametrize("peer", ["", None, "unix:", "/run/socket", "not an address"])
def test_a_connection_without_an_address_gives_none(rf, peer):
    assert seen(rf, peer=peer) is None


def test_a_request_that_came_from_no_network_has_none(settings):
    assert client_address(HttpRequest()) is None


def test_the_zone_of_a_link_local_address_is_left_out(rf):
    """No database stores it."""
    assert seen(rf, peer="fe80::1%eth0") == "fe80::1"


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1", "fe80::/64"),
        (None, "unknown"),
    ],
)
def test_limits_count_a_network_of_ipv6_as_one_sender(address, sender):
    assert sender_at(address) == sender
