"""Finding ports that nobody else uses."""

import socket
from collections.abc import Collection

LOOPBACK = "127.0.0.1"
TRIES = 50


def free_port(wanted: int, *, taken: Collection[int] = ()) -> int:
    """The first port from ``wanted`` on that nobody listens at and that is not in ``taken``.

    Raises:
        OSError: fifty ports in a row are in use.
    """
    for port in range(wanted, min(wanted + TRIES, 65536)):
        if port not in taken and not is_busy(port):
            return port
    raise OSError(f"No free port between {wanted} and {wanted + TRIES - 1}.")


def is_busy(port: int) -> bool:
    """Whether ``port`` is in use, under either address that ``localhost`` may stand for."""
    return answers(socket.AF_INET, LOOPBACK, port) or answers(socket.AF_INET6, "::1", port) or not can_bind(port)


def answers(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex((address, port)) == 0
    except OSError:  # a machine without IPv6
        return False


def can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: closing ports are no obstacle
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
