"""Cross-origin requests of scripts: the Fetch standard §3.2, for clients that run in a browser (RFC 9700 §2.6)."""

import pytest

from tests.speaking import failing_database, url_of

pytestmark = pytest.mark.django_db

ORIGIN = "https://spa.example"
ALLOW = "Access-Control-Allow-Origin"
OPEN_TO_CLIENTS = pytest.mark.parametrize("endpoint", ["token", "userinfo", "device_authorization", "revocation"])


@pytest.fixture
def spa(relying_party):
    return relying_party(
        token_endpoint_auth_method="none",
        redirect_uris=[f"{ORIGIN}/callback"],
        allowed_cors_origins=[ORIGIN, "http://localhost:3000"],
    )


@OPEN_TO_CLIENTS
class TestPreflight:
    """Fetch §4.8."""

    @pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
    def test_a_registered_origin_may_go_on(self, spa, endpoint, origin):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        response = spa.http.options(url_of(endpoint), headers={"Origin": origin, **asked})
        assert response.status_code == 204
        assert response[ALLOW] == origin
        assert "POST" in response["Access-Control-Allow-Methods"]
        assert {"authorization", "content-type"} <= set(
            response["Access-Control-Allow-Headers"].lower().replace(" ", "").split(",")
        )

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "null",
            "http://spa.example",
            f"{ORIGIN}.evil.example",
            f"{ORIGIN}/",
            f"{ORIGIN}:443",
            "HTTPS://SPA.EXAMPLE",
            "http://localhost:3001",
            "",
            "x" * 1000,
        ],
    )
    def test_any_other_may_not(self, spa, endpoint, origin):
        response = spa.http.options(url_of(endpoint), headers={"Origin": origin})
        assert ALLOW not in response.headers


@OPEN_TO_CLIENTS
class TestAnswers:
    """The answer itself, errors included."""

    def test_a_registered_origin_may_read_it(self, spa, endpoint):
        response = spa.http.post(url_of(endpoint), headers={"Origin": ORIGIN})
        assert response.status_code >= 400
        assert response[ALLOW] == ORIGIN

    def test_cookies_are_never_part_of_it(self, spa, endpoint):
        response = spa.http.post(url_of(endpoint), headers={"Origin": ORIGIN})
        assert "Access-Control-Allow-Credentials" not in response.headers

    def test_caches_know_that_it_depends_on_the_origin(self, spa, endpoint):
        for headers in ({"Origin": ORIGIN}, {"Origin": "https://evil.example"}, {}):
            assert "Origin" in spa.http.post(url_of(endpoint), headers=headers)["Vary"]

    def test_the_origin_of_a_disabled_client_is_none(self, spa, endpoint):
        type(spa.row).objects.update(enabled=False)
        assert ALLOW not in spa.http.post(url_of(endpoint), headers={"Origin": ORIGIN}).headers

    def test_a_failing_database_answers_all_the_same(self, spa, endpoint):
        with failing_database():
            response = spa.http.post(url_of(endpoint), "grant_type=x", content_type="x", headers={"Origin": ORIGIN})
        assert ALLOW not in response.headers


class TestSinglePageApp:
    """What it is for."""

    def test_a_script_redeems_its_code_and_reads_user_information(self, alice, spa):
        tokens = spa.redeem(alice.browser.authorize(spa).code).succeeds()
        headers = {"Origin": ORIGIN, "Authorization": f"Bearer {tokens.access_token}"}
        response = spa.http.get(url_of("userinfo"), headers=headers)
        assert response.json()["sub"] == tokens.id_token["sub"]
        assert response[ALLOW] == ORIGIN

    @pytest.mark.parametrize(
        "endpoint",
        ["authorization", "resume", "end_session", "login", "consent", "logout", "device", "device_confirm"],
    )
    def test_nothing_that_a_person_looks_at_is_open(self, spa, endpoint):
        for call in (spa.http.get, spa.http.options):
            assert ALLOW not in call(url_of(endpoint), headers={"Origin": ORIGIN}).headers
