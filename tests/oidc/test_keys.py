"""The key ring: OpenID Connect Core §10.1, RFC 7517. Keys are made on first need and never replaced silently."""

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, connections

from identityserver import caching
from identityserver.encryption import Undecryptable
from identityserver.models import SigningKey
from identityserver.testing import RelyingParty
from identityserver.testing.relying_party import decoded
from identityserver.tokens import keys
from identityserver.tokens.keys import key_ring, signer
from tests.speaking import ISSUER, failing_database, header_of

pytestmark = pytest.mark.django_db

JWKS = "/.well-known/openid-configuration/jwks"
DAY = timedelta(days=1)
ANNOUNCED_FOR = 14 * DAY
SIGNS_FOR = 90 * DAY
PUBLISHED_FOR = 14 * DAY
#: What clocks that differ, and nodes that remember, add to every end.
LEEWAY = timedelta(minutes=10, seconds=10)


@pytest.fixture
def one_algorithm(settings):
    """RSA keys take a second to make, and a ring of one algorithm shows as much."""
    settings.IDENTITYSERVER = {"issuer": ISSUER, "id_token_signing_algorithm": "ES256"}


@pytest.fixture
def ring(one_algorithm, clock):
    """A ring that has just been made."""
    return key_ring()


def published(client):
    return [key["kid"] for key in client.get(JWKS).json()["keys"]]


class TestFirstKeys:
    """Made on first need, and signing at once."""

    def test_there_is_one_for_each_algorithm_that_the_server_uses(self, clock):
        assert set(key_ring().algorithms) == {"ES256", "RS256"}
        for key in SigningKey.objects.all():
            assert key.activates_at == clock.now()
            assert key.retires_at == clock.now() + SIGNS_FOR

    def test_the_first_request_of_all_succeeds(self, one_algorithm):
        machine = RelyingParty(allowed_grant_types=["client_credentials"])
        assert SigningKey.objects.count() == 0
        machine.client_credentials().succeeds()
        assert SigningKey.objects.count() == 1

    def test_an_algorithm_that_a_client_registers_gets_one_when_it_is_needed(self, alice, relying_party):
        client = relying_party(id_token_signed_response_alg="EdDSA")
        token = client.redeem(alice.browser.authorize(client).code).members["id_token"]
        assert header_of(token)["kid"] in published(client.http)

    @pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA"])
    def test_kids_are_thumbprints_and_keys_are_of_the_algorithm(self, one_algorithm, algorithm):
        signer(algorithm)
        key = SigningKey.objects.get(algorithm=algorithm)
        assert len(key.kid) == 43
        assert (key.public_jwk["kid"], key.public_jwk["alg"]) == (key.kid, algorithm)


@pytest.mark.django_db(transaction=True)
class TestWorkersThatStartTogether:
    """On both databases: one key, whoever makes it."""

    def test_eight_threads_make_one_key(self, one_algorithm):
        barrier, kids = threading.Barrier(8), []

        def start():
            try:
                barrier.wait()
                kids.append(signer("ES256").kid)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(kids) == 8
        assert set(kids) == {SigningKey.objects.get().kid}


class TestAtRest:
    """Private halves are encrypted, each for its own row."""

    def test_no_private_number_is_in_the_table(self, ring):
        key = SigningKey.objects.get()
        private = json.loads(key.decrypted())["d"]
        assert private not in key.private_jwk
        assert "d" not in key.public_jwk

    def test_an_envelope_moved_to_another_row_does_not_open(self, ring):
        key = SigningKey.objects.get()
        key.kid = "another"
        with pytest.raises(Undecryptable):
            key.decrypted()

    def test_an_old_secret_key_still_opens_what_it_sealed(self, settings, ring):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-key-for-this-test"
        assert SigningKey.objects.get().decrypted()

    def test_keys_of_its_own_take_the_place_of_secret_key(self, settings, one_algorithm):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": ["first"]}
        key_ring()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": ["second", "first"]}
        settings.SECRET_KEY = "another-key-for-this-test"
        assert SigningKey.objects.get().decrypted()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": ["second"]}
        with pytest.raises(Undecryptable):
            SigningKey.objects.get().decrypted()

    @pytest.mark.parametrize("envelope", ["", "x", "{}", "[]", '{"v": 1, "key": "x", "box": ""}'])
    def test_a_damaged_envelope_is_undecryptable_and_nothing_worse(self, ring, envelope):
        SigningKey.objects.update(private_jwk=envelope)
        with pytest.raises(Undecryptable):
            SigningKey.objects.get().decrypted()

    def test_a_key_management_service_may_do_it(self, settings, one_algorithm):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_protector": f"{__name__}.Reversing"}
        key_ring()
        key = SigningKey.objects.get()
        assert key.private_jwk.startswith("kms:")
        assert json.loads(key.decrypted())["kty"] == "EC"


class Reversing:
    """A host's own ``key_protector``."""

    def wrap(self, plaintext, context):
        return f"kms:{context}:{plaintext.decode()[::-1]}"

    def unwrap(self, envelope, context):
        return envelope.removeprefix(f"kms:{context}:")[::-1].encode()

    def is_current(self, envelope):
        return envelope.startswith("kms:")


class TestUndecryptable:
    """A key that cannot be opened: 503, a finding of the checks, and never a new key in its place."""

    @pytest.fixture
    def restart(self, settings):
        """Start anew with other ``key_encryption_keys``, and without the keys that were opened before."""

        def start(*secrets):
            settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": secrets}
            keys._decrypted_signer.cache_clear()

        return start

    @pytest.fixture
    def machine(self, one_algorithm):
        client = RelyingParty(allowed_grant_types=["client_credentials"])
        client.client_credentials().succeeds()
        return client

    def test_it_is_temporarily_unavailable_until_the_secret_is_back(self, restart, machine):
        restart("another")
        answer = machine.client_credentials().fails_with("temporarily_unavailable", 503)
        assert answer.response["Retry-After"]
        assert SigningKey.objects.count() == 1
        restart()
        machine.client_credentials().succeeds()

    def test_no_code_is_lost_over_it(self, restart, alice, web_app):
        code = alice.browser.authorize(web_app).code
        restart("another")
        web_app.redeem(code).fails_with("temporarily_unavailable", 503)
        restart()
        web_app.redeem(code).succeeds()

    def test_what_was_signed_is_still_verified(self, restart, alice, web_app):
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        restart("another")
        assert web_app.userinfo(token).status_code == 200

    def test_the_checks_find_it_and_say_what_to_do(self, restart, machine):
        call_command("check", databases=["default"], tags=["database"])
        restart("another")
        with pytest.raises(SystemCheckError, match=r"(?s)identityserver\.E014.*key_encryption_keys"):
            call_command("check", databases=["default"], tags=["database"])


class TestRotation:
    """Announced before they sign, published after; the oldest eligible key signs, so all workers agree."""

    def test_the_next_key_is_announced_fourteen_days_ahead(self, clock, ring, client):
        clock.moment += SIGNS_FOR - ANNOUNCED_FOR - DAY
        assert len(published(client)) == 1
        clock.moment += DAY
        assert len(published(client)) == 2
        first, second = SigningKey.objects.order_by("sequence")
        assert second.announced_at == clock.now()
        assert second.activates_at == first.retires_at
        assert signer("ES256").kid == first.kid

    def test_it_signs_when_its_time_has_come_and_the_last_one_stays_published(self, clock, ring, client):
        first = signer("ES256").kid
        clock.moment += SIGNS_FOR - DAY
        key_ring()
        clock.moment += DAY
        second = signer("ES256").kid
        assert second != first
        assert set(published(client)) == {first, second}
        clock.moment += PUBLISHED_FOR
        assert set(published(client)) == {first, second}
        clock.moment += LEEWAY
        assert published(client) == [second]

    def test_a_server_that_slept_for_a_year_makes_a_key_at_once(self, clock, ring, client):
        clock.moment += timedelta(days=365)
        assert signer("ES256").kid in published(client)

    def test_what_the_last_key_signed_is_accepted_as_long_as_it_lives(self, clock, one_algorithm, person, web_app):
        SigningKey.objects.all().delete()
        key_ring()
        alice = person("alice")
        clock.moment += SIGNS_FOR - timedelta(minutes=30)
        alice.sign_in()
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        clock.moment += timedelta(minutes=45)
        newer = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        assert header_of(newer)["kid"] != header_of(token)["kid"]
        assert web_app.userinfo(token).status_code == 200

    def test_the_oldest_eligible_key_signs(self, clock, ring):
        first = SigningKey.objects.get()
        clock.moment += SIGNS_FOR - DAY
        key_ring()
        SigningKey.objects.exclude(pk=first.pk).update(activates_at=clock.now())
        caching.forget()
        assert signer("ES256").kid == first.kid

    def test_a_deleted_key_verifies_nothing(self, clock, alice, web_app):
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        SigningKey.objects.filter(kid=header_of(token)["kid"]).update(deleted_at=clock.now())
        assert web_app.userinfo(token).status_code == 401


class TestFailingDatabase:
    """Published keys do not change by its failing."""

    def test_verifying_goes_on(self, ring):
        token = signer("ES256").sign({"sub": "x"}, typ="JWT")
        with failing_database():
            assert key_ring().verifiers[header_of(token)["kid"]]
        assert decoded(token) == {"sub": "x"}

    def test_the_constraint_that_keeps_one_key_a_place_is_the_database_s(self):
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, SigningKey._meta.db_table)
        assert constraints["identityserver_key_sequence"]["unique"]
