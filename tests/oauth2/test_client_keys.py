"""The keys of clients that publish them at ``jwks_uri``: RFC 7591 §2, OpenID Connect Core §10.1.1.

They come from a server of the test's own, over TLS.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from identityserver import jose
from identityserver.models import Client, Event
from identityserver.testing.assertions import ASSERTION_TYPE, assertion_claims, signed
from identityserver.vocabulary import Algorithm
from tests.attacks.servers import Authority, Send, Server, answer
from tests.speaking import token_request, without_reference

pytestmark = pytest.mark.django_db

ASK = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class KeyServer:
    """What a client publishes; ``says`` replaces the whole answer."""

    def __init__(self, authority: Authority) -> None:
        self.keys: list[dict] = []
        self.says: Callable[[], bytes] | None = None
        self.server = Server(self._behave, authority.issue("127.0.0.1"))
        self.url = f"https://127.0.0.1:{self.server.port}/jwks"

    def _behave(self, send: Send) -> None:
        send(self.says() if self.says else answer(json.dumps({"keys": self.keys}).encode()))

    @property
    def fetches(self) -> int:
        return len(self.server.requests)

    def publishes(self, *keys: jose.NewKey) -> None:
        self.keys = [key.public_jwk for key in keys]


@pytest.fixture
def published(authority, settings, monkeypatch) -> Iterator[KeyServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    served = KeyServer(authority)
    settings.IDENTITYSERVER = {
        **settings.IDENTITYSERVER,
        "outbound_private_hosts": ["127.0.0.1"],
        "outbound_ports": [served.server.port],
    }
    yield served
    served.server.close()


@pytest.fixture
def client(clock, relying_party, api, published):
    """A client whose only key is at its jwks_uri."""
    party = relying_party(
        scopes="notes.read",
        allowed_grant_types=["client_credentials"],
        redirect_uris=[],
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=published.url,
    )
    published.publishes(party.key)
    return party


def new_key(algorithm=Algorithm.ES256):
    return jose.generate(algorithm)


class TestFetching:
    """They are fetched when they are needed, and not more often than they change."""

    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_each_algorithm(self, client, published, algorithm):
        client.key = new_key(algorithm)
        published.publishes(client.key)
        client.client_credentials().succeeds()

    def test_once_for_many_requests(self, client, published):
        for _ in range(3):
            client.client_credentials().succeeds()
        assert published.fetches == 1

    def test_again_after_five_minutes(self, client, published, clock):
        client.client_credentials().succeeds()
        clock.forward(minutes=5)
        client.client_credentials().succeeds()
        assert published.fetches == 2

    def test_an_assertion_that_is_wrong_anyway_fetches_nothing(self, client, published):
        for claims in ({"exp": 0}, {"aud": "https://other.example"}, {"jti": None}, {"iss": "other"}):
            asked = {**ASK, "client_id": client.client_id, "client_assertion": client.assertion(**claims)}
            token_request(asked).fails_with("invalid_client")
        assert published.fetches == 0

    def test_nor_does_one_of_another_method(self, client, published):
        Client.objects.update(token_endpoint_auth_method="client_secret_basic")
        client.client_credentials().fails_with("invalid_client")
        assert published.fetches == 0

    def test_nor_does_anybody_who_is_unknown(self, client, published):
        token_request({**ASK, "client_assertion": client.assertion(iss="nobody", sub="nobody")}).fails_with(
            "invalid_client"
        )
        assert published.fetches == 0


class TestRotation:
    """OpenID Connect Core §10.1.1: the verifier knows to go back when it sees an unfamiliar kid."""

    def test_a_new_key_works_at_once(self, client, published, clock):
        client.client_credentials().succeeds()
        clock.forward(minutes=1)
        former, client.key = client.key, new_key()
        published.publishes(former, client.key)
        client.client_credentials().succeeds()
        client.key = former
        client.client_credentials().succeeds()
        assert published.fetches == 2

    def test_a_key_that_was_withdrawn_stops(self, client, published, clock):
        client.client_credentials().succeeds()
        stolen, client.key = client.key, new_key()
        published.publishes(client.key)
        clock.forward(minutes=1)
        client.client_credentials().succeeds()
        client.key = stolen
        client.client_credentials().fails_with("invalid_client")

    def test_unknown_key_ids_fetch_once_a_minute_at_most(self, client, published, clock):
        """Or anybody could have this server call another one as often as they like."""
        client.client_credentials().succeeds()
        good, client.key = client.key, new_key()
        for _ in range(5):
            client.client_credentials().fails_with("invalid_client")
        assert published.fetches == 1
        clock.forward(minutes=1)
        for _ in range(5):
            client.client_credentials().fails_with("invalid_client")
        assert published.fetches == 2
        client.key = good
        client.client_credentials().succeeds()

    def test_another_address_counts_at_once(self, client, published):
        client.client_credentials().succeeds()
        Client.objects.update(jwks_uri=f"{published.url}/new")
        client.client_credentials().succeeds()
        assert b"/jwks/new" in published.server.requests[-1]


class TestWhatIsPublished:
    """Whoever writes a key set is not trusted (RFC 7517 §4, §5)."""

    def rejects(self, client):
        client.client_credentials().fails_with("invalid_client")

    @pytest.mark.parametrize(
        "change",
        [
            {"use": "enc"},
            {"use": "SIG"},
            {"key_ops": ["sign"]},
            {"key_ops": []},
            {"key_ops": "verify"},
            {"alg": "ES384"},
            {"alg": "none"},
            {"crv": "P-384"},
            {"kty": "RSA"},
            {"kid": 1},
            {"x": "AAAA"},
            {"x": None},
            {"x": "x" * 10_000},
        ],
        ids=str,
    )
    def test_a_key_for_something_else_verifies_nothing(self, client, published, change):
        published.keys = [{**client.key.public_jwk, **change}]
        self.rejects(client)

    @pytest.mark.parametrize("change", [{"key_ops": ["verify"]}, {"x5t": "x"}, {"unknown": {"a": [1]}}], ids=str)
    def test_what_else_is_said_of_it_does_no_harm(self, client, published, change):
        published.keys = ["x", None, {}, {"kty": "new"}, {**client.key.public_jwk, **change}]
        client.client_credentials().succeeds()

    def test_a_private_key_that_is_published_is_nobody_s(self, client, published):
        published.keys = [json.loads(client.key.private_jwk)]
        self.rejects(client)

    def test_a_symmetric_key_is_never_used(self, client, published):
        published.keys = [{"kty": "oct", "k": "A" * 43, "kid": client.key.kid, "alg": "HS256"}]
        self.rejects(client)

    def test_small_rsa_keys_are_refused(self, client, published):
        public = {"kty": "RSA", "n": "_" * 171, "e": "AQAB", "kid": client.key.kid}
        published.keys = [public]
        self.rejects(client)

    def test_two_keys_of_one_name_are_a_choice_that_nobody_makes(self, client, published):
        published.keys = [client.key.public_jwk, {**new_key().public_jwk, "kid": client.key.kid}]
        self.rejects(client)


def broken_off() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"


class TestUnreachable:
    """security.md: never an untrue definite answer. Nobody can say whether the client is who it says it is."""

    @pytest.mark.parametrize(
        "says",
        [
            partial(answer, status="500 Internal Server Error"),
            partial(answer, status="404 Not Found"),
            partial(answer, b"", "Location: https://127.0.0.1/", status="302 Found"),
            partial(answer, b"<html>maintenance</html>"),
            partial(answer, b'{"keys": {}}'),
            partial(answer, b'{"keys": [], "keys": []}'),
            partial(answer, b"[" * 60_000),
            partial(answer, json.dumps({"keys": [{}] * 101}).encode()),
            partial(answer, b" " * 70_000),
            broken_off,
        ],
        ids=range(10),
    )
    def test_no_key_set(self, client, published, says):
        published.says = says
        response = client.client_credentials().fails_with("temporarily_unavailable", 503)
        assert int(response.response["Retry-After"]) >= 1
        assert "127.0.0.1" not in response.members["error_description"]
        event = Event.objects.get(code="temporarily_unavailable")
        assert "jwks_uri" in event.remedy

    def test_what_was_fetched_before_serves_meanwhile(self, client, published, clock):
        client.client_credentials().succeeds()
        published.says = partial(answer, status="503 Service Unavailable")
        clock.forward(hours=23)
        client.client_credentials().succeeds()
        clock.forward(hours=2)
        client.client_credentials().fails_with("temporarily_unavailable", 503)

    def test_whether_a_new_key_is_the_client_s_cannot_be_said_meanwhile(self, client, published, clock):
        client.client_credentials().succeeds()
        published.says = partial(answer, status="503 Service Unavailable")
        clock.forward(minutes=2)
        client.key = new_key()
        for _ in range(2):
            client.client_credentials().fails_with("temporarily_unavailable", 503)
        published.says = None
        published.publishes(client.key)
        clock.forward(minutes=1)
        client.client_credentials().succeeds()

    def test_its_assertion_is_not_used_up(self, client, published, clock):
        published.says = partial(answer, status="503 Service Unavailable")
        assertion = client.assertion(exp=int(clock.now().timestamp()) + 300)
        token_request({**ASK, "client_assertion": assertion}).fails_with("temporarily_unavailable", 503)
        published.says = None
        clock.forward(minutes=1)
        token_request({**ASK, "client_assertion": assertion}).succeeds()

    def test_it_says_nothing_of_clients_that_do_not_exist(self, client, published):
        """Only an assertion with nothing else wrong is told, and an unknown client never."""
        published.says = partial(answer, status="503 Service Unavailable")
        unknown = token_request({**ASK, "client_assertion": signed(assertion_claims("nobody"), client.key)})
        stale = token_request({**ASK, "client_assertion": client.assertion(exp=0)})
        for refused in (unknown, stale):
            refused.fails_with("invalid_client")
        assert without_reference(unknown.members) == without_reference(stale.members)

    def test_a_public_address_alone_is_reached(self, client, published, settings):
        """SSRF: what the client registered leads to loopback, where nothing else may be asked."""
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "outbound_private_hosts": []}
        client.client_credentials().fails_with("temporarily_unavailable", 503)
        assert published.fetches == 0
