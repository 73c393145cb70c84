"""Forged client assertions: who does not have the key gets nothing, whatever the header says (RFC 7523, RFC 8725).

Each attack knows all that is public of the client: its client_id, its key, where that is and a valid signature of it.
"""

import base64
import hmac
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import serialization
from django.contrib.auth.hashers import make_password
from django.db import connections
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from identityserver import jose
from identityserver.models import ClientSecret, Event, UsedIdentifier
from identityserver.testing.assertions import ASSERTION_TYPE, assertion_claims, authenticated, encoded, signed
from identityserver.vocabulary import Algorithm
from tests.speaking import token_request

pytestmark = pytest.mark.django_db

ASK = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}

#: Rounds of each race in the ordinary run.
ROUNDS = 20


@pytest.fixture
def machine(relying_party, api):
    def make(method="private_key_jwt", **fields):
        asked = {"allowed_grant_types": ["client_credentials"], "redirect_uris": [], **fields}
        return relying_party(scopes="notes.read", token_endpoint_auth_method=method, **asked)

    return make


@pytest.fixture(params=[Algorithm.ES256, Algorithm.RS256])
def victim(request, machine):
    return machine(token_endpoint_auth_signing_alg=request.param.value)


def ask_with(assertion, **fields):
    return token_request({**ASK, "client_assertion": assertion, **fields})


def forged(header, claims, signature=b""):
    """A token of any header, with any signature."""
    encode = base64.urlsafe_b64encode
    parts = [encode(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)]
    return b".".join(part.rstrip(b"=") for part in (*parts, encode(signature))).decode()


def mac(header, claims, key):
    signing_input = f"{encoded(header)}.{encoded(claims)}"
    made = hmac.digest(key, signing_input.encode(), "sha256")
    return f"{signing_input}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def by(key, claims, header):
    """Signed by the attacker's own key, with a header of their choice."""
    jws = JWS(claims if isinstance(claims, str) else json.dumps(claims))
    jws.allowed_algs = [header["alg"]]
    jws.add_signature(JWK.from_json(key.private_jwk), protected=json.dumps(header))
    return jws.serialize(compact=True)


class TestAlgorithmConfusion:
    """CVE-2015-9235, CVE-2016-10555: the verifier, not the header, says what kind of key it has."""

    def public_forms(self, key):
        """A public key in every form in which somebody could take it for a secret."""
        jwk = JWK(**key.public_jwk)
        for named in (key.public_jwk, {n: v for n, v in key.public_jwk.items() if n in {"kty", "crv", "x", "y", "n"}}):
            yield json.dumps(named).encode()
            yield json.dumps(named, separators=(",", ":"), sort_keys=True).encode()
        yield jwk.export_public().encode()
        yield jwk.export_to_pem()
        yield jwk.export_to_pem().strip()
        loaded = serialization.load_pem_public_key(jwk.export_to_pem())
        yield loaded.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        yield jwk.thumbprint().encode()
        yield b""

    @pytest.mark.parametrize("algorithm", ["HS256", "hs256", "HS256 "])
    def test_the_public_key_as_a_secret(self, victim, algorithm):
        header = {"alg": algorithm, "kid": victim.key.kid, "typ": "JWT"}
        for public in self.public_forms(victim.key):
            token = mac(header, assertion_claims(victim.client_id), public)
            ask_with(token, client_id=victim.client_id).fails_with("invalid_client")

    def test_nor_where_the_client_has_keys_and_shares_a_secret(self, machine):
        """Keys that it registered for something else are not its secret."""
        key = jose.generate(Algorithm.ES256)
        client = machine("client_secret_jwt", jwks={"keys": [key.public_jwk]})
        client.client_credentials().succeeds()
        for public in self.public_forms(key):
            token = mac({"alg": "HS256", "kid": key.kid}, assertion_claims(client.client_id), public)
            ask_with(token).fails_with("invalid_client")
        ask_with(signed(assertion_claims(client.client_id), key)).fails_with("invalid_client")

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["ES256"], {"ES256": 1}, "ES256K"])
    @pytest.mark.parametrize("signature", [b"", b"x"])
    def test_no_algorithm(self, victim, alg, signature):
        token = forged({"alg": alg, "kid": victim.key.kid}, assertion_claims(victim.client_id), signature)
        ask_with(token, client_id=victim.client_id).fails_with("invalid_client")
        ask_with(token.rstrip("."), client_id=victim.client_id).fails_with("invalid_client")

    @pytest.mark.parametrize("signature", [b"\0" * 64, b"", b"\0", b"\xff" * 64, b"\0" * 256, b"0" * 1000])
    def test_signatures_that_some_libraries_take(self, victim, signature):
        """CVE-2022-21449: r and s of zero."""
        header = {"alg": victim.row.token_endpoint_auth_signing_alg, "kid": victim.key.kid}
        token = forged(header, assertion_claims(victim.client_id), signature)
        ask_with(token, client_id=victim.client_id).fails_with("invalid_client")


class TestHeader:
    """RFC 8725 §3.10: a token does not bring its own key."""

    @pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
    def test_a_key_in_the_header(self, machine, member):
        victim, own = machine(), jose.generate(Algorithm.ES256)
        brought = {"jwk": own.public_jwk, "x5c": ["AAAA"]}.get(member, "https://evil.example/keys")
        for kid in (own.kid, victim.key.kid):
            header = {"alg": "ES256", "kid": kid, member: brought}
            token = forged(header, assertion_claims(victim.client_id), b"x" * 64)
            ask_with(token).fails_with("invalid_client")

    @pytest.mark.parametrize(
        "kid",
        [
            "../../../../dev/null",
            "x' OR '1'='1",
            "x\0y",
            "",
            " ",
            "\n",
            "https://evil.example/",
            "é" * 1000,
            ["x"],
            {},
            0,
        ],
        ids=ascii,
    )
    def test_a_key_id_is_only_compared(self, machine, kid):
        victim, own = machine(), jose.generate(Algorithm.ES256)
        token = by(own, assertion_claims(victim.client_id), {"alg": "ES256"})
        _, claims, signature = token.split(".")
        renamed = f"{encoded({'alg': 'ES256', 'kid': kid})}.{claims}.{signature}"
        ask_with(renamed).fails_with("invalid_client")

    def test_a_critical_extension_is_not_understood(self, machine):
        """RFC 7515 §4.1.11."""
        victim = machine()
        for header in ({"crit": ["b64"], "b64": False}, {"crit": ["x"], "x": 1}, {"b64": False}, {"zip": "DEF"}):
            token = forged({"alg": "ES256", **header}, assertion_claims(victim.client_id), b"x" * 64)
            ask_with(token).fails_with("invalid_client")


class TestMalformed:
    """No traceback, no 500, and no word of what was wrong."""

    @pytest.mark.parametrize(
        "token",
        [
            "x",
            ".",
            "..",
            "...",
            "a.b.c",
            "a.b.c.d.e",
            "e30.e30.",
            "e30.e30.e30",
            "bnVsbA.bnVsbA.eA",
            "W10.W10.eA",
            "{}.{}.{}",
            "=.=.=",
            "é.é.é",
            "\u202e.x.x",
        ],
        ids=ascii,
    )
    def test_what_is_no_jwt(self, machine, token):
        ask_with(token).fails_with("invalid_client")
        ask_with(token, client_id=machine().client_id).fails_with("invalid_client")

    @pytest.mark.parametrize(
        "header",
        [
            b'{"alg":"none","alg":"ES256"}',
            b'{"alg":"ES256","alg":"none"}',
            b'\xff{"alg":"ES256"}',
            b'{"alg":"ES256"}{}',
            b"[" * 20_000,
            b'{"alg":' + b"[" * 40 + b"]" * 40 + b"}",
            b'{"alg":"ES256","x":NaN}',
            b'{"alg":"ES256","kid":"\\ud800"}',
        ],
        ids=range(8),
    )
    def test_broken_headers(self, machine, header):
        victim = machine()
        ask_with(forged(header, assertion_claims(victim.client_id), b"x" * 64)).fails_with("invalid_client")

    def test_a_claim_that_is_said_twice(self, machine):
        """RFC 7519 §4: whoever reads the other one would see another client."""
        victim, own = machine(), machine()
        claims = json.dumps(assertion_claims(own.client_id))
        twice = claims[:-1] + f', "sub": "{victim.client_id}", "iss": "{victim.client_id}"}}'
        token = by(own.key, twice, {"alg": "ES256", "kid": own.key.kid})
        for client_id in (victim.client_id, own.client_id):
            ask_with(token, client_id=client_id).fails_with("invalid_client")

    @pytest.mark.parametrize(
        "sub",
        ["x\0y", "x" * 256, "x" * 10_000, "\ud800", "\n", "", 1, None, True, ["a"], {"a": 1}, "é\u202e"],
        ids=ascii,
    )
    def test_a_subject_that_no_database_can_hold(self, sub):
        """PostgreSQL knows no NUL."""
        claims = {"iss": sub, "sub": sub}
        ask_with(forged({"alg": "ES256"}, claims, b"x" * 64)).fails_with("invalid_client")

    @pytest.mark.parametrize("jti", ["x\0y", "\ud800", "x" * 30_000, "é" * 1000], ids=lambda jti: ascii(jti)[:20])
    def test_a_jti_that_no_column_can_hold(self, machine, jti):
        """Its digest is kept."""
        client = machine()
        claims = assertion_claims(client.client_id, jti=jti)
        assertion = by(client.key, claims, {"alg": "ES256", "kid": client.key.kid})
        ask_with(assertion).succeeds()
        ask_with(assertion).fails_with("invalid_client")

    @pytest.mark.parametrize("length", [50_001, 1_000_000])
    def test_oversized(self, machine, length):
        """Refused by its length, before anything in it is read."""
        client = machine()
        answer = ask_with(client.assertion(padding="x" * length), client_id=client.client_id)
        assert (answer.status, answer.members["error"]) == (400, "invalid_request")
        assert not UsedIdentifier.objects.exists()

    def test_large_and_deep_claims(self, machine):
        client = machine()
        deep: dict = {}
        for _ in range(40):
            deep = {"x": deep}
        ask_with(client.assertion(deep=deep)).fails_with("invalid_client")
        ask_with(client.assertion(padding=["x"] * 9_000)).succeeds()


class TestSomebodyElse:
    """A client's own key and secret open its own account only."""

    @pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt"])
    def test_an_assertion_about_another_client(self, machine, method):
        victim, attacker = machine(method), machine(method)
        for changes in (
            {"iss": victim.client_id, "sub": victim.client_id},
            {"sub": victim.client_id},
            {"iss": victim.client_id},
        ):
            for client_id in (victim.client_id, attacker.client_id):
                ask_with(attacker.assertion(**changes), client_id=client_id).fails_with("invalid_client")

    def test_the_server_s_own_tokens_are_no_assertions(self, alice, relying_party, machine):
        """Signed by this server, about the client, for this server."""
        web_app = relying_party(token_endpoint_auth_method="private_key_jwt")
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        for token in (tokens.access_token, tokens.members["id_token"], machine().client_credentials().access_token):
            for client_id in ({"client_id": web_app.client_id}, {}):
                ask_with(token, **client_id).fails_with("invalid_client")

    def test_a_public_client_proves_nothing_by_one(self, relying_party):
        app = relying_party(token_endpoint_auth_method="none")
        token = signed(assertion_claims(app.client_id), jose.generate(Algorithm.ES256))
        ask_with(token, client_id=app.client_id).fails_with("invalid_client")
        ask_with(authenticated(assertion_claims(app.client_id), "x" * 64)).fails_with("invalid_client")


class TestNothingIsTold:
    """The log, the event log and every row know no assertion and no secret."""

    def test_canaries(self, caplog, settings, machine):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "store_issuance_events": True}
        caplog.set_level("DEBUG")
        planted = []
        for method in ("private_key_jwt", "client_secret_jwt"):
            client = machine(method)
            good, stale = client.assertion(jti="a-jti-to-look-for"), client.assertion(exp=0)
            planted += [good.rpartition(".")[2], stale.rpartition(".")[2], client.secret or "x" * 50]
            ask_with(good).succeeds()
            ask_with(good).fails_with("invalid_client")
            ask_with(stale).fails_with("invalid_client")
            ask_with(good[:-3] + "AAA", client_id="other").fails_with("invalid_client")
            token_request(ASK, query=f"?client_assertion={good}").fails_with("invalid_request")
            rows = [*client.row.secrets.values(), *UsedIdentifier.objects.values(), *Event.objects.values()]
            places = [caplog.text, str(rows), repr(list(client.row.secrets.all()))]
            assert not [word for word in (*planted, "a-jti-to-look-for") for place in places if word in place]


def parallel(count, act):
    """What ``act`` returns in each of ``count`` threads that start at once, each with a connection of its own."""
    barrier = threading.Barrier(count)

    def run(_number):
        try:
            barrier.wait(timeout=30)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """security.md: of N uses of one jti at once exactly one is accepted, the rest are refused, and nothing is a 5xx."""

    @pytest.fixture(autouse=True)
    def unlimited(self, settings):
        """Refusals by the dozen, which the limit would answer."""
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 0}

    @pytest.mark.parametrize("threads", [2, 8, 32])
    def test_one_jti(self, machine, threads):
        client = machine()
        client.client_credentials().succeeds()
        for _ in range(ROUNDS):
            assertion = client.assertion()
            answers = parallel(threads, lambda assertion=assertion: ask_with(assertion))
            assert Counter(answer.status for answer in answers) == {200: 1, 401: threads - 1}

    def test_a_secret_that_is_recovered(self, machine):
        client = machine("client_secret_jwt")
        for _ in range(ROUNDS):
            assertion = client.assertion()
            answers = parallel(8, lambda assertion=assertion: ask_with(assertion))
            assert Counter(answer.status for answer in answers) == {200: 1, 401: 7}

    def test_a_slow_hash_that_many_use_at_once(self, machine):
        """Each of them is right, whoever replaces it."""
        client = machine("client_secret_post")
        client.row.secrets.all().delete()
        client.secret = "imported"
        for _ in range(ROUNDS):
            row = ClientSecret.imported(client.row, make_password(client.secret))
            answers = parallel(8, client.client_credentials)
            assert {answer.status for answer in answers} == {200}
            row.refresh_from_db()
            assert row.kind == "typed"
            row.delete()

    def test_different_ones_do_not_disturb_each_other(self, machine):
        client = machine()
        answers = parallel(8, lambda: ask_with(client.assertion()))
        assert {answer.status for answer in answers} == {200}
