"""Which access tokens open an API (RFC 9068 §4, RFC 6750, RFC 8725 §3.11)."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from identityserver.models import Subject
from identityserver.resource_server.requests import verify_request
from identityserver.testing import Clock
from identityserver.testing.fixtures import Person
from identityserver.vocabulary import TokenType
from tests.resource_server.conftest import Api


class TestATokenForTheApi:
    def test_opens_it_for_the_user(self, api, token):
        response = api.get("/api/notes", token)
        assert (response.status_code, response.json()) == (200, {"notes_of": "alice"})

    def test_opens_it_for_a_client_of_its_own(self, api, machine_token, machine):
        response = api.get("/api/statistics", machine_token)
        assert (response.status_code, response.json()) == (200, {"asked_by": machine.client_id})

    def test_opens_it_for_the_user_whom_the_client_knows_by_another_name(self, api, alice, relying_party):
        """OpenID Connect Core §8.1: a pairwise sub tells nobody who it is but the server."""
        app = relying_party(scopes="openid notes.read", subject_type="pairwise")
        pairwise = app.redeem(alice.browser.authorize(app).code).succeeds().access_token
        assert api.get("/api/notes", pairwise).status_code == 200

    def test_without_a_user_does_not_open_what_is_a_persons(self, api, machine_token):
        assert api.get("/api/notes", machine_token).status_code == 403

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_comes_with_the_scheme_in_any_case(self, scheme, api, token):
        """RFC 9110 §11.1."""
        assert api.get("/api/notes", token, scheme=scheme).status_code == 200

    def test_may_come_in_a_form(self, api, token):
        """RFC 6750 §2.2."""
        assert api.http.post("/api/statistics", {"access_token": token}).status_code == 200

    def test_may_be_for_other_apis_too(self, api, mint):
        assert api.get("/api/notes", mint(aud=["https://other.example", "notes"])).status_code == 200

    def test_is_for_the_issuer_where_no_audience_is_named(self, api, mint, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "resource_server_audiences": []}
        assert api.get("/api/notes", mint(aud=settings.IDENTITYSERVER["issuer"])).status_code == 200
        assert api.get("/api/notes", mint()).status_code == 401

    @pytest.mark.django_db(transaction=True)  # inside a transaction, keys are not kept in memory
    def test_is_accepted_without_a_query(self, api, token, django_assert_num_queries):
        api.get("/api/statistics", token)
        with django_assert_num_queries(0):
            assert api.get("/api/statistics", token).status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_costs_one_query_where_the_user_is_looked_at(self, api, token, django_assert_num_queries):
        api.get("/api/notes", token)
        with django_assert_num_queries(1):
            assert api.get("/api/notes", token).status_code == 200


class TestRefused:
    """401 with the reason in the challenge (RFC 6750 §3.1)."""

    @pytest.fixture
    def refuses(self, api: Api) -> Callable[..., None]:
        def check(token: str, error: str = "invalid_token", **given: str) -> None:
            response = api.get("/api/notes", token, **given)
            assert response.status_code == 401
            assert f'error="{error}"' in response["WWW-Authenticate"]

        return check

    def test_a_request_without_a_token_is_told_the_scheme_only(self, api):
        response = api.get("/api/notes")
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api"')

    def test_an_id_token(self, refuses, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        refuses(tokens.members["id_token"])

    @pytest.mark.parametrize("typ", [TokenType.ID_TOKEN, "logout+jwt", ""])
    def test_any_other_token_of_ours(self, typ, refuses, mint):
        refuses(mint(typ=typ))

    @pytest.mark.parametrize("audience", ["https://other.example", [], ["note"], "NOTES", "http://testserver"])
    def test_a_token_for_another_audience(self, audience, refuses, mint):
        refuses(mint(aud=audience))

    def test_an_expired_token(self, refuses, token, clock: Clock):
        clock.forward(hours=1)
        refuses(token)

    def test_a_token_without_an_expiry(self, refuses, mint):
        refuses(mint(exp=None))

    def test_a_token_of_another_issuer(self, refuses, mint):
        """It bears our signature, which is the worst case: DOT is asked, and knows it not."""
        refuses(mint(iss="https://other.example"))

    def test_a_token_that_was_changed(self, refuses, token):
        header, payload, signature = token.split(".")
        refuses(f"{header}.{payload}.{signature[::-1]}")

    @pytest.mark.parametrize(
        "confirmation", [{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {"x5t#S256": "x"}, {}]
    )
    def test_a_token_that_is_bound_to_a_key(self, confirmation, refuses, mint):
        """CVE-2024-49755: without its proof a bound token is a stolen one (RFC 9449 §7.2, RFC 8705 §3)."""
        refuses(mint(cnf=confirmation))

    def test_the_dpop_scheme(self, refuses, token, mint):
        refuses(token, scheme="DPoP")
        refuses(mint(cnf={"jkt": "x"}), scheme="dpop")

    def test_a_token_in_the_url(self, api, refuses, token):
        """RFC 9700 §4.3.2: even beside one in the header."""
        assert api.get("/api/notes", access_token=token).status_code == 401
        assert api.get("/api/notes", token, access_token=token).status_code == 401

    def test_a_token_without_the_scope(self, api, mint):
        assert api.get("/api/notes", mint(scope="openid notes.write")).status_code == 403
        assert api.get("/api/notes", mint(scope=None)).status_code == 403

    @pytest.mark.parametrize(
        "changes", [{"is_active": False}, {"username": None}, {"subject": None}], ids=["inactive", "deleted", "unknown"]
    )
    def test_a_user_who_is_no_more(self, changes, api, token, alice: Person):
        match changes:
            case {"is_active": False}:
                alice.user.is_active = False
                alice.user.save()
            case {"username": None}:
                alice.user.delete()
            case _:
                Subject.objects.all().delete()
        assert api.get("/api/notes", token).status_code == 403


class TestWhatDotHolds:
    """DOT's tables know nothing of our tokens, whose ``cnf`` they could not hold."""

    def test_nothing_of_ours(self, api, token):
        assert api.get("/api/notes", token).status_code == 200
        assert (AccessToken.objects.count(), Application.objects.count()) == (0, 0)

    def test_nothing_even_when_a_view_saves_the_token(self, rf, token):
        request = rf.get("/", headers={"Authorization": f"Bearer {token}"})
        _, verified = verify_request(request, scopes=())
        with pytest.raises(ValueError, match="unsaved"):
            verified.access_token.save()
        assert AccessToken.objects.count() == 0


class TestWhatAViewSees:
    def test_is_what_dot_would_show(self, rf, token):
        request = rf.get("/", headers={"Authorization": f"Bearer {token}"})
        valid, verified = verify_request(request, scopes=["notes.read"])
        assert valid
        seen = verified.access_token
        assert seen.is_valid(["notes.read"])
        assert not seen.is_valid(["notes.write"])
        assert seen.scope == "notes.read openid"
        assert seen.resource == ["notes"]
        assert seen.user.get_username() == "alice"
        assert seen.claims["auth_time"] <= timezone.now().timestamp()
        assert verified.client.client_id == seen.claims["client_id"]
        assert verified.scopes == ["notes.read", "openid"]
        assert token not in f"{vars(seen)} {seen!r} {seen}"
