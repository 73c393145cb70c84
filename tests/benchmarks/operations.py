"""The operations that are measured: how each is fed, and the ratios that it must reach.

What an operation consumes is made beforehand, untimed, by the provider itself: codes by its authorization
endpoint, tokens by its token endpoint. So every peer is fed alike, and nothing is written behind its back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.benchmarks import messages
from tests.benchmarks.load import CONNECTIONS, Feed, drive
from tests.benchmarks.messages import OK, SEE_OTHER, Always, Chains, Once
from tests.benchmarks.peers.base import Provider

#: More than any preparation takes.
_LONG = 300.0

#: Makes the feed for about so many requests.
Prepare = Callable[[Provider, str, int], Feed]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that clients ask of a provider.

    Attributes:
        role: the client that asks; ``""`` where anybody may.
        prepare: makes its feed.
        consumes: whether each request needs something made for it alone.
        targets: by peer, the least ratio of our rate to its rate.
    """

    name: str
    title: str
    prepare: Prepare
    role: str = ""
    endpoint: str = "token"
    consumes: bool = False
    targets: dict[str, float] = field(default_factory=dict)

    def is_offered_by(self, provider: Provider) -> bool:
        """Whether the peer has it."""
        description = provider.description
        return self.endpoint in description.paths and (not self.role or self.role in description.roles)

    def feed(self, provider: Provider, requests: int) -> Feed:
        """What to ask of ``provider``."""
        return self.prepare(provider, self.role, requests)


def _document(endpoint: str, holds: bytes, provider: Provider, role: str, requests: int) -> Feed:
    return Always([messages.get(provider.address, provider.description.paths[endpoint], {})], holds=holds)


def _client_credentials(provider: Provider, role: str, requests: int) -> Feed:
    client = provider.description.roles[role]
    form = {"grant_type": "client_credentials", "scope": client.scope, **client.extra}
    return Always([messages.token(provider, client, form)], holds=b'"access_token"')


def _introspection(provider: Provider, role: str, requests: int) -> Feed:
    client = provider.description.roles[role]
    values = [answer["access_token"] for answer in tokens(provider, role)]
    return Always([messages.introspection(provider, client, value) for value in values], holds=b'"client_id"')


def _userinfo(provider: Provider, role: str, requests: int) -> Feed:
    values = [answer["access_token"] for answer in tokens(provider, role)]
    return Always([messages.bearer(provider, "userinfo", value) for value in values], holds=b'"email"')


def _refresh(provider: Provider, role: str, requests: int) -> Feed:
    first = [answer["refresh_token"] for answer in tokens(provider, role)]
    return Chains(provider, provider.description.roles[role], first)


def _exchange(provider: Provider, role: str, requests: int) -> Feed:
    client = provider.description.roles[role]
    redeemed = (messages.exchange(provider, client, code) for code in codes(provider, role, requests))
    return Once(redeemed, holds=b'"id_token"')


def _authorize(provider: Provider, role: str, requests: int) -> Feed:
    return Always(_authorizations(provider, role), status=SEE_OTHER, holds=b"code=")


def codes(provider: Provider, role: str, count: int) -> list[str]:
    """Codes of all people alike, from the authorization endpoint."""
    asked = _authorizations(provider, role)
    requests = [asked[number % len(asked)] for number in range(count)]
    feed = Once(requests, status=SEE_OTHER, holds=b"code=", keeps=True)
    drive(provider.address, feed, seconds=_LONG)
    return [messages.code_of(answer) for answer in feed.answers]


def tokens(provider: Provider, role: str) -> list[dict[str, Any]]:
    """The answers to a code exchange for each connection."""
    client = provider.description.roles[role]
    redeemed = [messages.exchange(provider, client, code) for code in codes(provider, role, CONNECTIONS)]
    feed = Once(redeemed, status=OK, holds=b'"access_token"', keeps=True)
    drive(provider.address, feed, seconds=_LONG)
    return [messages.members(answer) for answer in feed.answers]


def _authorizations(provider: Provider, role: str) -> list[bytes]:
    client = provider.description.roles[role]
    people = range(len(provider.description.cookies))
    return [messages.authorization(provider, client, person) for person in people]


#: Every operation, in the order of the report.
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="discovery",
        title="discovery",
        prepare=partial(_document, "discovery", b'"issuer"'),
        endpoint="discovery",
        targets={"oidc_provider": 2.5, "toolkit": 8, "floor": 0.8},
    ),
    Operation(
        name="jwks",
        title="JWKS",
        prepare=partial(_document, "jwks", b'"keys"'),
        endpoint="jwks",
        targets={"oidc_provider": 2.5, "toolkit": 8, "floor": 0.8},
    ),
    Operation(
        name="client_credentials_es256",
        title="client_credentials, JWT ES256",
        prepare=_client_credentials,
        role="machine_es256",
        targets={"oidc_provider": 2.5, "floor": 0.6},
    ),
    Operation(
        name="client_credentials_rs256",
        title="client_credentials, JWT RS256",
        prepare=_client_credentials,
        role="machine_rs256",
    ),
    Operation(
        name="client_credentials_reference",
        title="client_credentials, reference",
        prepare=_client_credentials,
        role="machine_reference",
        targets={"oidc_provider": 1.5, "toolkit": 12, "floor": 0.6},
    ),
    Operation(
        name="introspection",
        title="introspection",
        prepare=_introspection,
        role="web_reference",
        endpoint="introspection",
        targets={"oidc_provider": 2, "toolkit": 15, "floor": 0.6},
    ),
    Operation(
        name="userinfo",
        title="userinfo",
        prepare=_userinfo,
        role="web_rs256",
        endpoint="userinfo",
        targets={"oidc_provider": 2, "toolkit": 10, "floor": 0.6},
    ),
    Operation(
        name="refresh_es256",
        title="refresh with rotation, ID token ES256",
        prepare=_refresh,
        role="web_es256",
        targets={"oidc_provider": 1.8, "floor": 0.6},
    ),
    Operation(
        name="refresh_rs256",
        title="refresh with rotation, ID token RS256",
        prepare=_refresh,
        role="web_rs256",
        targets={"toolkit": 15, "floor": 0.6},
    ),
    Operation(
        name="code_es256",
        title="code exchange, ID token ES256",
        prepare=_exchange,
        role="web_es256",
        consumes=True,
        targets={"oidc_provider": 1.8, "floor": 0.6},
    ),
    Operation(
        name="code_rs256",
        title="code exchange, ID token RS256",
        prepare=_exchange,
        role="web_rs256",
        consumes=True,
        targets={"toolkit": 15, "floor": 0.6},
    ),
    Operation(
        name="authorize",
        title="authorize, consent remembered",
        prepare=_authorize,
        role="consented",
        endpoint="authorization",
        targets={"oidc_provider": 2, "toolkit": 12, "floor": 0.6},
    ),
)
