"""Client authentication by assertions, and secrets of every kind: RFC 7521, RFC 7523, OpenID Connect Core §9.

The methods that send the secret itself are in ``test_token_endpoint.py``.
"""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from identityserver import encryption, jose
from identityserver.client_authentication import client_secret
from identityserver.clients import find_client
from identityserver.models import ApiScope, Client, ClientSecret, Event, UsedIdentifier
from identityserver.testing.assertions import ASSERTION_TYPE, assertion_claims, authenticated, signed
from identityserver.testing.relying_party import FORM
from identityserver.vocabulary import Algorithm, MacAlgorithm
from tests.speaking import ISSUER, basic_header, stored_rows, token_request, url_of, without_reference

pytestmark = pytest.mark.django_db

ASK = {"grant_type": "client_credentials"}
TOKEN_ENDPOINT = f"{ISSUER}/connect/token"


@pytest.fixture
def machine(relying_party, api):
    """Make clients that act for themselves and authenticate by a method."""

    def make(method="private_key_jwt", **fields):
        asked = {"allowed_grant_types": ["client_credentials"], "redirect_uris": [], **fields}
        return relying_party(scopes="notes.read", token_endpoint_auth_method=method, **asked)

    return make


def ask_with(assertion, **fields):
    """A token request with this assertion."""
    said = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **fields}
    return token_request({**ASK, **{name: value for name, value in said.items() if value is not None}})


def signed_with_header(key, claims, **header):
    """A JWT under a key pair, with exactly these members in its header."""
    jws = JWS(json.dumps(claims))
    jws.allowed_algs = [header["alg"]]
    jws.add_signature(JWK.from_json(key.private_jwk), protected=json.dumps(header))
    return jws.serialize(compact=True)


def reason():
    """What staff read of the last refusal."""
    return Event.objects.filter(code="invalid_client").latest("pk").detail


class TestPrivateKeyJwt:
    """OpenID Connect Core §9: a signature by a key whose public half is registered."""

    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_each_algorithm(self, machine, algorithm):
        client = machine(token_endpoint_auth_signing_alg=algorithm.value)
        client.client_credentials().succeeds()

    def test_a_user_s_code_is_redeemed(self, alice, relying_party):
        client = relying_party(token_endpoint_auth_method="private_key_jwt", scopes="openid offline_access")
        tokens = client.redeem(alice.browser.authorize(client).code).succeeds()
        client.refresh(tokens.refresh_token).succeeds()

    def test_the_client_id_may_come_with_it(self, machine):
        """RFC 7521 §4.2: it is unnecessary, and must identify the same client."""
        client, other = machine(), machine()
        ask_with(client.assertion(), client_id=client.client_id).succeeds()
        ask_with(client.assertion(), client_id=other.client_id).fails_with("invalid_client")

    def test_only_the_registered_algorithm_counts(self, machine):
        """OpenID Connect Dynamic Client Registration §2, token_endpoint_auth_signing_alg."""
        rsa = jose.generate(Algorithm.RS256)
        any_use = {name: value for name, value in rsa.public_jwk.items() if name != "alg"}
        client = machine(key=rsa, jwks={"keys": [any_use]}, token_endpoint_auth_signing_alg="PS256")
        claims = assertion_claims(client.client_id)
        ask_with(signed_with_header(rsa, claims, alg="RS256", kid=rsa.kid)).fails_with("invalid_client")
        ask_with(signed_with_header(rsa, claims, alg="PS256", kid=rsa.kid)).succeeds()

    def test_a_key_of_another_client_does_not_do(self, machine):
        client, other = machine(), machine()
        ask_with(signed(assertion_claims(client.client_id), other.key)).fails_with("invalid_client")

    def test_it_has_no_secret(self, machine):
        client = machine()
        secret = ClientSecret.generate(client.row)[1]
        token_request(ASK, basic_header(f"{client.client_id}:{secret}")).fails_with("invalid_client")
        mac = authenticated(assertion_claims(client.client_id), secret)
        ask_with(mac).fails_with("invalid_client")


class TestClientSecretJwt:
    """OpenID Connect Core §9: a MAC under the client_secret, which is recoverable for that and nothing else."""

    @pytest.mark.parametrize("algorithm", MacAlgorithm)
    def test_each_algorithm(self, machine, algorithm):
        machine("client_secret_jwt").client_credentials().succeeds()
        machine("client_secret_jwt", token_endpoint_auth_signing_alg=algorithm.value).client_credentials().succeeds()

    def test_only_the_registered_algorithm_counts(self, machine):
        client = machine("client_secret_jwt", token_endpoint_auth_signing_alg="HS512")
        claims = assertion_claims(client.client_id)
        ask_with(authenticated(claims, client.secret, "HS256")).fails_with("invalid_client")
        ask_with(authenticated(claims, client.secret, "HS512")).succeeds()

    def test_the_secret_itself_is_not_taken(self, machine):
        """Exactly by the registered method: it is not to travel."""
        client = machine("client_secret_jwt")
        token_request(ASK, basic_header(f"{client.client_id}:{client.secret}")).fails_with("invalid_client")
        form = {**ASK, "client_id": client.client_id, "client_secret": client.secret}
        token_request(form).fails_with("invalid_client")

    def test_nor_an_assertion_where_the_secret_is_sent(self, machine):
        client = machine("client_secret_basic")
        ask_with(authenticated(assertion_claims(client.client_id), client.secret)).fails_with("invalid_client")

    def test_several_secrets_make_rotation_possible(self, clock, machine):
        client = machine("client_secret_jwt")
        former = client.secret
        client.secret = client.new_secret()
        client.client_credentials().succeeds()
        client.row.secrets.earliest("pk").delete()
        client.client_credentials().succeeds()
        client.secret = former
        client.client_credentials().fails_with("invalid_client")

    def test_an_expired_secret_makes_none(self, clock, machine):
        client = machine("client_secret_jwt")
        client.row.secrets.update(expires=clock.now() + timedelta(minutes=1))
        client.client_credentials().succeeds()
        clock.forward(minutes=1)
        client.client_credentials().fails_with("invalid_client")

    def test_its_last_use_is_noted(self, clock, machine, monkeypatch):
        monkeypatch.setattr(client_secret, "_touched", {})  # row numbers come back after each test
        client = machine("client_secret_jwt")
        clock.forward(hours=1)
        client.client_credentials().succeeds()
        assert client.row.secrets.get().last_used == clock.now()

    def test_a_secret_that_was_typed_is_long_enough_for_a_key(self, machine):
        """RFC 7518 §3.2: whoever sees an assertion could find a short one by trying."""
        client = machine("client_secret_jwt")
        with pytest.raises(ValueError, match="32 octets"):
            ClientSecret.typed(client.row, "x" * 31, recoverable=True)
        ClientSecret.typed(client.row, "x" * 32, recoverable=True)
        ask_with(authenticated(assertion_claims(client.client_id), "x" * 32)).succeeds()
        ask_with(authenticated(assertion_claims(client.client_id), "x" * 32, "HS384")).fails_with("invalid_client")

    def test_a_secret_of_before_the_method_was_chosen_is_none(self, machine):
        """Only its digest was kept."""
        client = machine("client_secret_basic")
        client.row.token_endpoint_auth_method = "client_secret_jwt"
        client.row.save()
        client.client_credentials().fails_with("invalid_client")
        client.secret = client.new_secret()
        client.client_credentials().succeeds()

    def test_the_digest_is_no_key(self, machine):
        """What a dump of the tables shows opens nothing."""
        client = machine("client_secret_jwt")
        row = client.row.secrets.get()
        for known in (row.digest, row.encrypted, json.loads(row.encrypted)["box"]):
            ask_with(authenticated(assertion_claims(client.client_id), known)).fails_with("invalid_client")
        assert client.secret not in f"{row.digest} {row.encrypted}"

    def test_it_is_recoverable_no_longer_than_needed(self, machine):
        client = machine("client_secret_jwt")
        assert client.row.secrets.get().encrypted
        client.row.token_endpoint_auth_method = "client_secret_basic"
        client.row.save()
        assert not client.row.secrets.get().encrypted
        client.client_credentials().succeeds()

    def test_other_secrets_are_not_recoverable(self, machine):
        client = machine("client_secret_basic")
        ClientSecret.typed(client.row, "x" * 40)
        assert set(client.row.secrets.values_list("encrypted", flat=True)) == {""}

    def test_an_envelope_in_another_row_does_not_open(self, machine):
        """The associated data names table, row and purpose."""
        client, other = machine("client_secret_jwt"), machine("client_secret_jwt")
        other.row.secrets.update(encrypted=client.row.secrets.get().encrypted)
        other.secret = client.secret
        other.client_credentials().fails_with("temporarily_unavailable", 503)

    def test_it_is_kept_under_another_key_by_who_changes_keys(self, machine):
        """What ``identityserver_keys rekey`` relies on."""
        row = machine("client_secret_jwt").row.secrets.get()
        assert row.context(row.digest) == f"identityserver_clientsecret/{row.digest}/encrypted"
        assert encryption.decrypt(row.encrypted, row.context(row.digest)) == row.decrypted()


class TestUndecryptableSecret:
    """security.md: 503 with the remedy for staff, and never an untrue definite answer."""

    def test_it_is_said_that_nobody_can_say(self, settings, machine, caplog):
        client = machine("client_secret_jwt")
        settings.SECRET_KEY = "another key, and no fallback"
        answer = client.client_credentials().fails_with("temporarily_unavailable", 503)
        assert int(answer.response["Retry-After"]) >= 1
        assert "No configured key encryption key" in caplog.text
        assert "key encryption key" not in answer.members["error_description"]

    def test_another_secret_that_opens_still_counts(self, settings, machine):
        client = machine("client_secret_jwt")
        settings.SECRET_KEY = "another key, and no fallback"
        client.secret = client.new_secret()
        client.client_credentials().succeeds()

    def test_with_its_key_back_it_works_again(self, settings, machine):
        client, former = machine("client_secret_jwt"), settings.SECRET_KEY
        settings.SECRET_KEY = "another key"
        settings.SECRET_KEY_FALLBACKS = [former]
        client.client_credentials().succeeds()


class TestParameters:
    """RFC 7521 §4.2, RFC 7523 §2.2."""

    @pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
    def test_both_are_needed(self, machine, missing):
        answer = ask_with(machine().assertion(), **{missing: None}).fails_with("invalid_request")
        assert missing in answer.members["error_description"]

    @pytest.mark.parametrize(
        "kind",
        [
            "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "jwt-bearer",
            ASSERTION_TYPE.upper(),
        ],
    )
    def test_the_type_is_checked(self, machine, kind):
        ask_with(machine().assertion(), client_assertion_type=kind).fails_with("invalid_client")

    def test_two_methods_at_once_are_refused(self, machine):
        """RFC 6749 §2.3."""
        client, other = machine(), machine("client_secret_basic")
        ask_with(client.assertion(), client_id=client.client_id, client_secret="x").fails_with("invalid_request")
        said = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": client.assertion()}
        header = basic_header(f"{other.client_id}:{other.secret}")
        token_request({**ASK, **said}, header).fails_with("invalid_request")

    def test_an_assertion_in_the_query_is_refused(self, machine):
        query = f"?client_assertion={machine().assertion()}"
        token_request(ASK, query=query).fails_with("invalid_request")


class TestClaims:
    """RFC 7523 §3, OpenID Connect Core §9: each claim is needed, and means what it says."""

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"iss": None}, "iss and sub"),
            ({"iss": "another"}, "iss and sub"),
            ({"sub": None}, "iss and sub"),
            ({"sub": "another"}, "iss and sub"),
            ({"sub": ["x"]}, "iss and sub"),
            ({"sub": {"x": 1}}, "iss and sub"),
            ({"aud": None}, "aud"),
            ({"aud": ""}, "aud"),
            ({"aud": []}, "aud"),
            ({"aud": "https://other.example"}, "aud"),
            ({"aud": ["https://other.example"]}, "aud"),
            ({"aud": f"{ISSUER}/"}, "aud"),
            ({"aud": f"{ISSUER}/connect/authorize"}, "aud"),
            ({"aud": {"x": ISSUER}}, "aud"),
            ({"aud": [[ISSUER]]}, "aud"),
            ({"aud": 1}, "aud"),
            ({"jti": None}, "jti"),
            ({"jti": ""}, "jti"),
            ({"jti": 1}, "jti"),
            ({"jti": ["x"]}, "jti"),
            ({"exp": None}, "exp"),
            ({"exp": "9999999999"}, "exp"),
            ({"exp": True}, "exp"),
            ({"exp": [1]}, "exp"),
            ({"exp": 0}, "expired"),
            ({"exp": -1e308}, "expired"),
            ({"exp": 10**15}, "ahead"),
            ({"exp": 10**400}, "ahead"),
            ({"exp": 1e308}, "ahead"),
            ({"iat": "now"}, "iat"),
            ({"iat": 10**15}, "future"),
            ({"nbf": 10**15}, "future"),
            ({"nbf": "x"}, "nbf"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_told_to_staff_alone(self, clock, machine, changes, said):
        client = machine()
        answer = ask_with(client.assertion(**changes), client_id=client.client_id).fails_with("invalid_client")
        assert without_reference(answer.members)["error_description"] == "Client authentication failed."
        assert said in reason()

    @pytest.mark.parametrize(("exp", "is_good"), [(0, False), (1, True), (299, True), (300, True), (301, False)])
    def test_it_expires_within_five_minutes(self, clock, machine, exp, is_good):
        answer = ask_with(machine().assertion(exp=int(clock.now().timestamp()) + exp))
        assert (answer.status == 200) == is_good

    @pytest.mark.parametrize("claim", ["iat", "nbf"])
    @pytest.mark.parametrize(("ahead", "is_good"), [(-120, True), (0, True), (10, True), (61, False), (3600, False)])
    def test_clocks_may_differ_by_ten_seconds(self, clock, machine, claim, ahead, is_good):
        answer = ask_with(machine().assertion(**{claim: clock.now().timestamp() + ahead}))
        assert (answer.status == 200) == is_good

    def test_iat_may_be_left_out(self, machine):
        ask_with(machine().assertion(iat=None)).succeeds()


class TestAudience:
    """RFC 7523 §3, RFC 9126 §2: the issuer, the token endpoint or the endpoint that is called."""

    @pytest.mark.parametrize("audience", [ISSUER, TOKEN_ENDPOINT, [ISSUER], ["https://other.example", TOKEN_ENDPOINT]])
    def test_names_of_this_server(self, machine, audience):
        ask_with(machine().assertion(aud=audience)).succeeds()

    @pytest.mark.parametrize("endpoint", ["revocation", "introspection"])
    def test_an_endpoint_is_named_where_it_is_called_and_nowhere_else(self, machine, endpoint):
        client = machine()
        for audience, is_good in [
            (ISSUER, True),
            (TOKEN_ENDPOINT, True),
            (f"{ISSUER}{url_of(endpoint)}", True),
            (f"{ISSUER}{url_of('userinfo')}", False),
        ]:
            said = {"client_assertion": client.assertion(aud=audience), "client_assertion_type": ASSERTION_TYPE}
            answer = client.http.post(url_of(endpoint), urlencode({**said, "token": "x"}), content_type=FORM)
            assert (answer.status_code == 200) == is_good
        ask_with(client.assertion(aud=f"{ISSUER}{url_of(endpoint)}")).fails_with("invalid_client")

    def test_an_assertion_of_one_endpoint_is_no_other_s(self, machine):
        client = machine()
        said = {"client_assertion": client.assertion(), "client_assertion_type": ASSERTION_TYPE}
        ask_with(said["client_assertion"]).succeeds()
        answer = client.http.post(url_of("revocation"), urlencode({**said, "token": "x"}), content_type=FORM)
        assert answer.json()["error"] == "invalid_client"

    def test_the_host_header_is_none(self, settings, machine):
        """Whoever sends the request chooses it."""
        settings.ALLOWED_HOSTS = ["*"]
        client = machine()
        said = {"client_assertion_type": ASSERTION_TYPE}
        said["client_assertion"] = client.assertion(aud="http://localhost/connect/token")
        token_request({**ASK, **said}, {"Host": "localhost"}).fails_with("invalid_client")

    @pytest.mark.parametrize(
        ("audience", "is_good"), [(ISSUER, True), ([ISSUER], False), (TOKEN_ENDPOINT, False), ([TOKEN_ENDPOINT], False)]
    )
    def test_a_strict_server_is_named_by_its_issuer_alone(self, settings, machine, audience, is_good):
        """Option ``strict_assertion_audience``; FAPI 2.0 Security Profile §5.3.2.1."""
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "strict_assertion_audience": True}
        assert (ask_with(machine().assertion(aud=audience)).status == 200) == is_good


class TestHeader:
    """RFC 7515 §4, RFC 8725 §3.11."""

    @pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
    def test_types_of_an_assertion(self, machine, typ):
        client = machine()
        header = {"alg": "ES256", "kid": client.key.kid, **({"typ": typ} if typ else {})}
        ask_with(signed_with_header(client.key, assertion_claims(client.client_id), **header)).succeeds()

    @pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "oauth-authz-req+jwt", "logout+jwt", "secevent+jwt"])
    def test_what_was_signed_for_something_else_is_no_assertion(self, machine, typ):
        client = machine()
        header = {"alg": "ES256", "kid": client.key.kid, "typ": typ}
        ask_with(signed_with_header(client.key, assertion_claims(client.client_id), **header)).fails_with(
            "invalid_client"
        )

    def test_an_unknown_key_id_is_refused(self, machine):
        client = machine()
        header = {"alg": "ES256", "kid": "another"}
        ask_with(signed_with_header(client.key, assertion_claims(client.client_id), **header)).fails_with(
            "invalid_client"
        )

    def test_without_a_key_id_there_must_be_no_choice(self, machine):
        """OpenID Connect Core §10.1."""
        key, second = jose.generate(Algorithm.ES256), jose.generate(Algorithm.ES256)
        one = machine(key=key)
        two = machine(key=key, jwks={"keys": [key.public_jwk, second.public_jwk]})
        ask_with(signed_with_header(key, assertion_claims(one.client_id), alg="ES256")).succeeds()
        ask_with(signed_with_header(key, assertion_claims(two.client_id), alg="ES256")).fails_with("invalid_client")
        two.client_credentials().succeeds()


class TestOneUse:
    """RFC 7523 §3: the jti is used once; by the database, before anything else is done."""

    @pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt"])
    def test_an_assertion_works_once(self, machine, method):
        client = machine(method)
        assertion = client.assertion()
        ask_with(assertion).succeeds()
        ask_with(assertion).fails_with("invalid_client")
        assert "used before" in reason()

    def test_so_does_a_jti_in_another_assertion(self, clock, machine):
        client = machine()
        ask_with(client.assertion(jti="x")).succeeds()
        ask_with(client.assertion(jti="x", aud=TOKEN_ENDPOINT)).fails_with("invalid_client")

    def test_other_clients_choose_theirs_freely(self, machine):
        for client in (machine(), machine()):
            ask_with(client.assertion(jti="1")).succeeds()

    def test_a_request_that_is_refused_later_used_it_up(self, machine):
        """An error issues nothing and writes nothing, but for the identifier."""
        assertion = machine().assertion()
        before = stored_rows()
        ask_with(assertion, scope="unknown").fails_with("invalid_scope")
        assert stored_rows() == before
        ask_with(assertion).fails_with("invalid_client")

    def test_nobody_else_can_use_it_up(self, machine):
        client, other = machine(), machine()
        claims = assertion_claims(client.client_id)
        ask_with(signed(claims, other.key), client_id=client.client_id).fails_with("invalid_client")
        assert not UsedIdentifier.objects.exists()
        ask_with(signed(claims, client.key)).succeeds()

    def test_it_is_remembered_for_as_long_as_it_is_good(self, clock, machine):
        ask_with(machine().assertion(exp=int(clock.now().timestamp()) + 300)).succeeds()
        assert UsedIdentifier.objects.get().expires > clock.now() + timedelta(seconds=300)


@pytest.mark.django_db(transaction=True)
class TestAnotherWorkerChangedTheRegistration:
    """Before a refusal is final the registration is read anew; the client is judged again, and is no replay."""

    def test_a_new_scope_works_at_once(self, machine):
        client = machine()
        client.client_credentials().succeeds()
        notes_write = ApiScope.objects.get(name="notes.write")
        through = client.row.api_scopes.through
        through.objects.bulk_create([through(client=client.row, apiscope=notes_write)])
        assertion = client.assertion()
        ask_with(assertion, scope="notes.write").succeeds()
        ask_with(assertion, scope="notes.write").fails_with("invalid_client")

    def test_so_does_a_new_key(self, machine):
        client = machine()
        client.client_credentials().succeeds()
        client.key = jose.generate(Algorithm.ES256)
        client.client_credentials().fails_with("invalid_client")
        Client.objects.update(jwks={"keys": [client.key.public_jwk]})
        client.client_credentials().succeeds()

    def test_and_another_method(self, machine):
        client = machine()
        client.client_credentials().succeeds()
        Client.objects.update(token_endpoint_auth_method="client_secret_jwt", jwks=None)
        client.key, client.row = None, Client.objects.get()
        client.secret = "x" * 40
        ClientSecret.typed(client.row, client.secret, recoverable=True)
        client.client_credentials().succeeds()

    def test_a_failed_assertion_costs_what_an_unknown_client_costs(self, machine):
        client = machine()
        client.client_credentials().succeeds()
        asked = {}
        for client_id in (client.client_id, "nobody"):
            assertion = signed(assertion_claims(client_id), jose.generate(Algorithm.ES256))
            with CaptureQueriesContext(connection) as queries:
                ask_with(assertion).fails_with("invalid_client")
            read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
            asked[client_id] = [sql.replace(client_id, "-") for sql in read]
        assert asked[client.client_id] == asked["nobody"]
        assert len(asked["nobody"]) == 1


class TestAlike:
    """An unknown client, a wrong key and a wrong method answer alike."""

    def refusals(self, machine):
        client, shared = machine(), machine("client_secret_jwt")
        basic, disabled = machine("client_secret_basic"), machine(enabled=False)
        key, claims = client.key, assertion_claims
        yield signed(claims("nobody"), key)
        yield authenticated(claims("nobody"), "x" * 64)
        yield signed(claims(client.client_id), jose.generate(Algorithm.ES256))
        yield signed(claims(client.client_id), jose.generate(Algorithm.RS256))
        yield authenticated(claims(client.client_id), "x" * 64)
        yield authenticated(claims(shared.client_id), "x" * 64)
        yield signed(claims(shared.client_id), key)
        yield authenticated(claims(basic.client_id), basic.secret)
        yield disabled.assertion()
        yield client.assertion(exp=0)
        yield client.assertion(jti=None)
        yield client.assertion(sub="nobody")
        yield "x.y.z"
        yield "no JWT"

    def test_all_alike(self, machine):
        answers = [ask_with(assertion).fails_with("invalid_client", 401) for assertion in self.refusals(machine)]
        told = [
            (without_reference(answer.members), sorted(set(answer.response.headers) - {"Content-Length"}))
            for answer in answers
        ]
        assert all(answer == told[0] for answer in told)
        assert len(told) == 14

    def test_too_many_failures_are_429(self, clock, settings, machine):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 2}
        client = machine()
        for _ in range(2):
            ask_with(client.assertion(exp=0)).fails_with("invalid_client")
        ask_with(client.assertion(exp=0)).fails_with("slow_down", 429)
        client.client_credentials().succeeds()


class TestRegistration:
    """RFC 7591 §2: what cannot work is refused when it is registered, and a row that says so is not served."""

    KEY = jose.generate(Algorithm.ES256)
    JWKS = {"keys": [KEY.public_jwk]}

    def problems(self, **fields):
        client = Client(name="App", redirect_uris=["https://app.example/cb"], **fields)
        try:
            client.full_clean()
        except ValidationError as error:
            return {field: " ".join(texts) for field, texts in error.message_dict.items()}
        return {}

    @pytest.mark.parametrize(
        "fields",
        [
            {"jwks": JWKS},
            {"jwks_uri": "https://app.example/jwks"},
            {"jwks": JWKS, "token_endpoint_auth_signing_alg": "ES256"},
            {"jwks": {"keys": [KEY.public_jwk, {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}]}},
            {"jwks": {"keys": [KEY.public_jwk, {"kty": "new", "kid": "x"}]}},
            {"jwks": {"keys": [KEY.public_jwk, {**KEY.public_jwk, "use": "enc"}]}},
        ],
        ids=range(6),
    )
    def test_what_is_fine(self, fields):
        assert self.problems(token_endpoint_auth_method="private_key_jwt", **fields) == {}

    @pytest.mark.parametrize(
        ("fields", "field", "said"),
        [
            ({}, "jwks", "needs a public key"),
            ({"jwks": JWKS, "jwks_uri": "https://app.example/jwks"}, "jwks_uri", "not both"),
            ({"jwks": {}}, "jwks", "JSON Web Key Set"),
            ({"jwks": []}, "jwks", "JSON Web Key Set"),
            ({"jwks": "x"}, "jwks", "JSON Web Key Set"),
            ({"jwks": {"keys": []}}, "jwks", "JSON Web Key Set"),
            ({"jwks": {"keys": ["x"]}}, "jwks", "JSON Web Key Set"),
            ({"jwks": {"keys": [json.loads(KEY.private_jwk)]}}, "jwks", "private"),
            ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "jwks", "symmetric"),
            ({"jwks": {"keys": [{**KEY.public_jwk, "x": "AAAA"}]}}, "jwks", "malformed"),
            ({"jwks": {"keys": [{"kty": "RSA", "n": "AQAB" * 32, "e": "AQAB"}]}}, "jwks", "too small"),
            ({"jwks": {"keys": [{**KEY.public_jwk, "use": "enc"}]}}, "jwks", "needs a public key"),
            ({"jwks": {"keys": [{**KEY.public_jwk, "key_ops": ["encrypt"]}]}}, "jwks", "needs a public key"),
            ({"jwks": {"keys": [{**KEY.public_jwk, "alg": "ES512"}]}}, "jwks", "needs a public key"),
            ({"jwks": {"keys": [KEY.public_jwk] * 101}}, "jwks", "larger"),
            ({"jwks": {"keys": [{**KEY.public_jwk, "x5c": ["x" * 70_000]}]}}, "jwks", "larger"),
            ({"jwks": JWKS, "token_endpoint_auth_signing_alg": "RS256"}, "jwks", "needs a public key"),
            ({"jwks": JWKS, "token_endpoint_auth_signing_alg": "HS256"}, "token_endpoint_auth_signing_alg", "no such"),
            ({"jwks": JWKS, "token_endpoint_auth_signing_alg": "none"}, "token_endpoint_auth_signing_alg", "none"),
            ({"jwks_uri": "http://app.example/jwks"}, "jwks_uri", "https"),
            ({"jwks_uri": "http://localhost/jwks"}, "jwks_uri", "outbound_private_hosts"),
            ({"jwks_uri": "https://app.example:8443/jwks"}, "jwks_uri", "outbound_ports"),
            ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri", "valid"),
            ({"jwks_uri": "https://user@app.example/jwks"}, "jwks_uri", "user name"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_what_is_not(self, fields, field, said):
        problems = self.problems(token_endpoint_auth_method="private_key_jwt", **fields)
        assert said in problems[field]

    def test_an_algorithm_of_the_other_method(self):
        problems = self.problems(
            token_endpoint_auth_method="client_secret_jwt", token_endpoint_auth_signing_alg="ES256"
        )
        assert list(problems) == ["token_endpoint_auth_signing_alg"]

    def test_a_row_with_a_private_key_is_not_served(self, machine):
        client = machine()
        Client.objects.update(jwks={"keys": [json.loads(client.key.private_jwk)]})
        assert find_client(client.client_id) is None
        client.client_credentials().fails_with("invalid_client")


class TestDiscovery:
    """RFC 8414 §2."""

    @pytest.mark.parametrize("endpoint", ["revocation", "introspection"])
    def test_so_it_does_for_the_other_endpoints(self, client, signing_keys, endpoint):
        document = client.get("/.well-known/openid-configuration").json()
        assert "private_key_jwt" in document[f"{endpoint}_endpoint_auth_methods_supported"]
        algorithms = document["token_endpoint_auth_signing_alg_values_supported"]
        assert document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == algorithms

    def test_it_lists_the_methods_and_their_algorithms(self, client, signing_keys):
        document = client.get("/.well-known/openid-configuration").json()
        assert document["token_endpoint_auth_methods_supported"] == [
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "none",
        ]
        algorithms = document["token_endpoint_auth_signing_alg_values_supported"]
        assert set(algorithms) == {*Algorithm, *MacAlgorithm}
        assert "none" not in algorithms


def slow_hash(value: str) -> str:
    """A secret as another server kept it."""
    return PBKDF2PasswordHasher().encode(value, "salt", iterations=1000)


@pytest.fixture
def slow_hashers(settings):
    """What a site has whose secrets were hashed as Django hashes passwords."""

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    return settings


class TestImportedSecrets:
    """A slow hash of another server is taken over, and replaced once its secret is known."""

    def test_it_works_and_is_slow_no_more(self, slow_hashers, machine):
        client = machine("client_secret_basic")
        client.row.secrets.all().delete()
        row = ClientSecret.imported(client.row, slow_hash("imported"), description="from the old server")
        client.secret = "imported"
        client.client_credentials().succeeds()
        row.refresh_from_db()
        assert row.kind == "typed"
        assert "pbkdf2" not in row.digest
        assert row.description == "from the old server"
        slow_hashers.PASSWORD_HASHERS = []
        client.client_credentials().succeeds()
        token_request(ASK, basic_header(f"{client.client_id}:Imported")).fails_with("invalid_client")

    def test_a_wrong_one_leaves_it_as_it_is(self, slow_hashers, machine):
        client = machine("client_secret_basic")
        row = ClientSecret.imported(client.row, slow_hash("imported"))
        token_request(ASK, basic_header(f"{client.client_id}:{row.digest}")).fails_with("invalid_client")
        row.refresh_from_db()
        assert row.kind == "imported"

    def test_an_expired_one_does_not_count(self, slow_hashers, clock, machine):
        client = machine("client_secret_basic")
        ClientSecret.imported(client.row, slow_hash("imported"), expires=clock.now())
        token_request(ASK, basic_header(f"{client.client_id}:imported")).fails_with("invalid_client")

    def test_what_cannot_be_checked_is_not_taken_over(self, slow_hashers, machine):
        for encoded in ("plain", "", "!", "unknown$1$x$y", "pbkdf2_sha256$" + "x" * 255):
            with pytest.raises(ValueError, match=r"."):
                ClientSecret.imported(machine("client_secret_basic").row, encoded)

    def test_a_quick_secret_beside_it_stays_quick(self, slow_hashers, machine, monkeypatch):
        """It is asked first, wherever it stands."""
        client = machine("client_secret_basic")
        ClientSecret.imported(client.row, slow_hash("imported"))
        tried = []
        monkeypatch.setattr(PBKDF2PasswordHasher, "verify", lambda *asked: tried.append(asked) or False)
        client.client_credentials().succeeds()
        assert tried == []

    @pytest.mark.django_db(transaction=True)
    def test_a_database_that_takes_no_writes_does_not_lock_the_client_out(self, slow_hashers, machine):
        client = machine("client_secret_basic")
        ClientSecret.imported(client.row, slow_hash("imported"))

        def read_only(execute, sql, params, many, context):
            if sql.startswith("UPDATE"):
                raise OperationalError("read-only")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(read_only):
            for _ in range(2):
                token_request(ASK, basic_header(f"{client.client_id}:imported")).succeeds()
        assert client.row.secrets.filter(kind="imported").exists()

    def test_guessing_is_slowed_down_as_for_a_typed_one(self, slow_hashers, clock, machine):
        slow_hashers.IDENTITYSERVER = {
            **slow_hashers.IDENTITYSERVER,
            "client_authentication_failures_per_minute": 1,
        }
        client = machine("client_secret_basic")
        ClientSecret.imported(client.row, slow_hash("imported"))
        wrong, right = (basic_header(f"{client.client_id}:{said}") for said in ("guessed", "imported"))
        token_request(ASK, wrong).fails_with("invalid_client")
        token_request(ASK, right).fails_with("slow_down", 429)
        clock.forward(minutes=1)
        token_request(ASK, right).succeeds()

    @pytest.mark.django_db(transaction=True)
    def test_a_worker_that_remembers_the_slow_hash_goes_on(self, slow_hashers, machine):
        """What another worker has replaced since is still right here."""
        client = machine("client_secret_basic")
        client.row.secrets.all().delete()
        row = ClientSecret.imported(client.row, slow_hash("imported"))
        token_request(ASK, basic_header(f"{client.client_id}:wrong")).fails_with("invalid_client")
        row.replace_slow_hash("imported")
        for _ in range(2):
            token_request(ASK, basic_header(f"{client.client_id}:imported")).succeeds()
        token_request(ASK, basic_header(f"{client.client_id}:wrong")).fails_with("invalid_client")
