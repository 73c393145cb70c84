"""The token endpoint and client authentication: RFC 6749 §2.3, §3.2, §5; OpenID Connect Core §9."""

from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
from django.db import connections
from django.utils import timezone

from identityserver import digests
from identityserver.client_authentication import client_secret
from identityserver.models import AuthorizationCode, ClientSecret, Event, Grant
from identityserver.testing.relying_party import FORM, basic
from tests.speaking import basic_header, failing_database, stored_rows, token_request, url_of, without_reference

pytestmark = pytest.mark.django_db

ASK = {"grant_type": "client_credentials"}


@pytest.fixture
def machine(relying_party, api):
    """A client that acts for itself."""
    return relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])


class TestRequest:
    """RFC 6749 §3.2: parameters in a form POST, and nowhere else."""

    def test_get_is_405_and_says_what_works(self, machine):
        response = machine.http.get(url_of("token"))
        assert response.status_code == 405
        assert response["Allow"] == "POST, OPTIONS"
        assert response.json()["error"] == "invalid_request"
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "application/x-www-form-urlencodedx"],
    )
    def test_another_media_type_is_415(self, machine, content_type):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request(ASK, headers, content_type=content_type).fails_with("invalid_request", 415)

    def test_a_charset_does_no_harm(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request(ASK, headers, content_type="application/x-www-form-urlencoded; charset=UTF-8").succeeds()

    @pytest.mark.parametrize(
        "query",
        [
            "?client_secret=x",
            "?code=x",
            "?refresh_token=x",
            "?code_verifier=x",
            "?access_token=x",
            "?client_assertion=x",
        ],
    )
    def test_credentials_in_the_query_are_refused(self, machine, query):
        """§2.3.1: the parameters MUST NOT be included in the request URI."""
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request(ASK, headers, query=query).fails_with("invalid_request")

    def test_a_grant_type_in_the_query_does_not_count(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request({"scope": "notes.read"}, headers, query="?grant_type=client_credentials").fails_with(
            "invalid_request"
        )

    def test_repeated_parameters_are_refused(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request([*ASK.items(), *ASK.items()], headers).fails_with("invalid_request")

    def test_unknown_parameters_are_ignored(self, machine):
        machine.client_credentials(flavour="vanilla").succeeds()

    def test_without_a_grant_type_the_request_is_invalid(self, machine):
        machine.token(scope="notes.read").fails_with("invalid_request")

    @pytest.mark.parametrize(
        "grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x", "CLIENT_CREDENTIALS"]
    )
    def test_a_grant_type_that_nobody_may_use_is_unsupported(self, machine, grant_type):
        machine.token(grant_type=grant_type).fails_with("unsupported_grant_type")

    @pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
    def test_a_grant_type_of_other_clients_is_unauthorized(self, machine, grant_type):
        machine.token(grant_type=grant_type, code="x", refresh_token="x").fails_with("unauthorized_client")

    @pytest.mark.parametrize("missing", ["code", "refresh_token"])
    def test_what_a_grant_type_needs_is_asked_for_by_name(self, relying_party, missing):
        client = relying_party(scopes="openid offline_access")
        grant_type = {"code": "authorization_code", "refresh_token": "refresh_token"}[missing]
        answer = client.token(grant_type=grant_type).fails_with("invalid_request")
        assert missing in answer.members["error_description"]


class TestErrorResponse:
    """RFC 6749 §5.2."""

    def test_errors_are_json_that_nobody_keeps(self, machine):
        answer = machine.client_credentials(scope="unknown").fails_with("invalid_scope")
        assert answer.response["Content-Type"] == "application/json"
        assert answer.response["Cache-Control"] == "no-store"
        assert answer.response["Pragma"] == "no-cache"
        assert answer.response["X-Content-Type-Options"] == "nosniff"

    def test_a_description_has_no_character_that_the_rfc_does_not_allow(self, machine):
        answer = machine.client_credentials(scope='"\\é').fails_with("invalid_scope")
        allowed = {*range(0x20, 0x22), *range(0x23, 0x5C), *range(0x5D, 0x7F)}
        assert set(map(ord, answer.members["error_description"])) <= allowed

    def test_staff_find_the_reason_by_the_reference(self, machine):
        members = machine.client_credentials(scope="unknown").members
        reference = members["error_description"].partition("(reference ")[2].rstrip(")")
        assert Event.objects.get(reference=reference).code == "invalid_scope"

    def test_an_error_writes_no_grant(self, machine):
        before = stored_rows()
        machine.client_credentials(scope="unknown")
        machine.token(grant_type="authorization_code", code="x")
        assert stored_rows() == before


class TestClientSecretBasic:
    """RFC 6749 §2.3.1."""

    def test_both_parts_are_form_encoded(self, relying_party, api):
        """``:``, ``%``, space and ``+`` survive."""
        client = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], client_id="https://app.example/a:b%+c"
        )
        ClientSecret.typed(client.row, "p:a%ss wörd+")
        headers = {"Authorization": basic(client.client_id, "p:a%ss wörd+")}
        token_request(ASK, headers).succeeds()
        percent = f"{quote(client.client_id, safe='')}:{quote('p:a%ss wörd+', safe='')}"
        token_request(ASK, basic_header(percent)).succeeds()

    @pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
    def test_the_scheme_has_no_case(self, machine, scheme):
        """RFC 9110 §11.1."""
        token_request(ASK, basic_header(f"{machine.client_id}:{machine.secret}", scheme)).succeeds()

    def test_the_client_id_may_be_repeated_in_the_body(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request({**ASK, "client_id": machine.client_id}, headers).succeeds()

    def test_but_not_another_one(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        token_request({**ASK, "client_id": "other"}, headers).fails_with("invalid_request")

    @pytest.mark.parametrize("credentials", ["", "x", "%%%", "Og==", "Og==\x00", "é", "OjpA", "A" * 5000])
    def test_a_malformed_header_is_invalid_client(self, credentials):
        headers = {"Authorization": f"Basic {credentials}"}
        token_request(ASK, headers).fails_with("invalid_client")

    def test_the_answer_names_the_scheme(self, machine):
        """§5.2: 401 with WWW-Authenticate where the client tried the Authorization header."""
        answer = token_request(ASK, basic_header(f"{machine.client_id}:wrong")).fails_with("invalid_client", 401)
        assert answer.response["WWW-Authenticate"].startswith("Basic ")


class TestClientSecretPost:
    """RFC 6749 §2.3.1: the alternative for clients that cannot set headers."""

    def test_in_the_body(self, relying_party, api):
        client = relying_party(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            token_endpoint_auth_method="client_secret_post",
        )
        client.client_credentials().succeeds()

    def test_it_stands_for_basic_where_the_client_accepts_either(self, machine):
        token_request({**ASK, "client_id": machine.client_id, "client_secret": machine.secret}).succeeds()

    def test_and_does_not_where_the_client_is_strict(self, relying_party, api):
        """Exactly by the registered method."""
        client = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], accept_either_secret_method=False
        )
        client.client_credentials().succeeds()
        form = {**ASK, "client_id": client.client_id, "client_secret": client.secret}
        token_request(form).fails_with("invalid_client")

    def test_registered_clients_are_always_strict(self, relying_party, api):
        client = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"], source="dcr")
        form = {**ASK, "client_id": client.client_id, "client_secret": client.secret}
        token_request(form).fails_with("invalid_client")

    def test_a_secret_without_a_client_id_is_malformed(self, machine):
        token_request({**ASK, "client_secret": machine.secret}).fails_with("invalid_request")


class TestTwoMethods:
    """RFC 6749 §2.3: the client MUST NOT use more than one authentication method in each request."""

    def test_header_and_body_at_once_are_refused(self, machine):
        headers = basic_header(f"{machine.client_id}:{machine.secret}")
        form = {**ASK, "client_id": machine.client_id, "client_secret": machine.secret}
        token_request(form, headers).fails_with("invalid_request")


class TestPublicClients:
    """RFC 6749 §2.1, §3.2.1: they say who they are, and prove nothing."""

    def test_a_public_client_redeems_by_its_client_id(self, alice, relying_party):
        app = relying_party(token_endpoint_auth_method="none")
        app.redeem(alice.browser.authorize(app).code).succeeds()

    def test_a_public_client_with_a_secret_is_refused(self, alice, relying_party):
        app = relying_party(token_endpoint_auth_method="none")
        code = alice.browser.authorize(app).code
        app.redeem(code, client_secret="x").fails_with("invalid_client")
        token_request({"grant_type": "authorization_code", "code": code}, basic_header(f"{app.client_id}:")).fails_with(
            "invalid_client"
        )
        app.redeem(code).succeeds()

    def test_a_confidential_client_cannot_pass_for_a_public_one(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        form = {
            "grant_type": "authorization_code",
            "client_id": web_app.client_id,
            "code": code,
            "redirect_uri": web_app.redirect_uri,
            "code_verifier": web_app.verifier,
        }
        token_request(form).fails_with("invalid_client")
        web_app.redeem(code).succeeds()

    def test_who_does_not_say_who_they_are_is_refused(self):
        token_request(ASK).fails_with("invalid_client")
        token_request(ASK, {"Authorization": "Bearer x"}).fails_with("invalid_client")


class TestRefusal:
    """An unknown client, a wrong secret and a wrong method answer alike."""

    def refusals(self, machine, relying_party):
        public = relying_party(token_endpoint_auth_method="none")
        disabled = relying_party(allowed_grant_types=["client_credentials"], enabled=False)
        unsupported = relying_party(token_endpoint_auth_method="private_key_jwt")
        expired = relying_party(allowed_grant_types=["client_credentials"])
        expired.row.secrets.update(expires=timezone.now())
        for name, joined in {
            "wrong secret": f"{machine.client_id}:wrong",
            "no secret": f"{machine.client_id}:",
            "the digest for the secret": f"{machine.client_id}:{digests.digest(machine.secret)}",
            "unknown client": "nobody:wrong",
            "public client": f"{public.client_id}:wrong",
            "disabled client": f"{disabled.client_id}:{disabled.secret}",
            "method that is not served": f"{unsupported.client_id}:{unsupported.secret}",
            "expired secret": f"{expired.client_id}:{expired.secret}",
        }.items():
            yield name, token_request(ASK, basic_header(joined))

    def test_all_alike(self, machine, relying_party):
        answers = {
            name: (answer.status, without_reference(answer.members), sorted(answer.response.headers.items()))
            for name, answer in self.refusals(machine, relying_party)
        }
        for status, members, _ in answers.values():
            assert (status, members["error"]) == (401, "invalid_client")
        stripped = [
            (status, members, [pair for pair in headers if pair[0] != "Content-Length"])
            for status, members, headers in answers.values()
        ]
        assert all(answer == stripped[0] for answer in stripped)

    def test_staff_can_tell_them_apart(self, machine):
        token_request(ASK, basic_header("nobody:wrong"))
        token_request(ASK, basic_header(f"{machine.client_id}:wrong"))
        details = list(Event.objects.filter(code="invalid_client").values_list("detail", flat=True))
        assert any("an unknown client" in detail for detail in details)
        assert any("a known client" in detail for detail in details)

    def test_too_many_failures_are_429_with_the_time_to_wait(self, clock, settings, machine):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 3}
        wrong = basic_header(f"{machine.client_id}:wrong")
        for _ in range(3):
            token_request(ASK, wrong).fails_with("invalid_client")
        answer = token_request(ASK, wrong).fails_with("slow_down", 429)
        assert 1 <= int(answer.response["Retry-After"]) <= 60
        clock.forward(minutes=1)
        machine.client_credentials().succeeds()

    def test_another_address_of_the_same_network_does_not_help(self, clock, settings, machine):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 3}
        asked = {"content_type": FORM, "headers": basic_header(f"{machine.client_id}:wrong")}
        answers = [
            machine.http.post(url_of("token"), urlencode(ASK), REMOTE_ADDR=f"2001:db8:1:2::{number}", **asked)
            for number in range(4)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]

    def test_the_failures_of_one_client_are_not_held_against_another(self, clock, settings, machine, relying_party):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 1}
        token_request(ASK, basic_header("nobody:wrong"))
        token_request(ASK, basic_header("nobody:wrong")).fails_with("slow_down", 429)
        machine.client_credentials().succeeds()


class TestSecrets:
    """Several at once make rotation possible; only digests are kept."""

    def test_the_old_and_the_new_secret_work_until_the_old_one_expires(self, clock, machine):
        old = machine.secret
        machine.row.secrets.update(expires=clock.now() + timedelta(hours=1))
        _, new = ClientSecret.generate(machine.row)
        for secret in (old, new):
            token_request(ASK, basic_header(f"{machine.client_id}:{secret}")).succeeds()
        clock.forward(hours=1)
        token_request(ASK, basic_header(f"{machine.client_id}:{old}")).fails_with("invalid_client")
        token_request(ASK, basic_header(f"{machine.client_id}:{new}")).succeeds()

    def test_a_deleted_secret_stops_working(self, machine):
        machine.row.secrets.get().delete()
        machine.client_credentials().fails_with("invalid_client")

    def test_a_generated_secret_has_256_bits_and_is_kept_as_a_digest(self, machine):
        row = machine.row.secrets.get()
        assert len(machine.secret) == 43
        assert machine.secret not in (row.digest, str(row))
        assert row.digest == digests.digest(machine.secret)

    def test_a_typed_secret_is_kept_under_a_key_of_the_server(self, machine):
        """A guessable secret must not be found by hashing a dictionary."""
        row = ClientSecret.typed(machine.row, "password")
        assert row.digest != digests.digest("password")
        token_request(ASK, basic_header(f"{machine.client_id}:password")).succeeds()
        token_request(ASK, basic_header(f"{machine.client_id}:Password")).fails_with("invalid_client")

    def test_its_last_use_is_noted_and_at_most_once_a_minute(self, clock, machine, monkeypatch):
        monkeypatch.setattr(client_secret, "_touched", {})  # row numbers come back after each test
        machine.client_credentials().succeeds()
        first = machine.row.secrets.get().last_used
        clock.forward(seconds=5)
        machine.client_credentials().succeeds()
        assert machine.row.secrets.get().last_used == first == clock.now() - timedelta(seconds=5)


class TestDatabaseFailure:
    """Rule 26: 503 ``temporarily_unavailable`` as JSON, and never an untrue definite answer."""

    @pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "client_credentials"])
    def test_every_grant_type_says_to_come_back(self, relying_party, grant_type):
        client = relying_party(
            scopes="openid offline_access",
            allowed_grant_types=["authorization_code", "refresh_token", "client_credentials"],
        )
        with failing_database():
            answer = client.token(grant_type=grant_type, code="x", refresh_token="x", code_verifier="x" * 43)
        answer.fails_with("temporarily_unavailable", 503)
        assert int(answer.response["Retry-After"]) >= 1
        assert "gone" not in answer.members["error_description"]

    def test_a_code_survives_it(self, alice, web_app):
        code = alice.browser.authorize(web_app).code
        with failing_database():
            web_app.redeem(code).fails_with("temporarily_unavailable", 503)
        web_app.redeem(code).succeeds()


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    """Protocol views are in no transaction of the host's, even with ATOMIC_REQUESTS."""

    def test_a_replay_is_punished_although_the_request_fails(self, monkeypatch, alice, relying_party):
        for alias in connections:
            monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
        client = relying_party(scopes="openid offline_access")
        code = alice.browser.authorize(client).code
        tokens = client.redeem(code).succeeds()
        client.redeem(code).fails_with("invalid_grant")
        assert Grant.objects.get().revoked_at is not None
        client.refresh(tokens.refresh_token).fails_with("invalid_grant")

    def test_a_refused_code_is_not_consumed(self, monkeypatch, alice, web_app):
        for alias in connections:
            monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
        code = alice.browser.authorize(web_app).code
        web_app.redeem(code, code_verifier="x" * 43).fails_with("invalid_grant")
        assert AuthorizationCode.objects.get().consumed_at is None
        web_app.redeem(code).succeeds()

    def test_what_is_read_is_remembered_between_requests(self, monkeypatch, django_assert_num_queries, machine):
        """Nothing is kept that was read inside a transaction: so no transaction was open."""
        for alias in connections:
            monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
        machine.client_credentials().succeeds()
        with django_assert_num_queries(0):
            machine.client_credentials().succeeds()
