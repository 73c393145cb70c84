"""The life of keys: rule 24, OpenID Connect Core §10.1.1. Taken over, retired, revoked, deleted; by many at once."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, connections

from identityserver import caching
from identityserver.endpoints.discovery import JwksEndpoint
from identityserver.models import Event, SigningKey
from identityserver.testing import RelyingParty
from identityserver.tokens import rotation
from identityserver.tokens.keys import key_ring, signer
from identityserver.vocabulary import Algorithm
from tests.speaking import ISSUER, failing_database, header_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
#: What clocks that differ, and nodes that remember, add to every end.
LEEWAY = timedelta(minutes=10, seconds=10)


@pytest.fixture
def one_algorithm(settings):
    settings.IDENTITYSERVER = {"issuer": ISSUER, "id_token_signing_algorithm": "ES256"}


@pytest.fixture
def ring(one_algorithm, clock):
    """A ring that has just been made."""
    return key_ring()


@pytest.fixture
def machine(ring):
    return RelyingParty(allowed_grant_types=["client_credentials"])


def published():
    return [key["kid"] for key in JwksEndpoint.document()["keys"]]


def first_and_second():
    first, second = SigningKey.objects.order_by("sequence")
    return first, second


def parallel(count: int, act) -> list:
    """What ``act`` gives in each of ``count`` threads that start at once, each with a connection of its own."""
    barrier, given = threading.Barrier(count), []

    def run():
        try:
            barrier.wait(timeout=30)
            given.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == count
    return given


class TestPeriods:
    """The periods are options."""

    def test_they_are_kept(self, settings, clock):
        periods = {"key_announcement": 3 * DAY, "key_signing_period": 10 * DAY, "key_retention": 2 * DAY}
        settings.IDENTITYSERVER = {"issuer": ISSUER, "id_token_signing_algorithm": "ES256", **periods}
        first = signer("ES256").kid
        clock.moment += 7 * DAY - timedelta(seconds=1)
        assert published() == [first]
        clock.moment += timedelta(seconds=1)
        assert len(published()) == 2
        clock.moment += 3 * DAY
        assert signer("ES256").kid != first
        clock.moment += 2 * DAY
        assert first in published()
        clock.moment += LEEWAY
        assert first not in published()

    @pytest.mark.parametrize(
        ("periods", "finding"),
        [
            ({"key_announcement": 90 * DAY}, "E017"),
            ({"key_announcement": timedelta(seconds=60)}, "W006"),
            ({"configuration_cache_seconds": 3600, "key_announcement": timedelta(hours=1)}, "W006"),
        ],
    )
    def test_the_checks_refuse_what_cannot_work(self, settings, periods, finding):
        settings.IDENTITYSERVER = {"issuer": ISSUER, **periods}
        settings.DEBUG = True
        with pytest.raises(SystemCheckError, match=f"identityserver.{finding}"):
            call_command("check", fail_level="WARNING")

    def test_an_algorithm_that_nobody_asks_for_any_more_is_let_go(self, ring, clock):
        signer("ES384")
        clock.moment += 80 * DAY
        key_ring()
        assert SigningKey.objects.filter(algorithm="ES384").count() == 1
        assert SigningKey.objects.filter(algorithm="ES256").count() == 2
        clock.moment += 10 * DAY
        assert "ES384" not in key_ring().algorithms

    @pytest.mark.parametrize("by", ["client", "api"])
    def test_one_that_a_client_or_an_api_asks_for_goes_on(self, ring, clock, api, by):
        signer("ES384")
        if by == "client":
            RelyingParty(id_token_signed_response_alg="ES384")
        else:
            api.allowed_access_token_signing_algorithms = ["ES384"]
            api.save()
        clock.moment += 80 * DAY
        key_ring()
        assert SigningKey.objects.filter(algorithm="ES384").count() == 2

    def test_discovery_lists_what_is_signed_with(self, ring, client):
        signer("EdDSA")
        caching.forget()
        listed = client.get("/.well-known/openid-configuration").json()["id_token_signing_alg_values_supported"]
        assert set(listed) == {"ES256", "EdDSA"}


class TestLongestLifetime:
    """A key never signs a token that expires later than ``retires_at + longest_lifetime``."""

    def test_it_is_recorded_before_the_first_such_token(self, machine, clock):
        assert SigningKey.objects.get().longest_lifetime == 3600
        machine.client_credentials().succeeds()
        assert SigningKey.objects.get().longest_lifetime == 3600
        machine.row.access_token_lifetime = 30 * 86400
        machine.row.save()
        machine.client_credentials().succeeds()
        assert SigningKey.objects.get().longest_lifetime == 30 * 86400

    def test_it_never_goes_down(self, machine):
        signer("ES256", 86400)
        signer("ES256", 60)
        machine.client_credentials().succeeds()
        assert SigningKey.objects.get().longest_lifetime == 86400

    def test_a_new_key_begins_with_what_clients_have(self, machine, clock):
        machine.row.access_token_lifetime = 7200
        machine.row.save()
        clock.moment += 80 * DAY
        key_ring()
        first, second = first_and_second()
        assert (first.longest_lifetime, second.longest_lifetime) == (3600, 7200)

    def test_a_key_that_has_retired_is_left_alone(self, ring, clock):
        clock.moment += 95 * DAY
        signer("ES256", 86400 * 60)
        first, second = first_and_second()
        assert (first.longest_lifetime, second.longest_lifetime) == (3600, 86400 * 60)

    def test_where_it_cannot_be_recorded_nothing_is_signed(self, machine):
        machine.client_credentials().succeeds()
        machine.row.access_token_lifetime = 86400
        machine.row.save()
        with failing_database():
            machine.client_credentials().fails_with("temporarily_unavailable", 503)
        assert SigningKey.objects.get().longest_lifetime == 3600

    def test_keys_that_sign_for_particular_apis_record_it_too(self, machine, api):
        api.allowed_access_token_signing_algorithms = ["EdDSA"]
        api.save()
        client = RelyingParty(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            redirect_uris=[],
            access_token_lifetime=50 * 86400,
        )
        token = client.client_credentials(scope="notes.read").succeeds().access_token
        assert header_of(token)["alg"] == "EdDSA"
        assert SigningKey.objects.get(algorithm="EdDSA").longest_lifetime == 50 * 86400

    def test_the_last_token_of_a_key_is_good_until_it_expires_and_not_a_second_of_it_is_lost(
        self, settings, clock, alice, relying_party
    ):
        """40 days of validity, signed in the last second, against 14 days of retention."""
        client = relying_party(access_token_lifetime=40 * 86400)
        clock.moment += 90 * DAY - timedelta(seconds=1)
        alice.sign_in()
        token = client.redeem(alice.browser.authorize(client).code).access_token
        clock.moment += 40 * DAY - timedelta(seconds=1)
        rotation.delete_due()
        caching.forget()
        assert header_of(token)["kid"] in published()
        assert client.userinfo(token).status_code == 200


class TestDeletion:
    """Only what no live token can need."""

    def test_it_waits_for_the_longest_lived_token(self, ring, clock):
        signer("ES256", 30 * 86400)
        clock.moment += 120 * DAY + LEEWAY - timedelta(seconds=1)
        assert rotation.delete_due() == 0
        clock.moment += timedelta(seconds=1)
        assert rotation.delete_due() == 1
        assert rotation.delete_due() == 0

    def test_the_private_half_is_erased_and_the_public_half_stays_for_hints_alone(self, ring, clock):
        clock.moment += 105 * DAY
        rotation.delete_due()
        first = SigningKey.objects.earliest("sequence")
        assert first.state_at(clock.now()) == SigningKey.State.DELETED
        assert first.private_jwk == ""
        ring = key_ring()
        assert first.kid not in ring.verifiers
        assert first.kid not in published()
        assert first.kid in ring.hint_verifiers
        clock.moment = first.retires_at + 180 * DAY
        assert first.kid not in key_ring().hint_verifiers

    def test_an_old_id_token_still_says_who_wants_to_sign_out(self, clock, alice, web_app):
        """RP-Initiated Logout §2: a hint is taken although it has expired, here half a year ago."""
        token = web_app.redeem(alice.browser.authorize(web_app).code).members["id_token"]
        clock.moment += 90 * DAY + 179 * DAY
        rotation.delete_due()
        caching.forget()
        assert SigningKey.objects.get(kid=header_of(token)["kid"]).deleted_at
        url = f"/connect/endsession?id_token_hint={token}"
        assert web_app.http.get(url).status_code in {200, 303}
        clock.moment += 2 * DAY
        assert web_app.http.get(url).status_code == 400

    def test_its_place_in_the_sequence_stays_taken(self, ring, clock):
        clock.moment += 365 * DAY
        rotation.delete_due()
        key_ring()
        assert list(SigningKey.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2]

    def test_a_key_that_signs_or_is_announced_is_never_due(self, ring, clock):
        clock.moment += 80 * DAY
        key_ring()
        assert rotation.delete_due() == 0
        assert SigningKey.objects.filter(deleted_at=None).count() == 2


class TestRotate:
    """Ahead of time, and still nobody is surprised."""

    def test_the_next_key_is_announced_as_long_as_ever(self, ring, clock):
        coming = rotation.rotate(Algorithm.ES256)
        assert coming.kid in published()
        assert coming.activates_at == clock.now() + 14 * DAY
        assert coming.retires_at == coming.activates_at + 90 * DAY
        first, _ = first_and_second()
        assert first.retires_at == coming.activates_at
        assert signer("ES256").kid == first.kid
        clock.moment += 14 * DAY
        assert signer("ES256").kid == coming.kid

    def test_at_once_means_as_soon_as_caches_have_it(self, ring, clock):
        """The ring may be 10 seconds old where it is published from, and is kept for 60 by whoever fetches it."""
        coming = rotation.rotate(Algorithm.ES256, soon=True)
        assert timedelta(seconds=70) < coming.activates_at - clock.now() < timedelta(seconds=90)
        clock.moment = coming.activates_at
        assert signer("ES256").kid == coming.kid

    def test_one_that_is_announced_already_takes_over_and_no_other_is_made(self, ring, clock):
        clock.moment += 76 * DAY
        key_ring()
        clock.moment += DAY
        coming = rotation.rotate(Algorithm.ES256, soon=True)
        assert coming.activates_at == clock.now()
        assert SigningKey.objects.count() == 2
        assert signer("ES256").kid == coming.kid

    def test_twice_is_once(self, ring, clock):
        assert rotation.rotate(Algorithm.ES256).kid == rotation.rotate(Algorithm.ES256).kid
        assert SigningKey.objects.count() == 2

    def test_what_was_signed_before_stays_good(self, machine, clock):
        token = machine.client_credentials().succeeds().access_token
        clock.moment = rotation.rotate(Algorithm.ES256, soon=True).activates_at
        assert header_of(token)["kid"] in published()
        assert header_of(machine.client_credentials().access_token)["kid"] != header_of(token)["kid"]

    def test_it_is_an_event(self, ring, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            coming = rotation.rotate(Algorithm.ES256)
        assert coming.kid in Event.objects.get(type="signing_key_rotated").detail


class TestRetire:
    def test_it_signs_no_more_and_is_published_on(self, ring, clock):
        first = SigningKey.objects.get()
        assert rotation.retire(first)
        assert signer("ES256").kid != first.kid
        assert first.kid in published()
        clock.moment += 14 * DAY
        assert first.kid in published()
        clock.moment += LEEWAY
        assert first.kid not in published()

    def test_the_one_announced_takes_its_place(self, ring, clock):
        clock.moment += 80 * DAY
        key_ring()
        first, second = first_and_second()
        rotation.retire(first)
        assert signer("ES256").kid == second.kid
        second.refresh_from_db()
        assert second.retires_at == clock.now() + 90 * DAY
        assert SigningKey.objects.count() == 2

    def test_one_that_does_not_sign_cannot_retire(self, ring, clock):
        clock.moment += 80 * DAY
        key_ring()
        first, second = first_and_second()
        assert not rotation.retire(second)
        rotation.retire(first)
        assert not rotation.retire(SigningKey.objects.get(pk=first.pk))


class TestRevoke:
    """A compromised key: nothing that it signed is good, and the service goes on."""

    def test_its_tokens_are_refused_and_new_ones_are_signed_by_another(self, clock, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        key = SigningKey.objects.get(kid=header_of(tokens.access_token)["kid"])
        assert rotation.revoke(key)
        assert client.userinfo(tokens.access_token).status_code == 401
        assert key.kid not in published()
        newer = client.refresh(tokens.refresh_token).succeeds().access_token
        assert header_of(newer)["kid"] in published()
        assert client.userinfo(newer).status_code == 200

    def test_its_id_tokens_are_no_hints_any_more(self, clock, alice, web_app):
        token = web_app.redeem(alice.browser.authorize(web_app).code).members["id_token"]
        rotation.revoke(SigningKey.objects.get(kid=header_of(token)["kid"]))
        answer = web_app.http.get(f"/connect/endsession?id_token_hint={token}")
        assert answer.status_code == 400

    def test_the_private_half_is_erased(self, ring, clock):
        key = SigningKey.objects.get()
        rotation.revoke(key)
        key.refresh_from_db()
        assert (key.private_jwk, key.revoked_at, key.retires_at) == ("", clock.now(), clock.now())

    def test_a_key_that_has_retired_can_be_revoked_and_changes_nothing_else(self, ring, clock):
        clock.moment += 91 * DAY
        signing = signer("ES256").kid
        first = SigningKey.objects.earliest("sequence")
        retired = first.retires_at
        assert rotation.revoke(first)
        first.refresh_from_db()
        assert first.retires_at == retired
        assert signer("ES256").kid == signing
        assert SigningKey.objects.count() == 2

    def test_an_announced_one_is_followed_by_another(self, ring, clock):
        clock.moment += 80 * DAY
        key_ring()
        first, second = first_and_second()
        rotation.revoke(second)
        key_ring()
        third = SigningKey.objects.latest("sequence")
        assert (third.sequence, third.activates_at) == (3, first.retires_at)
        assert signer("ES256").kid == first.kid

    def test_once_only(self, ring):
        key = SigningKey.objects.get()
        assert rotation.revoke(key)
        assert not rotation.revoke(SigningKey.objects.get(pk=key.pk))
        assert not rotation.retire(SigningKey.objects.get(pk=key.pk))

    def test_a_worker_cut_off_from_the_database_signs_for_five_minutes_and_no_longer(self, ring, monkeypatch):
        """What was withdrawn meanwhile it cannot know; what it publishes and verifies by stays."""
        now = [caching.time.monotonic()]
        monkeypatch.setattr(caching.time, "monotonic", lambda: now[0])
        caching.forget()
        signer("ES256")
        with failing_database():
            now[0] += 5 * 60
            assert signer("ES256")
            now[0] += 11
            with pytest.raises(Exception, match="cannot sign"):
                signer("ES256")
            assert published()


@pytest.mark.django_db(transaction=True)
class TestMemories:
    """Nodes remember the ring and others the key set, each for as long as they may: still nobody is surprised."""

    @pytest.fixture
    def time_passes(self, clock, monkeypatch):
        """Move the clock on, and with it the one by which memories grow old."""
        monkeypatch.setattr(caching.time, "monotonic", lambda: clock.now().timestamp())

        def forward(**duration):
            clock.forward(**duration)

        return forward

    @pytest.fixture
    def surprises(self, one_algorithm, time_passes, clock, client):
        """Have a client get tokens every five seconds for a while, and verify them by the key set that it keeps."""
        machine = RelyingParty(allowed_grant_types=["client_credentials"])

        def verified() -> tuple[list[str], int]:
            surprising, seen, known, until = [], set(), [], clock.now()
            for _ in range(80):
                if clock.now() >= until:
                    response = client.get("/.well-known/openid-configuration/jwks")
                    known = [key["kid"] for key in response.json()["keys"]]
                    until = clock.now() + timedelta(seconds=int(response["Cache-Control"].rpartition("=")[2]))
                kid = header_of(machine.client_credentials().succeeds().access_token)["kid"]
                seen.add(kid)
                surprising += [kid] * (kid not in known)
                time_passes(seconds=5)
            return surprising, len(seen)

        return verified

    def test_when_the_next_key_takes_over_in_its_time(self, surprises, clock, time_passes):
        key_ring()
        time_passes(days=80)
        key_ring()
        time_passes(days=10, minutes=-3)
        assert surprises() == ([], 2)

    def test_when_it_does_by_command(self, surprises):
        key_ring()
        rotation.rotate(Algorithm.ES256, soon=True)
        assert surprises() == ([], 2)

    def test_with_the_shortest_announcement_that_the_checks_take(self, surprises, settings, clock, time_passes):
        periods = {"key_announcement": timedelta(seconds=75), "key_signing_period": timedelta(seconds=150)}
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **periods}
        assert surprises() == ([], 3)

    def test_a_node_that_remembers_a_revoked_key_forgets_it_in_ten_seconds(
        self, clock, time_passes, alice, relying_party
    ):
        client = relying_party()
        token = client.redeem(alice.browser.authorize(client).code).succeeds().access_token
        key_ring()
        # As another process does it, of which this one hears nothing.
        SigningKey.objects.filter(kid=header_of(token)["kid"]).update(revoked_at=clock.now(), private_jwk="")
        time_passes(seconds=10)
        assert client.userinfo(token).status_code == 401


@pytest.mark.django_db(transaction=True)
class TestManyNodes:
    """On both databases: whoever does it, it is done once."""

    def test_the_next_key_is_made_once(self, ring, clock):
        clock.moment += 80 * DAY
        caching.forget()
        assert len(set(parallel(6, lambda: tuple(key.kid for key in key_ring().keys)))) == 1
        assert SigningKey.objects.count() == 2

    def test_at_the_moment_of_rotation_all_take_the_same(self, ring, clock):
        clock.moment += 80 * DAY
        key_ring()
        clock.moment += 10 * DAY
        assert set(parallel(6, lambda: signer("ES256").kid)) == {SigningKey.objects.get(sequence=2).kid}

    def test_after_a_long_sleep_too(self, ring, clock):
        clock.moment += 365 * DAY
        assert set(parallel(6, lambda: signer("ES256").kid)) == {SigningKey.objects.get(sequence=2).kid}

    def test_rotating_at_once_makes_one_key(self, ring, clock):
        assert len(set(parallel(6, lambda: rotation.rotate(Algorithm.ES256, soon=True).kid))) == 1
        assert SigningKey.objects.count() == 2

    def test_revoking_at_once_makes_one_successor(self, ring, clock):
        key = SigningKey.objects.get()
        done = parallel(6, lambda: rotation.revoke(SigningKey.objects.get(pk=key.pk)))
        assert done.count(True) == 1
        caching.forget()
        assert signer("ES256").kid == SigningKey.objects.get(sequence=2).kid
        assert SigningKey.objects.count() == 2

    def test_lifetimes_that_are_raised_at_once_end_at_the_longest(self, ring, clock):
        wanted = iter([7200, 86400, 600, 1000000, 5000, 90000])
        parallel(6, lambda: signer("ES256", next(wanted)))
        assert SigningKey.objects.get().longest_lifetime == 1000000

    def test_processes_that_start_together_make_one_key(self, one_algorithm):
        """Real ones, each with nothing in memory."""
        program = (
            "import django; django.setup(); from django.db import connection as c; "
            f"c.settings_dict['NAME'] = {str(connection.settings_dict['NAME'])!r}; "
            "from identityserver.tokens.keys import signer; print(signer('ES256').kid)"
        )
        command = [sys.executable, "-W", "ignore", "-c", program]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        kids = {process.communicate(timeout=60)[0].strip() for process in started}
        assert kids == {SigningKey.objects.get(algorithm="ES256").kid}
