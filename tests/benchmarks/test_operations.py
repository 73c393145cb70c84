"""The benchmark asks what it says, and gets it. What anything costs is never tested."""

import json
import os
from pathlib import Path

import pytest

from tests.benchmarks import report
from tests.benchmarks.load import CONNECTIONS, Refused, drive
from tests.benchmarks.messages import Always, code_of, get, members
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.peers import ours
from tests.benchmarks.peers.base import Provider
from tests.benchmarks.processes import Server, family, free_port, running
from tests.benchmarks.sites import ours_setup


@pytest.fixture
def provider(signing_keys, live_server) -> Provider:
    """This provider on Django's own server, set up as the benchmark sets it up."""
    description = ours.described(ours_setup.set_up())
    address = (live_server.thread.host, live_server.thread.port)
    return Provider(address=address, server=Server(os.getpid()), description=description, database="")


class TestOperations:
    def test_each_is_answered_as_it_promises(self, provider: Provider):
        """A refusal ends the benchmark: whoever measures refusals measures nothing."""
        offered = [operation for operation in OPERATIONS if operation.is_offered_by(provider)]
        for operation in offered:
            feed = operation.feed(provider, CONNECTIONS)
            assert drive(provider.address, feed, seconds=60, limit=CONNECTIONS).answers == CONNECTIONS
        assert len(offered) == len(OPERATIONS)

    def test_what_is_refused_is_no_figure(self, provider: Provider):
        feed = Always([get(provider.address, "/connect/userinfo", {})], holds=b"sub")
        with pytest.raises(Refused, match="401"):
            drive(provider.address, feed, seconds=10, limit=1)


class TestAnswers:
    def test_a_code_is_read_from_a_redirect(self):
        answer = b"HTTP/1.1 303 See Other\r\nlocation: https://app.example/callback?code=abc&state=x\r\n\r\n"
        assert code_of(answer) == "abc"

    def test_members_are_read_whole_or_in_chunks(self):
        """Only an object in one chunk is ever asked for here."""
        assert members(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}') == {"a": 1}
        assert members(b'HTTP/1.1 200 OK\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n') == {"a": 1}


class TestServers:
    def test_a_server_is_gone_when_its_block_ends(self, tmp_path: Path):
        port = free_port()
        command = ["python", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
        core = min(os.sched_getaffinity(0))
        with running(command, core=core, port=port, environment={}, log=tmp_path / "log") as server:
            assert family(server.pid) == [server.pid]
            assert server.worker_mebibytes() > 1
        assert not Path(f"/proc/{server.pid}").exists()


def test_a_table_is_aligned():
    assert report.table(["a", "bb"], [["one", "2"]]) == "| a   | bb |\n| --- | -: |\n| one |  2 |"


def test_the_packages_of_the_peer_on_node_come_from_wherever_npm_is_told():
    manifest = json.loads((Path(__file__).parent / "oidc_provider" / "package.json").read_text())
    assert set(manifest["dependencies"]) == {"node", "oidc-provider", "pg"}
    assert not any(":" in version for version in manifest["dependencies"].values())
