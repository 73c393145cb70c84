"""Attacks on codes, refresh tokens and client authentication: one class for each known kind of vulnerability."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from identityserver import digests
from identityserver.models import AuthorizationCode, ClientSecret, Consent, Grant, RefreshToken
from identityserver.models import Client as ClientRow
from identityserver.testing import RelyingParty
from identityserver.testing.fixtures import Person
from identityserver.testing.relying_party import FORM, basic, challenge_of


class TestSkippedPkce:
    """CVE-2023-48228: once there was a challenge, a token request without its verifier is refused."""

    @pytest.mark.parametrize("verifier", [None, "", " ", "short", "a" * 43, "a" * 128, "a" * 129, "é" * 43])
    def test_no_or_a_wrong_verifier(self, alice: Person, web_app: RelyingParty, verifier: str | None) -> None:
        code = alice.browser.authorize(web_app).code
        web_app.redeem(code, code_verifier=verifier).fails_with("invalid_grant")
        assert not RefreshToken.objects.exists()
        web_app.redeem(code).succeeds()

    def test_nor_for_a_client_that_need_not_use_it(
        self, alice: Person, relying_party: Callable[..., RelyingParty]
    ) -> None:
        app = relying_party(require_pkce=False)
        code = alice.browser.authorize(app).code
        app.redeem(code, code_verifier=None).fails_with("invalid_grant")


class TestPkceDowngrade:
    """RFC 9700 §2.1.1, §4.8.2: nobody between client and server can take PKCE out of a flow."""

    def test_the_challenge_is_taken_out(self, alice: Person, web_app: RelyingParty) -> None:
        page = alice.browser.authorize(web_app, code_challenge=None, code_challenge_method=None)
        assert page.error == "invalid_request"

    def test_the_method_is_taken_out(self, alice: Person, web_app: RelyingParty) -> None:
        """RFC 7636 §4.3 would make it ``plain``."""
        for method in (None, "", "plain", "S256,plain"):
            page = alice.browser.authorize(web_app, code_challenge=web_app.verifier[:43], code_challenge_method=method)
            assert page.error == "invalid_request"

    def test_the_challenge_of_an_exempt_client_is_taken_out(
        self, alice: Person, relying_party: Callable[..., RelyingParty]
    ) -> None:
        """The client still sends its verifier: a verifier without a challenge is refused."""
        app = relying_party(require_pkce=False)
        code = alice.browser.authorize(app, code_challenge=None, code_challenge_method=None).code
        app.redeem(code).fails_with("invalid_grant")

    def test_a_public_client_cannot_be_exempt(self, relying_party: Callable[..., RelyingParty]) -> None:
        app = relying_party(token_endpoint_auth_method="none")
        ClientRow.objects.filter(pk=app.row.pk).update(require_pkce=False)
        response = HttpClient().get(app.authorization_url(code_challenge=None, code_challenge_method=None))
        assert response.status_code == 400


class TestCodeInjection:
    """RFC 9700 §4.5: a stolen code is of no use in another flow, and using it wrongly does not burn it."""

    def test_in_the_attacker_s_own_flow(
        self, alice: Person, person: Callable[..., Person], web_app: RelyingParty
    ) -> None:
        stolen = alice.browser.authorize(web_app).code
        web_app.redeem(stolen, code_verifier="attackers-verifier-" + "x" * 40).fails_with("invalid_grant")
        claims = web_app.redeem(stolen).succeeds().id_token
        assert claims["nonce"] == web_app.nonce

    def test_by_another_client(
        self, alice: Person, web_app: RelyingParty, relying_party: Callable[..., RelyingParty]
    ) -> None:
        stolen, evil = alice.browser.authorize(web_app).code, relying_party()
        evil.redeem(stolen, code_verifier=web_app.verifier).fails_with("invalid_grant")
        web_app.redeem(stolen).succeeds()

    def test_from_another_redirect_uri(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        """RFC 6749 §10.6."""
        app = relying_party(redirect_uris=["https://app.example/callback", "https://app.example/other"])
        code = alice.browser.authorize(app).code
        for uri in ("https://app.example/other", "https://app.example/callback/", "", None):
            app.redeem(code, redirect_uri=uri).fails_with("invalid_grant")
        app.redeem(code).succeeds()

    def test_a_code_is_no_refresh_token_and_no_access_token(self, alice: Person, web_app: RelyingParty) -> None:
        app = RelyingParty(scopes="openid offline_access")
        code = alice.browser.authorize(app).code
        app.refresh(code).fails_with("invalid_grant")
        assert app.userinfo(code).status_code == 401
        refresh_token = app.redeem(code).succeeds().refresh_token
        app.redeem(refresh_token).fails_with("invalid_grant")
        assert app.userinfo(refresh_token).status_code == 401

    def test_a_code_is_no_good_before_consent(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        """The handle in the page's URL is all that there is, and it is no code."""
        app = relying_party(require_consent=True)
        page = alice.browser.authorize(app)
        handle = dict(parse_qsl(urlsplit(page.url).query))["request"]
        app.redeem(handle).fails_with("invalid_grant")
        assert not AuthorizationCode.objects.exists()


class TestMixUp:
    """RFC 9207: a client of several servers can tell whose answer it got, errors included, in every mode."""

    @pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
    @pytest.mark.parametrize("changes", [{}, {"prompt": "login", "max_age": "x"}, {"scope": "nonsense"}])
    def test_iss(self, alice: Person, web_app: RelyingParty, mode: str, changes: dict[str, str]) -> None:
        page = alice.browser.authorize(web_app, response_mode=mode, **changes)
        assert page.parameters["iss"] == "http://testserver"
        assert page.parameters["state"] == web_app.state


class TestMassAssignment:
    """CVE-2021-27582: the forms of our pages answer a stored request, and no field of them changes it."""

    FORGED = {
        "client_id": "evil",
        "redirect_uri": "https://evil.example/",
        "scope": "openid profile email admin",
        "state": "evil",
        "nonce": "evil",
        "code_challenge": challenge_of("x" * 64),
        "code_challenge_method": "S256",
        "response_mode": "fragment",
        "approved_sid": "x",
        "approved_scopes": "admin",
        "user": "1",
    }

    def test_consent(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        app = relying_party(require_consent=True)
        page = alice.browser.authorize(app, scope="openid profile")
        answer = page.submit(
            allow="yes", scopes=["openid", "profile", "email", "admin", "offline_access"], **self.FORGED
        )
        assert answer.location.startswith("https://app.example/callback?code=")
        assert answer.parameters["state"] == app.state
        tokens = app.redeem(answer.code).succeeds()
        assert tokens.members["scope"] == "openid profile"
        assert tokens.id_token["nonce"] == app.nonce
        assert not tokens.refresh_token

    def test_login(self, person: Callable[..., Person], web_app: RelyingParty) -> None:
        bob = person("bob")
        page = bob.browser.authorize(web_app, scope="openid")
        answer = page.submit(username="bob", password=bob.password, login="yes", **self.FORGED)
        assert answer.location.startswith("https://app.example/callback?code=")
        assert web_app.redeem(answer.code).succeeds().members["scope"] == "openid"

    def test_the_query_of_the_consent_page(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        app = relying_party(require_consent=True)
        page = alice.browser.authorize(app, scope="openid")
        page.url += "&scope=email&redirect_uri=https://evil.example/&client_id=evil"
        assert page.allow().location.startswith("https://app.example/callback?code=")


class TestHeadAndOtherSafeMethods:
    """GitHub's OAuth bypass of 2019: a HEAD request must not pass for the post of the consent page."""

    @pytest.mark.parametrize("method", ["head", "options", "put", "delete", "patch", "trace"])
    def test_nothing_is_allowed_by_it(
        self, alice: Person, relying_party: Callable[..., RelyingParty], method: str
    ) -> None:
        app = relying_party(require_consent=True)
        page = alice.browser.authorize(app)
        url = f"{page.url}&allow=yes&scopes=openid"
        getattr(alice.browser.http, method)(url)
        assert alice.browser.open(page.url).shows("Allow")
        assert not Grant.objects.exists()
        assert not Consent.objects.exists()


class TestRefreshRace:
    """CVE-2026-1035: of many uses of one refresh token at once, one wins, and the rest end the family."""

    THREADS, ROUNDS = 4, 5

    @pytest.mark.django_db(transaction=True)
    def test_one_use_of_a_one_time_token(
        self, settings: Any, signing_keys: None, person: Callable[..., Person]
    ) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "refresh_token_retry_window": 0}
        alice = person("alice").sign_in()
        app = RelyingParty(scopes="openid offline_access", refresh_token_usage="one_time")
        for _ in range(self.ROUNDS):
            token = app.redeem(alice.browser.authorize(app).code).succeeds().refresh_token
            answers = self.at_once(app, token)
            winners = [members for members in answers if "access_token" in members]
            assert len(winners) == 1, answers
            assert {members["error"] for members in answers if members not in winners} == {"invalid_grant"}
            app.refresh(winners[0]["refresh_token"]).fails_with("invalid_grant")

    def at_once(self, app: RelyingParty, token: str) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        barrier = threading.Barrier(self.THREADS)

        def refresh() -> None:
            try:
                form = f"grant_type=refresh_token&refresh_token={token}"
                header = {"Authorization": basic(app.client_id, app.secret)}
                barrier.wait(timeout=20)
                response = HttpClient().post("/connect/token", form, content_type=FORM, headers=header)
                answers.append(json.loads(response.content))
            finally:
                connection.close()

        threads = [threading.Thread(target=refresh) for _ in range(self.THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert len(answers) == self.THREADS
        return answers


class TestScopeEscalation:
    """RFC 6749 §6: a refresh narrows and never widens, not even after a narrow one."""

    def test_refresh(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        app = relying_party(scopes="openid profile email offline_access")
        token = app.redeem(alice.browser.authorize(app, scope="openid profile offline_access").code).refresh_token
        for scope in ("openid email", "email", "admin", "openid profile offline_access email", "*"):
            app.refresh(token, scope=scope).fails_with("invalid_scope")
        narrow = app.refresh(token, scope="openid").succeeds()
        assert narrow.members["scope"] == "openid"
        assert app.userinfo(narrow.access_token).json().keys() == {"sub"}

    def test_what_the_code_gave_is_all_there_is(self, alice: Person, web_app: RelyingParty) -> None:
        code = alice.browser.authorize(web_app, scope="openid").code
        assert web_app.redeem(code, scope="openid email").succeeds().members["scope"] == "openid"


class TestClientImpersonation:
    """One client's credentials are of no use for what belongs to another (RFC 6749 §10.1)."""

    def test_refresh_tokens(self, alice: Person, relying_party: Callable[..., RelyingParty]) -> None:
        good, evil = (relying_party(scopes="openid offline_access") for _ in range(2))
        token = good.redeem(alice.browser.authorize(good).code).succeeds().refresh_token
        evil.refresh(token).fails_with("invalid_grant")
        good.refresh(token).succeeds()

    def test_a_public_client_needs_no_secret_and_takes_none(
        self, alice: Person, relying_party: Callable[..., RelyingParty]
    ) -> None:
        app = relying_party(token_endpoint_auth_method="none")
        code = alice.browser.authorize(app).code
        app.redeem(code, client_secret="x").fails_with("invalid_client")
        app.redeem(code).succeeds()

    def test_a_confidential_client_cannot_pass_for_a_public_one(self, alice: Person, web_app: RelyingParty) -> None:
        code = alice.browser.authorize(web_app).code
        form = (
            f"grant_type=authorization_code&code={code}&code_verifier={web_app.verifier}&client_id={web_app.client_id}"
        )
        response = HttpClient().post("/connect/token", form, content_type=FORM)
        assert response.status_code == 401

    def test_an_expired_secret(self, clock: Any, relying_party: Callable[..., RelyingParty]) -> None:
        app = relying_party(allowed_grant_types=["client_credentials"], redirect_uris=[])
        _, app.secret = ClientSecret.generate(app.row, expires=clock.now() + timedelta(days=1))
        app.client_credentials().succeeds()
        clock.forward(days=1)
        app.client_credentials().fails_with("invalid_client")


class TestClientEnumeration:
    """An unknown client and a wrong secret read the same and take the same work; time itself is nothing to test."""

    @pytest.fixture
    def count(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        digested: list[str] = []

        def counted(value: str, digest: Callable[[str], str] = digests.digest) -> str:
            digested.append(value)
            return digest(value)

        monkeypatch.setattr(digests, "digest", counted)
        return digested

    def attempt(self, header: str) -> tuple[int, dict[str, str], int, dict[str, Any]]:
        form = "grant_type=client_credentials"
        with CaptureQueriesContext(connection) as queries:
            response = HttpClient().post("/connect/token", form, content_type=FORM, headers={"Authorization": header})
        members = json.loads(response.content)
        members["error_description"] = members["error_description"].partition("(reference")[0]
        headers = {name: value for name, value in response.items() if name != "Date"}
        asked = [query["sql"] for query in queries if "event" not in query["sql"]]
        return response.status_code, headers, len(asked), members

    def test_same_words_and_digests(self, web_app: RelyingParty, count: list[str]) -> None:
        answers = []
        for client_id in (web_app.client_id, "nobody" + "x" * 16):
            count.clear()
            status, headers, _, members = self.attempt(basic(client_id, "wrong"))
            answers.append((status, headers, members, count.count("wrong")))
        assert answers[0] == answers[1]
        assert answers[0][-1] == 1

    @pytest.mark.django_db(transaction=True)  # as a site serves it: nothing is kept of what a transaction reads
    def test_same_queries(self, web_app: RelyingParty) -> None:
        """The database is asked as much for a client that it does not know."""
        counts = []
        for client_id in (web_app.client_id, "nobody" + "x" * 16):
            self.attempt(basic(client_id, "wrong"))
            counts.append(self.attempt(basic(client_id, "wrong"))[2])
        assert counts[0] == counts[1]
