"""``manage.py demo`` as a process: it starts beside anything, keeps what it made, leaves nothing running."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from example_project.demo import processes
from tests.journeys.demo_process import Demo, Home, free_ports, listens, new_home

KERNEL_TABLES = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
LISTENING = "0A"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with new_home(tmp_path_factory.mktemp("demo") / "home") as home:
        yield home


@pytest.fixture(scope="module")
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def running(home: Home, busy_port: int) -> Iterator[Demo]:
    port = str(busy_port)
    with home.running_demo("--port", port, "--relying-party-port", port) as demo:
        yield demo


class TestARunningDemo:
    """One that was told to take ports that were in use."""

    def test_it_takes_the_next_free_ports_and_says_so(self, running: Demo, busy_port: int):
        assert f"Port {busy_port} is in use" in running.said
        assert len({busy_port, *running.ports}) == 3

    def test_the_issuer_follows_the_port(self, running: Demo):
        port = running.ports[0]
        assert fetched(port, "/.well-known/openid-configuration")["issuer"] == f"http://localhost:{port}"

    @pytest.mark.skipif(not KERNEL_TABLES[0].exists(), reason="Only Linux has these tables.")
    def test_only_this_machine_can_reach_it(self, running: Demo):
        """It runs with DEBUG on, whose pages tell everything."""
        addresses = listening_addresses(running.ports)
        assert addresses
        assert all(address.startswith("0100007F:") for address in addresses)  # 127.0.0.1, as Linux writes it

    def test_what_it_keeps_is_for_its_owner_only(self, running: Demo, home: Home):
        assert home.directory.stat().st_mode & 0o077 == 0

    def test_a_second_one_says_where_the_first_is_and_can_give_a_new_password(self, running: Demo, home: Home):
        beside = Demo(home.directory, "--new-password", database_url=home.database_url)
        beside.said, _ = beside.process.communicate(timeout=60)
        assert beside.process.returncode == 0
        assert f"already running: open {running.relying_party}" in beside.said
        assert beside.password("alice") not in {"", running.password("alice")}
        assert running.process.poll() is None


def test_it_stops_cleanly_and_the_next_run_keeps_everything(tmp_path: Path):
    ports = free_ports()
    with new_home(tmp_path) as home:
        with home.running_demo(*ports) as first:
            assert first.password("alice")
            assert first.password("admin")
            secret = (tmp_path / "client_secret").read_text()
            assert_stops_cleanly(first, signal.SIGINT)
        with home.running_demo(*ports) as second:
            assert not second.password("alice")
            assert "--new-password" in second.said
            assert (tmp_path / "client_secret").read_text() == secret
            assert_stops_cleanly(second, signal.SIGTERM)
        with home.running_demo(*ports) as third:
            third.stop(signal.SIGKILL)
            assert eventually(lambda: not any(listens(port) for port in third.ports))


def test_a_signal_while_it_looks_after_a_server_waits_until_it_has_looked():
    """What raised in the middle of ``Popen.poll()`` left its lock taken: the demo then never stopped."""
    looked = []

    class Process:
        def poll(self):
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            looked.append(True)

    server = object.__new__(processes.Server)
    server.process = Process()
    with processes.signals_raise_stopped(), pytest.raises(processes.Stopped):
        _ = server.has_ended
    assert looked == [True]


def assert_stops_cleanly(demo: Demo, number: int) -> None:
    assert demo.stop(number) == 0
    assert demo.said.rstrip().endswith("Stopped.")
    assert "Traceback" not in demo.said
    assert not any(listens(port) for port in demo.ports)


def eventually(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.1)
    return happened()


def fetched(port: int, path: str) -> dict:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": f"localhost:{port}"})
    document = json.load(connection.getresponse())
    connection.close()
    return document


def listening_addresses(ports: list[int]) -> list[str]:
    """The local addresses of the sockets that listen at these ports."""
    sockets = [line.split() for table in KERNEL_TABLES for line in table.read_text().splitlines()[1:]]
    return [local for _, local, _, state, *_ in sockets if state == LISTENING and int(local.split(":")[1], 16) in ports]
