"""The device flow under fire: parallel polls, claims and decisions, and a worker killed at any statement (RFC 8628).

Each of them is decided by the database, for any number of workers (security.md).
"""

from collections import Counter

import pytest

from identityserver.digests import digest
from identityserver.models import DeviceRequest, Grant, RefreshToken
from identityserver.testing import DeviceAuthorizationResponse, RelyingParty
from identityserver.testing.fixtures import Person
from tests.oauth2.test_code_exchange_atomicity import in_worker, parallel

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 20


def allowed(alice: Person, television: RelyingParty) -> DeviceAuthorizationResponse:
    asked = television.device_authorization().succeeds()
    assert alice.browser.enter_user_code(asked.user_code).allow().shows("Your device is connected")
    return asked


def row_of(asked: DeviceAuthorizationResponse) -> DeviceRequest:
    return DeviceRequest.objects.get(digest=digest(asked.device_code))


@pytest.fixture(autouse=True)
def no_limits(settings):
    limits = {"device_requests_per_minute": 0, "user_code_attempts": 0}
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **limits}


class TestParallelPolls:
    @pytest.mark.parametrize(("threads", "rounds"), [(2, ROUNDS), (8, ROUNDS), (32, 3)])
    def test_exactly_one_gets_the_tokens(self, alice, television, threads, rounds):
        for _ in range(rounds):
            asked = allowed(alice, television)

            polls = parallel(threads, lambda _, asked=asked: television.poll(asked.device_code))

            assert Counter(poll.status for poll in polls) == {200: 1, 400: threads - 1}
            assert {poll.members["error"] for poll in polls if poll.status == 400} == {"invalid_grant"}
            # The others were second uses: what the one got is revoked with its grant, and nothing else exists.
            grant = row_of(asked).grant
            assert list(RefreshToken.objects.values_list("grant_id", flat=True)) == [grant.pk]
            assert grant.revoked_at is not None
            RefreshToken.objects.all().delete()

    @pytest.mark.parametrize("threads", [2, 8, 32])
    def test_exactly_one_is_in_time(self, television, threads):
        asked = television.device_authorization()
        polls = parallel(threads, lambda _: television.poll(asked.device_code))
        assert Counter(poll.members["error"] for poll in polls) == {
            "authorization_pending": 1,
            "slow_down": threads - 1,
        }
        assert row_of(asked).interval == 5 * threads

    def test_polls_of_another_client_take_nothing_away(self, alice, television, relying_party):
        other = relying_party(allowed_grant_types=["authorization_code", television.row.allowed_grant_types[0]])
        asked = allowed(alice, television)
        polls = parallel(8, lambda number: (television if number == 0 else other).poll(asked.device_code))
        assert [poll.status for poll in polls] == [200] + [400] * 7
        television.refresh(polls[0].refresh_token).succeeds()


class TestParallelPeople:
    def test_one_of_many_who_type_a_code_has_claimed_it(self, person, television):
        people = [person(f"user{number}").sign_in() for number in range(6)]
        for _ in range(5):
            asked = television.device_authorization()

            def typing(number, asked=asked):
                return people[number].browser.enter_user_code(asked.user_code)

            pages = parallel(len(people), typing)

            claimed = [number for number, page in enumerate(pages) if page.shows("to your account?")]
            assert len(claimed) == 1
            assert row_of(asked).user == people[claimed[0]].user
            others = [page for number, page in enumerate(pages) if number not in claimed]
            assert all(page.shows("This code is unknown or has expired.") for page in others)

    def test_a_request_is_decided_once(self, alice, television):
        """Two tabs, or an impatient person: allowed or refused, and never two grants."""
        for number in range(10):
            asked = television.device_authorization()
            page = alice.browser.enter_user_code(asked.user_code)
            answers = ["yes", "yes", "no", "yes"] if number % 2 else ["yes"] * 4

            parallel(4, lambda index, page=page, answers=answers: page.submit(allow=answers[index]))

            row = row_of(asked)
            assert (row.approved_at is None) != (row.denied_at is None)
            assert Grant.objects.count() == (1 if row.approved_at is not None else 0)
            Grant.objects.all().delete()


class TestKilledWorker:
    """Killed before or after any statement of a redemption: the retry gives exactly one live family."""

    def test_at_every_statement(self, alice, television):
        television.poll(allowed(alice, television).device_code).succeeds()
        asked = allowed(alice, television)
        total = in_worker(lambda: television.poll(asked.device_code))
        assert 3 <= total <= 10
        for number in range(1, total + 1):
            for after in (False, True):
                self.killed_and_retried(alice, television, number, after=after)

    def test_between_the_last_statement_and_commit(self, alice, television):
        television.poll(allowed(alice, television).device_code).succeeds()
        self.killed_and_retried(alice, television, 0, at_commit=True)

    def killed_and_retried(self, alice, television, number, **how):
        asked = allowed(alice, television)
        in_worker(lambda: television.poll(asked.device_code), killed_at=number, **how)
        grant = row_of(asked).grant
        assert not RefreshToken.objects.filter(grant=grant).exists()  # the killed worker left nothing
        television.poll(asked.device_code).succeeds()
        assert RefreshToken.objects.filter(grant=grant, grant__revoked_at=None).count() == 1
