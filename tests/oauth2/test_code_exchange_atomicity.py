"""The code exchange under fire: parallel redemptions, and a worker killed at any statement (security.md).

RFC 6749 §4.1.2: a code is used once. Here that holds by the database, for any number of workers.
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from unittest.mock import patch

import pytest
from django.db import connection, connections

from identityserver.models import AuthorizationCode, Event, Grant, ReferenceToken, RefreshToken
from identityserver.testing import RelyingParty

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
ROUNDS = 50


class Killed(BaseException):
    """The worker is gone: nothing catches this on the way out."""


def parallel(count: int, act) -> list:
    """What ``act`` returns in each of ``count`` threads that start at once, each with a connection of its own."""
    barrier = threading.Barrier(count)

    def run(number: int):
        try:
            barrier.wait(timeout=30)
            return act(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class TestParallelRedemption:
    """Exactly one success, no 5xx, no token without its grant."""

    def test_one_of_many_threads_redeems(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        rounds = ROUNDS if connection.vendor == "postgresql" else 20
        for _ in range(rounds):
            code = alice.browser.authorize(client).code
            grant = AuthorizationCode.objects.latest("created").grant

            responses = parallel(THREADS, lambda _, code=code: client.redeem(code))

            assert Counter(response.status for response in responses) == {200: 1, 400: THREADS - 1}
            refused = [response for response in responses if response.status == 400]
            assert {response.members["error"] for response in refused} == {"invalid_grant"}
            # The others were replays: what the one got is revoked with its grant, and nothing else exists.
            assert list(RefreshToken.objects.values_list("grant_id", flat=True)) == [grant.pk]
            assert Grant.objects.get(pk=grant.pk).revoked_at is not None
            RefreshToken.objects.all().delete()
        assert Event.objects.filter(type="code_replayed").exists()

    @pytest.mark.parametrize("threads", [2, 32])
    def test_any_number_of_threads(self, alice, relying_party, threads):
        client = relying_party(scopes="openid offline_access")
        for _ in range(3):
            code = alice.browser.authorize(client).code
            responses = parallel(threads, lambda _, code=code: client.redeem(code))
            assert Counter(response.status for response in responses) == {200: 1, 400: threads - 1}

    def test_threads_that_cannot_prove_themselves_take_nothing_away(self, alice, relying_party):
        """An attacker with a stolen code and no verifier, racing the client, spoils nothing."""
        client = relying_party(scopes="openid offline_access")
        code = alice.browser.authorize(client).code

        def act(number: int):
            return client.redeem(code) if number == 0 else client.redeem(code, code_verifier="x" * 43)

        responses = parallel(THREADS, act)

        assert [response.status for response in responses] == [200] + [400] * (THREADS - 1)
        client.refresh(responses[0].refresh_token).succeeds()


class TestParallelRefresh:
    """CVE-2026-1035: parallel uses of one refresh token must not make two families."""

    def test_siblings_of_one_token_end_in_one_line(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        token = client.redeem(alice.browser.authorize(client).code).refresh_token

        siblings = [
            response.succeeds().refresh_token for response in parallel(THREADS, lambda _: client.refresh(token))
        ]
        assert len(set(siblings)) == THREADS
        client.refresh(siblings[0]).succeeds()

        for other in siblings[1:]:
            client.refresh(other).fails_with("invalid_grant")
        assert Grant.objects.get().revoked_at is not None

    def test_parallel_uses_of_different_siblings(self, alice, relying_party):
        """The first use of one consumes the others; using those is a replay, and ends the family."""
        client = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        token = client.redeem(alice.browser.authorize(client).code).refresh_token
        siblings = [client.refresh(token).succeeds().refresh_token for _ in range(4)]

        responses = parallel(4, lambda number: client.refresh(siblings[number]))

        assert sum(response.status == 200 for response in responses) == 1
        assert {response.status for response in responses} == {200, 400}


class TestRevocationDuringRefresh:
    """RFC 7009: once a revocation is reported as done, nothing of the family is good, whatever was under way."""

    @pytest.mark.parametrize("kind", ["jwt", "reference"])
    @pytest.mark.parametrize("usage", ["one_time", "reuse"])
    def test_nothing_survives(self, alice, relying_party, kind, usage):
        client = relying_party(scopes="openid offline_access", access_token_type=kind, refresh_token_usage=usage)
        for _ in range(5):
            tokens = client.redeem(alice.browser.authorize(client).code).succeeds()

            def act(number: int, tokens=tokens):
                return client.revoke(tokens.refresh_token) if number == 0 else client.refresh(tokens.refresh_token)

            revoked, *refreshed = parallel(5, act)

            assert revoked.status_code == 200
            assert {response.status for response in refreshed} <= {200, 400}
            for response in refreshed:
                if response.status == 200:
                    assert client.userinfo(response.access_token).status_code == 401
                    client.refresh(response.refresh_token or tokens.refresh_token).fails_with("invalid_grant")
                else:
                    response.fails_with("invalid_grant")

    def test_two_revocations_of_one_token_are_one(self, alice, relying_party):
        client = relying_party(scopes="openid")
        token = client.redeem(alice.browser.authorize(client).code).access_token
        assert [response.status_code for response in parallel(8, lambda _: client.revoke(token))] == [200] * 8
        assert Event.objects.filter(type="token_revoked").count() == 1


@pytest.mark.parametrize("kind", ["jwt", "reference"])
class TestKilledWorker:
    """Killed before or after any statement, in the middle of COMMIT too: the retry gives exactly one live family."""

    @pytest.fixture
    def client(self, alice, relying_party, kind):
        """One whose warm path has been gone once."""
        client = relying_party(scopes="openid offline_access", access_token_type=kind)
        client.redeem(alice.browser.authorize(client).code).succeeds()
        return client

    def test_at_every_statement(self, alice, client):
        total = statements_of(client, alice.browser.authorize(client).code)
        assert 3 <= total <= 10
        for number in range(1, total + 1):
            for after in (False, True):
                self.killed_and_retried(alice, client, number, after=after)

    def test_between_the_last_statement_and_commit(self, alice, client):
        code = alice.browser.authorize(client).code
        in_worker(lambda: client.redeem(code), at_commit=True)
        assert_one_live_family(client, code)

    def test_after_commit_the_retry_is_a_replay(self, alice, client):
        """The answer was lost, not the use: RFC 6749 §4.1.2 has the second use end the family."""
        code = alice.browser.authorize(client).code
        with patch("identityserver.endpoints.token.json_response", side_effect=Killed):
            in_worker(lambda: client.redeem(code))
        client.redeem(code).fails_with("invalid_grant")
        assert not live_families().filter(grant=AuthorizationCode.objects.latest("created").grant).exists()

    def test_at_every_statement_of_a_refresh(self, alice, relying_party, kind):
        """The token that was not used up works, and gives one access token."""
        client = relying_party(scopes="openid offline_access", access_token_type=kind, refresh_token_usage="one_time")
        token, other = (client.redeem(alice.browser.authorize(client).code).succeeds().refresh_token for _ in range(2))
        total = in_worker(lambda: client.refresh(other))
        for number in range(1, total + 1):
            for after in (False, True):
                before = RefreshToken.objects.count(), ReferenceToken.objects.count()
                in_worker(lambda token=token: client.refresh(token), killed_at=number, after=after)
                killed = (RefreshToken.objects.count(), ReferenceToken.objects.count()) == before
                fresh = client.refresh(token).succeeds()
                assert client.userinfo(fresh.access_token).status_code == 200
                made = 1 if killed else 2  # where it died after COMMIT, the retry gave a sibling
                expected = (before[0] + made, before[1] + made * (kind == "reference"))
                assert (RefreshToken.objects.count(), ReferenceToken.objects.count()) == expected
                token = fresh.refresh_token

    def killed_and_retried(self, alice, client: RelyingParty, number: int, *, after: bool) -> None:
        code = alice.browser.authorize(client).code
        in_worker(lambda: client.redeem(code), killed_at=number, after=after)
        assert_one_live_family(client, code)


def live_families():
    return RefreshToken.objects.filter(consumed_at=None, grant__revoked_at=None)


def assert_one_live_family(client: RelyingParty, code: str) -> None:
    grant = AuthorizationCode.objects.latest("created").grant
    assert not RefreshToken.objects.filter(grant=grant).exists()  # the killed worker left nothing
    assert not ReferenceToken.objects.filter(grant=grant).exists()
    tokens = client.redeem(code).succeeds()
    assert live_families().filter(grant=grant).count() == 1
    assert ReferenceToken.objects.filter(grant=grant).count() == (client.row.access_token_type == "reference")
    assert client.userinfo(tokens.access_token).status_code == 200
    client.refresh(tokens.refresh_token).succeeds()


def statements_of(client: RelyingParty, code: str) -> int:
    """How many statements an exchange makes, its COMMIT aside."""
    return in_worker(lambda: client.redeem(code))


def in_worker(act, *, killed_at: int = 0, after: bool = False, at_commit: bool = False) -> int:
    """Run ``act`` in a thread that stands for a worker process, killed at a statement; their number is returned.

    To the database a killed worker is a connection that breaks off: nothing is rolled back in an orderly way.
    """
    count = 0

    def die(*_arguments) -> None:
        own = connections["default"].connection
        if connection.vendor == "sqlite":  # what the next process does with the journal of a dead one
            own.rollback()
        own.close()
        raise Killed

    def wrapper(execute, sql, params, many, context):
        nonlocal count
        count += 1
        if count == killed_at and not after:
            die()
        result = execute(sql, params, many, context)
        if count == killed_at:
            die()
        return result

    def run() -> None:
        own = connections["default"]
        own.ensure_connection()
        with ExitStack() as stack:
            stack.enter_context(suppress(Killed))
            stack.enter_context(own.execute_wrapper(wrapper))
            if at_commit:
                stack.enter_context(patch.object(own, "_commit", die))
            act()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    return count
