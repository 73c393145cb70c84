"""The HTTP client against hostile URLs, names and servers (``security.md``, Outbound)."""

import gc
import itertools
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from identityserver.outbound import (
    LARGEST_BODY,
    AddressRefused,
    DocumentCache,
    DocumentUnavailable,
    OutboundError,
    ResponseRefused,
    TimedOut,
    Unreachable,
    UrlRefused,
    fetch,
)
from identityserver.outbound.addresses import is_public
from identityserver.outbound.target import Deadline
from identityserver.testing import Clock
from tests.attacks.servers import Authority, Send, Server, answer

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PUBLIC = "93.184.215.14"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Resolver:
    """What names resolve to, and which of them were looked up."""

    def __init__(self) -> None:
        self.known = {"client.test": ["127.0.0.1"]}
        self.asked: list[str] = []
        self.genuine = socket.getaddrinfo

    def getaddrinfo(self, host, port, *args, **kwargs):
        self.asked.append(host)
        found = (self.genuine(address, port, *args, **kwargs) for address in self.known.get(host, [host]))
        return [entry for entries in found for entry in entries]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    return resolver


@pytest.fixture
def serve(authority, resolver, settings, monkeypatch) -> Iterator[Callable[..., Server]]:
    """Start a server that ``client.test`` leads to, with a certificate for that name, and allow its port."""
    servers: list[Server] = []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    def start(behave: bytes | Callable[[Send], None], certificate: Path | str | None = "client.test") -> Server:
        if isinstance(behave, bytes):
            behave = partial(_say, behave)
        if isinstance(certificate, str):
            certificate = authority.issue(certificate)
        server = Server(behave, certificate)
        servers.append(server)
        server.url = f"{'https' if certificate else 'http'}://client.test:{server.port}/keys"
        allow(settings, *(server.port for server in servers))
        return server

    yield start
    for server in servers:
        server.close()


def _say(text: bytes, send: Send) -> None:
    send(text)


def allow(settings, *ports: int, hosts: tuple[str, ...] = ("client.test", "127.0.0.1")) -> None:
    settings.IDENTITYSERVER = {
        **settings.IDENTITYSERVER,
        "outbound_private_hosts": hosts,
        "outbound_ports": ports,
    }


class TestTheUrl:
    """Refused before anything is looked up."""

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "keys",
            "//client.test/keys",
            "https://",
            "https:///keys",
            "http://api.example/keys",
            "ftp://api.example/keys",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "gopher://api.example/",
            "https://user@api.example/",
            "https://user:password@api.example/",
            "https://api.example:99999/",
            "https://api.example:-1/",
            "https://api.example:0/",
            "https://api.example:8443/",
            "https://api.example:22/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/keys",
            "https://api.example\\@127.0.0.1/",
            "https://api example/",
            "https://api.example/\r\nHost: other",
            "https://api.example/%0d%0aHost:%20other",
            "https://api.example/%09",
            "https://api.example/\x00",
            "https://äpi.example/",
            "https://a..example/",
            "https://-a.example/",
            f"https://{'a' * 64}.example/",
            f"https://{'a.' * 130}example/",
        ],
    )
    def test_is_https_well_formed_and_to_an_allowed_port(self, url, resolver):
        with pytest.raises(UrlRefused):
            fetch(url)
        assert resolver.asked == []

    def test_may_be_http_on_loopback_where_the_host_is_named(self, serve):
        server = serve(answer(b"plain"), certificate=None)
        assert fetch(f"http://127.0.0.1:{server.port}/").body == b"plain"

    def test_is_not_http_where_the_host_is_not_named(self, serve, settings):
        server = serve(answer(b"plain"), certificate=None)
        allow(settings, server.port, hosts=())
        with pytest.raises(UrlRefused):
            fetch(f"http://127.0.0.1:{server.port}/")
        assert server.requests == []


class TestTheAddress:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",  # noqa: S104
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "169.254.169.254",
            "0xa9fea9fe",
            "172.16.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2002:808:808::]",
            "[3fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "localhost",
            "localhost.",
        ],
    )
    def test_is_public_however_it_is_written(self, host):
        with pytest.raises(AddressRefused):
            fetch(f"https://{host}/keys")

    @pytest.mark.parametrize("address", [PUBLIC, "2606:4700:4700::1111", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}"])
    def test_may_be_any_public_one(self, address):
        assert is_public(ip_address(address))

    @pytest.mark.parametrize("position", [0, 1])
    def test_is_public_in_every_answer_of_the_resolver(self, position, resolver):
        resolver.known["api.example"] = [PUBLIC]
        resolver.known["api.example"].insert(position, "10.0.0.1")
        with pytest.raises(AddressRefused):
            fetch("https://api.example/keys")

    def test_may_be_private_where_the_host_is_named(self, serve):
        assert fetch(serve(answer(b"keys")).url).body == b"keys"

    def test_is_refused_for_another_name_of_the_same_machine(self, serve, resolver):
        server = serve(answer(), certificate="other.test")
        resolver.known["other.test"] = ["127.0.0.1"]
        with pytest.raises(AddressRefused):
            fetch(server.url.replace("client.test", "other.test"))
        assert server.requests == []

    @pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.1", "224.0.0.1"])
    def test_is_never_link_local_where_metadata_lives(self, address, resolver, settings):
        allow(settings, 443)
        resolver.known["client.test"] = [address]
        with pytest.raises(AddressRefused):
            fetch("https://client.test/")

    def test_is_on_loopback_for_http(self, resolver, settings):
        allow(settings, 80, hosts=("localhost",))
        resolver.known["localhost"] = ["10.0.0.1"]
        with pytest.raises(AddressRefused):
            fetch("http://localhost/")

    def test_is_not_looked_up_a_second_time(self, serve, resolver, monkeypatch):
        """DNS rebinding: the name changes its address between the check and the connection."""
        server = serve(answer(b"the one that was checked"))
        answers = iter([["127.0.0.1"], ["169.254.169.254"]])

        def rebinding(host, *args, **kwargs):
            resolver.known[host] = next(answers)
            return resolver.getaddrinfo(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        assert fetch(server.url).body == b"the one that was checked"
        assert resolver.asked == ["client.test"]

    def test_may_be_the_next_where_the_first_does_not_answer(self, serve, resolver):
        server = serve(answer(b"second"))
        resolver.known["client.test"] = ["127.0.0.2", "127.0.0.1"]
        assert fetch(server.url).body == b"second"

    def test_is_needed(self, resolver, settings):
        resolver.known["api.example"] = []
        with pytest.raises(Unreachable):
            fetch("https://api.example/")

    def test_is_unknown(self, monkeypatch):
        def fail(*args, **kwargs):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(Unreachable):
            fetch("https://api.example/")


class TestTheConnection:
    def test_bears_the_name_of_the_host(self, serve):
        server = serve(answer())
        fetch(server.url)
        assert server.names == ["client.test"]
        assert f"\r\nHost: client.test:{server.port}\r\n".encode() in server.requests[0]

    def test_is_good_for_an_address_with_a_certificate_of_its_own(self, serve):
        server = serve(answer(b"by number"), certificate="127.0.0.1")
        assert fetch(f"https://127.0.0.1:{server.port}/").body == b"by number"

    def test_needs_a_certificate_for_the_name(self, serve):
        server = serve(answer(), certificate="other.test")
        with pytest.raises(Unreachable, match="certificate"):
            fetch(server.url)
        assert server.requests == []

    def test_needs_a_certificate_that_is_still_valid(self, serve, authority):
        server = serve(answer(), certificate=authority.issue("client.test", expired=True))
        with pytest.raises(Unreachable, match="expired"):
            fetch(server.url)

    def test_needs_a_certificate_from_a_known_authority(self, serve, tmp_path):
        server = serve(answer(), certificate=Authority(tmp_path).issue("client.test"))
        with pytest.raises(Unreachable, match="certificate"):
            fetch(server.url)

    def test_ignores_proxies_of_the_environment(self, serve, monkeypatch):
        server = serve(answer(b"direct"))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert fetch(server.url).body == b"direct"


class TestTheAnswer:
    def test_is_handed_over(self, serve):
        response = fetch(serve(answer(b'{"keys": []}', "X-Trace: 7")).url)
        assert (response.status, response.body, response.headers["x-trace"]) == (200, b'{"keys": []}', "7")

    def test_to_a_post_is_handed_over(self, serve):
        server = serve(answer(b"", status="204 No Content"))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert fetch(server.url, method="POST", body=b"logout_token=x", headers=form).status == 204
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /keys HTTP/1.1\r\n")
        assert b"Content-Type: application/x-www-form-urlencoded" in head
        assert body == b"logout_token=x"

    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 For Ever"])
    def test_may_be_a_redirect_which_is_not_followed(self, status, serve):
        server = serve(answer(b"", "Location: /elsewhere", status=status))
        assert fetch(server.url).status == int(status[:3])
        assert len(server.requests) == 1

    def test_may_have_64_kib(self, serve):
        assert len(fetch(serve(answer(b"x" * LARGEST_BODY)).url).body) == LARGEST_BODY

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX-Endless: ",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
            CHUNKED + b"ffffff\r\n",
            CHUNKED + (b"1;" + b"x" * 9_000 + b"\r\nx\r\n") * 99,
        ],
        ids=["announced", "unannounced", "header", "continue", "chunk", "chunk extensions"],
    )
    def test_may_not_have_more(self, head, serve):
        def pour(send: Send) -> None:
            send(head)
            for _ in range(100):
                send(b"x" * 65_536)

        with pytest.raises(ResponseRefused):
            fetch(serve(pour).url)

    def test_is_not_decompressed(self, serve):
        bomb = zlib.compress(b"\0" * 10_000_000)
        server = serve(answer(bomb, "Content-Encoding: deflate"))
        with pytest.raises(ResponseRefused):
            fetch(server.url)
        assert b"\r\nAccept-Encoding: identity\r\n" in server.requests[0]

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 two hundred\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\n1234567",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut short",
            CHUNKED + b"what\r\n",
            CHUNKED + b"-5\r\nhello\r\n",
            CHUNKED + b"5\r\nhel",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
            b"\x00\xff" * 1_000,
        ],
    )
    def test_is_refused_where_it_is_not_http(self, text, serve):
        with pytest.raises(OutboundError):
            fetch(serve(text).url)


class TestTheTime:
    """One deadline holds for the whole exchange, not for each read."""

    TIMEOUT = 0.2

    @pytest.fixture(autouse=True)
    def ends_in_time(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        assert time.monotonic() - start < 10 * self.TIMEOUT

    @pytest.mark.parametrize(
        "head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"]
    )
    def test_of_a_server_that_sends_a_byte_now_and_then(self, head, serve):
        def drip(send: Send) -> None:
            send(head)
            while not server.closing.wait(self.TIMEOUT / 10):
                send(b"x")

        server = serve(drip)
        with pytest.raises(TimedOut):
            fetch(server.url, timeout=self.TIMEOUT)

    @pytest.mark.parametrize("number", range(1, 9))
    def test_wherever_it_is_up_no_socket_stays_open(self, serve, monkeypatch, number):
        """A socket that nobody closes is a warning, and a warning an error here."""
        server = serve(lambda send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        remaining, calls = Deadline.remaining, itertools.count(1)

        def remaining_until(deadline: Deadline) -> float:
            if next(calls) == number:
                raise TimedOut("The time is up.")
            return remaining(deadline)

        monkeypatch.setattr(Deadline, "remaining", remaining_until)
        with suppress(TimedOut):
            fetch(server.url)
        gc.collect()

    def test_of_a_server_that_says_nothing(self, serve):
        server = serve(lambda send: server.closing.wait())
        with pytest.raises(TimedOut):
            fetch(server.url, timeout=self.TIMEOUT)

    def test_of_a_server_that_does_not_shake_hands(self, serve, resolver, settings):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            allow(settings, silent.getsockname()[1])
            with pytest.raises(TimedOut):
                fetch(f"https://client.test:{silent.getsockname()[1]}/", timeout=self.TIMEOUT)

    def test_of_a_resolver_that_does_not_answer(self, monkeypatch):
        answered = threading.Event()

        def hang(*args, **kwargs):
            answered.wait()
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        with pytest.raises(TimedOut):
            fetch("https://api.example/", timeout=self.TIMEOUT)
        answered.set()

    def test_of_many_that_wait_for_the_resolver(self, monkeypatch):
        """The threads that cannot be interrupted are few, however many names are asked for."""
        answered = threading.Event()
        looked_up = []

        def hang(host, *args, **kwargs):
            looked_up.append(host)
            answered.wait()
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        for number in range(12):
            with pytest.raises(TimedOut):
                fetch(f"https://{number}.example/", timeout=self.TIMEOUT / 10)
        answered.set()
        assert len(looked_up) == 8


class TestADocument:
    """What a request waits for is fetched seldom, and one at a time."""

    @pytest.fixture
    def documents(self, clock: Clock) -> DocumentCache:
        return DocumentCache()

    def test_is_fetched_once_while_it_is_recent(self, documents, serve, clock):
        server = serve(answer(b"keys"))
        for _ in range(3):
            assert documents.get(server.url).body == b"keys"
            clock.forward(minutes=1)
        assert len(server.requests) == 1
        clock.forward(minutes=5)
        assert documents.get(server.url).fetched == clock.now()
        assert len(server.requests) == 2

    def test_is_renewed_at_most_once_a_minute(self, documents, serve, clock):
        """Tokens that name unknown keys cannot be used to make us ask a client's server without end."""
        server = serve(answer(b"keys"))
        for _ in range(5):
            documents.get(server.url, renew=True)
        assert len(server.requests) == 1
        clock.forward(minutes=1)
        for _ in range(5):
            documents.get(server.url, renew=True)
        assert len(server.requests) == 2

    def test_that_failed_is_not_asked_for_at_once(self, documents, serve, clock):
        server = serve(answer(status="500 Oops"))
        for _ in range(3):
            with pytest.raises(DocumentUnavailable, match="500"):
                documents.get(server.url)
        assert len(server.requests) == 1
        clock.forward(minutes=1)
        with pytest.raises(DocumentUnavailable):
            documents.get(server.url)
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "failure", [answer(status="500 Oops"), answer(status="302 Found"), b"", answer(b"x" * 70_000)]
    )
    def test_stands_in_for_a_day_while_its_server_fails(self, failure, documents, serve, clock):
        answers = [answer(b"keys"), *[failure] * 3]
        server = serve(lambda send: send(answers.pop(0)))
        documents.get(server.url)
        clock.forward(hours=23)
        assert documents.get(server.url).body == b"keys"
        clock.forward(hours=1)
        assert documents.get(server.url).body == b"keys"
        clock.forward(seconds=1)
        with pytest.raises(DocumentUnavailable):
            documents.get(server.url)

    @pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
    def test_does_not_stand_in_after_it_was_taken_away(self, status, documents, serve, clock):
        answers = [answer(b"keys"), answer(status=status), answer(status="500 Oops")]
        server = serve(lambda send: send(answers.pop(0)))
        documents.get(server.url)
        for _ in answers[1:]:
            clock.forward(minutes=5)
            with pytest.raises(DocumentUnavailable):
                documents.get(server.url)

    def test_comes_back_with_its_server(self, documents, serve, clock):
        answers = [answer(status="500 Oops"), answer(b"keys")]
        server = serve(lambda send: send(answers.pop(0)))
        with pytest.raises(DocumentUnavailable):
            documents.get(server.url)
        clock.forward(minutes=1)
        assert documents.get(server.url).body == b"keys"

    def test_leaves_when_others_are_used_more(self, serve, clock):
        documents = DocumentCache(largest=2)
        server = serve(answer(b"keys"))
        for path in ("a", "b", "a", "c", "a", "b"):
            documents.get(f"{server.url}/{path}")
        asked = [request.split()[1].decode() for request in server.requests]
        assert asked == ["/keys/a", "/keys/b", "/keys/c", "/keys/b"]

    def test_is_fetched_once_for_all_who_wait_for_it(self, documents, serve):
        server = serve(answer(b"keys"))
        together([partial(documents.get, server.url)] * 4)
        assert len(server.requests) == 1

    def test_is_the_only_one_under_way(self, documents, serve):
        under_way: list[int] = []
        counts = []

        def behave(send: Send) -> None:
            under_way.append(1)
            counts.append(len(under_way))
            server.closing.wait(0.05)
            under_way.pop()
            send(answer(b"keys"))

        server = serve(behave)
        together([partial(documents.get, f"{server.url}/{number}") for number in range(4)])
        assert counts == [1, 1, 1, 1]

    @pytest.fixture
    def slow(self, documents, serve):
        """A server that is being asked, and does not answer; it is another client's."""
        asked, over = threading.Event(), threading.Event()

        def behave(send: Send) -> None:
            asked.set()
            over.wait(2.5)

        quick, slow = serve(answer(b"keys")), serve(behave)
        documents.get(quick.url)

        def get_slow() -> None:
            with suppress(DocumentUnavailable):
                documents.get(slow.url)

        thread = threading.Thread(target=get_slow)

        def begin() -> str:
            thread.start()
            assert asked.wait(2)
            return quick.url

        yield begin
        over.set()
        thread.join()

    def test_that_is_known_does_not_wait_for_that_of_a_slow_server(self, documents, slow, clock):
        """Or whoever registers slow servers would hold up the requests of everybody else."""
        clock.forward(minutes=6)
        url = slow()
        began = time.monotonic()
        assert documents.get(url).body == b"keys"
        assert time.monotonic() - began < 0.5

    def test_stands_in_for_a_day_only_while_others_are_fetched_too(self, documents, slow, clock):
        """Keys that their owner has withdrawn must not live on because somebody keeps us busy."""
        clock.forward(hours=24, seconds=1)
        url = slow()
        with pytest.raises(DocumentUnavailable):
            documents.get(url)


def together(tasks: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
