"""``identityserver_keys``: what whoever runs the site may do to keys (OpenID Connect Core §10.1.1)."""

import dataclasses
import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.utils import timezone

from identityserver import caching, encryption, jose
from identityserver.configuration import rekey
from identityserver.models import ClientSecret, ServerSecret, SigningKey
from identityserver.testing import RelyingParty
from identityserver.tokens import keys
from identityserver.tokens.keys import key_ring, signer
from identityserver.vocabulary import Algorithm
from tests.oidc.test_keys_rotation import published
from tests.speaking import ISSUER

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def run(*arguments: str, **options) -> str:
    out = io.StringIO()
    call_command("identityserver_keys", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def one_algorithm(settings):
    settings.IDENTITYSERVER = {"issuer": ISSUER, "id_token_signing_algorithm": "ES256"}
    settings.DEBUG = True


@pytest.fixture
def ring(one_algorithm, clock):
    return key_ring()


@pytest.fixture
def sealed_under(settings, one_algorithm):
    """Set ``key_encryption_keys``, and forget the keys that were opened before, as a restart does."""

    def start(*secrets):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": secrets}
        keys._decrypted_signer.cache_clear()
        caching.forget()

    return start


class TestList:
    def test_before_the_first_request(self, one_algorithm):
        assert "no key yet" in run("list")
        assert json.loads(run("list", "--json")) == []

    def test_it_shows_every_state(self, ring, clock):
        clock.moment += 80 * DAY
        signer("EdDSA")
        key_ring()
        shown = run("list")
        assert [line.split()[1:3] for line in shown.splitlines()[1:]] == [
            ["ES256", "signing"],
            ["ES256", "announced"],
            ["EdDSA", "signing"],
        ]
        clock.moment += 15 * DAY
        assert "retired, published" in run("list")
        clock.moment += 15 * DAY
        assert "due for deletion" in run("list")
        run("revoke", signer("ES256").kid, "--yes")
        assert "revoked" in run("list")

    def test_programs_get_json(self, ring):
        (key,) = json.loads(run("list", "--json"))
        assert key["state"] == "signing"
        assert key["kid"] == key["public_jwk"]["kid"]

    def test_no_private_half_is_shown(self, ring):
        private = json.loads(SigningKey.objects.get().decrypted())["d"]
        envelope = SigningKey.objects.get().private_jwk
        for shown in (run("list"), run("list", "--json")):
            assert private not in shown
            assert envelope not in shown


class TestRotate:
    def test_it_says_when(self, ring, clock):
        shown = run("rotate")
        second = SigningKey.objects.get(sequence=2)
        assert second.kid in shown
        assert f"{second.activates_at:%Y-%m-%d %H:%M}" in shown
        assert "--now" in shown

    def test_now(self, ring, clock):
        run("rotate", "--now")
        clock.moment += timedelta(minutes=2)
        assert signer("ES256").kid == SigningKey.objects.get(sequence=2).kid

    def test_only_the_algorithms_named(self, ring):
        signer("EdDSA")
        run("rotate", "EdDSA")
        assert SigningKey.objects.filter(algorithm="EdDSA").count() == 2
        assert SigningKey.objects.filter(algorithm="ES256").count() == 1

    def test_an_algorithm_that_there_is_not(self, one_algorithm):
        with pytest.raises(CommandError, match="HS256"):
            run("rotate", "HS256")


class TestRetireAndRevoke:
    def test_retire(self, ring):
        kid = signer("ES256").kid
        assert "signs no more" in run("retire", kid[:6])
        caching.forget()
        assert signer("ES256").kid != kid
        with pytest.raises(CommandError, match="does not sign"):
            run("retire", kid)

    def test_revoke_says_what_follows_and_asks(self, ring, monkeypatch):
        kid = signer("ES256").kid
        asked = []
        monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or "no")
        with pytest.raises(CommandError, match="Nothing was changed"):
            run("revoke", kid)
        assert SigningKey.objects.get().revoked_at is None
        monkeypatch.setattr("builtins.input", lambda prompt: kid[:8])
        shown = run("revoke", kid)
        assert "within 10 seconds" in shown
        assert "is revoked" in shown
        caching.forget()
        assert kid not in published()

    def test_no_key_looks_like_an_option(self, one_algorithm, monkeypatch):
        """One thumbprint in 64 begins with a dash."""
        drawn = [jose.generate(Algorithm.ES256) for _ in range(2)]
        drawn[0] = dataclasses.replace(drawn[0], kid=f"-{drawn[0].kid[1:]}")
        drawn[1] = dataclasses.replace(drawn[1], kid=f"x{drawn[1].kid[1:]}")
        kid = drawn[1].kid
        monkeypatch.setattr(jose, "generate", lambda algorithm: drawn.pop(0))
        assert signer("ES256").kid == kid

    @pytest.mark.parametrize("action", ["retire", "revoke"])
    def test_a_key_that_is_not_there_or_not_meant_alone(self, ring, action):
        run("rotate")
        SigningKey.objects.filter(sequence=1).update(kid="alike-1")
        SigningKey.objects.filter(sequence=2).update(kid="alike-2")
        for beginning, said in (("nothing", "No key begins"), ("alike", "Several keys begin")):
            with pytest.raises(CommandError, match=said):
                run(action, beginning)

    @pytest.mark.parametrize("action", ["retire", "revoke"])
    def test_nothing_is_the_beginning_of_no_key(self, ring, action):
        """A script whose variable is empty must not meet the only key there is."""
        with pytest.raises(CommandError, match="No key begins with ''"):
            run(action, "")
        assert SigningKey.objects.get().retires_at > timezone.now()

    def test_nobody_is_there_to_be_asked(self, ring, monkeypatch):
        """In a job the input is closed: nothing happens, and the message says so."""
        monkeypatch.setattr("sys.stdin", io.StringIO())
        with pytest.raises(CommandError, match="Nothing was changed"):
            run("revoke", signer("ES256").kid)
        assert SigningKey.objects.get().revoked_at is None


class TestRekey:
    """Under the first key, wherever it was broken off before, and while everything works."""

    @pytest.fixture
    def sealed(self, sealed_under):
        """A key, a server secret and a recoverable client secret under ``old``; then ``new`` comes first."""
        sealed_under("old")
        key_ring()
        ServerSecret.objects.value_of("typed_secrets")
        machine = RelyingParty(allowed_grant_types=["client_credentials"])
        machine.row.token_endpoint_auth_method = "client_secret_jwt"
        machine.row.save()
        ClientSecret.generate(machine.row, recoverable=True)
        sealed_under("new", "old")
        return machine

    def envelopes(self):
        rows = [*SigningKey.objects.values_list("private_jwk"), *ServerSecret.objects.values_list("encrypted")]
        rows += ClientSecret.objects.exclude(encrypted="").values_list("encrypted")
        assert len(rows) == 3
        return [envelope for (envelope,) in rows]

    def test_everything_is_encrypted_anew(self, sealed, sealed_under):
        assert not any(map(encryption.is_current, self.envelopes()))
        assert run("rekey").count("1 encrypted anew") == 3
        assert all(map(encryption.is_current, self.envelopes()))
        sealed_under("new")
        assert signer("ES256")
        assert ServerSecret.objects.value_of("typed_secrets")
        assert ClientSecret.objects.exclude(encrypted="").get().decrypted()

    def test_again_changes_nothing(self, sealed):
        run("rekey")
        before = self.envelopes()
        assert run("rekey").count("0 encrypted anew, 1 were current") == 3
        assert self.envelopes() == before

    def test_batches_reach_every_row(self, sealed, monkeypatch):
        monkeypatch.setattr(rekey, "BATCH", 1)
        for purpose in ("user_codes", "pairwise_subjects"):
            ServerSecret.objects.value_of(purpose)
        assert "server secrets: 1 encrypted anew, 2 were current" in run("rekey")

    def test_another_node_that_was_faster_is_not_overwritten(self, sealed, monkeypatch):
        """Both have read the old envelope; the second UPDATE finds it gone."""
        row = SigningKey.objects.get()
        run("rekey")
        done = rekey.Rekeyed("")
        before = SigningKey.objects.get().private_jwk
        rekey._rekey(rekey.SEALED[0], row, done)
        assert done.changed == 0
        assert SigningKey.objects.get().private_jwk == before

    def test_what_cannot_be_decrypted_is_named_and_left_as_it_is(self, sealed, sealed_under):
        sealed_under("new")
        before = self.envelopes()
        with pytest.raises(CommandError, match=r"(?s)cannot be decrypted.*key_encryption_keys"):
            run("rekey")
        assert self.envelopes() == before

    def test_keys_that_were_erased_are_passed_over(self, sealed):
        run("revoke", SigningKey.objects.get().kid, "--yes")
        run("rekey")

    def test_to_a_key_management_service(self, sealed, settings):
        protector = f"{__name__}.Vault"
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_protector": protector}
        keys._decrypted_signer.cache_clear()
        assert signer("ES256"), "what was encrypted before is still opened"
        run("rekey")
        assert all(envelope.startswith("vault:2:") for envelope in self.envelopes())
        settings.IDENTITYSERVER = {"issuer": ISSUER, "key_protector": protector, "id_token_signing_algorithm": "ES256"}
        settings.SECRET_KEY = "gone"
        keys._decrypted_signer.cache_clear()
        assert signer("ES256")
        assert run("rekey").count("1 were current") == 3


class Vault:
    """A key management service of a host's own, whose keys have versions."""

    def wrap(self, plaintext, context):
        return f"vault:2:{context}:{plaintext.hex()}"

    def unwrap(self, envelope, context):
        if not envelope.startswith(("vault:1:", "vault:2:")) or f":{context}:" not in envelope:
            raise encryption.Undecryptable(context)
        return bytes.fromhex(envelope.rpartition(":")[2])

    def is_current(self, envelope):
        return envelope.startswith("vault:2:")


class Json(Vault):
    """One whose envelopes are JSON with a version, as ours are."""

    def wrap(self, plaintext, context):
        return json.dumps({"v": 1, "context": context, "ciphertext": plaintext.hex()})

    def unwrap(self, envelope, context):
        parts = json.loads(envelope)
        assert parts["context"] == context
        return bytes.fromhex(parts["ciphertext"])

    def is_current(self, envelope):
        return True


class TestKeyManagementService:
    def test_its_envelopes_may_look_like_ours(self, settings, one_algorithm, clock):
        """Taken for one of ours, nothing that it wrapped could ever be opened."""
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_protector": f"{__name__}.Json"}
        RelyingParty(allowed_grant_types=["client_credentials"]).client_credentials().succeeds()

    @pytest.fixture
    def vault(self, settings, one_algorithm):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_protector": f"{__name__}.Vault"}

    def test_keys_are_wrapped_by_it_and_tokens_are_signed(self, vault, clock):
        machine = RelyingParty(allowed_grant_types=["client_credentials"])
        machine.client_credentials().succeeds()
        assert SigningKey.objects.get().private_jwk.startswith("vault:2:")

    def test_keys_of_an_old_version_are_wrapped_again(self, vault, clock):
        key_ring()
        key = SigningKey.objects.get()
        SigningKey.objects.update(private_jwk=key.private_jwk.replace("vault:2:", "vault:1:"))
        run("rekey")
        assert SigningKey.objects.get().private_jwk == key.private_jwk

    def test_while_it_fails_the_next_key_waits_and_nothing_else_does(self, vault, clock, monkeypatch, caplog):
        def fail(self, plaintext, context):
            raise OSError("the service is away")

        first = signer("ES256").kid
        clock.moment += 80 * DAY
        with monkeypatch.context() as patch:
            patch.setattr(Vault, "wrap", fail)
            assert signer("ES256").kid == first
            assert published() == [first]
        assert "could not be made" in caplog.text
        assert len(published()) == 2


class TestUndecryptable:
    """What cannot be opened is said, with what to do, and is never made anew."""

    def test_a_server_secret_is_a_finding_too(self, sealed_under):
        sealed_under("old")
        ServerSecret.objects.value_of("typed_secrets")
        sealed_under("new")
        with pytest.raises(SystemCheckError, match=r"(?s)server secret typed_secrets.*key_encryption_keys"):
            call_command("check", databases=["default"], tags=["database"])

    def test_the_log_says_what_to_do(self, sealed_under, caplog):
        sealed_under("old")
        machine = RelyingParty(allowed_grant_types=["client_credentials"])
        machine.client_credentials().succeeds()
        sealed_under("new")
        machine.client_credentials().fails_with("temporarily_unavailable", 503)
        assert "back into key_encryption_keys" in caplog.text
        assert SigningKey.objects.count() == 1

    def test_one_that_signs_no_more_is_none(self, sealed_under, clock):
        """Nothing is lost with it: only its public half is needed."""
        sealed_under("old")
        key_ring()
        clock.moment += 91 * DAY
        sealed_under("new")
        signer("ES256")
        call_command("check", databases=["default"], tags=["database"])
