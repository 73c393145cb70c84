"""Token introspection: RFC 7662, with JWT responses (RFC 9701)."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from identityserver import digests, jose
from identityserver.client_authentication import client_secret
from identityserver.models import (
    ApiResource,
    ApiScope,
    ApiSecret,
    Event,
    Grant,
    ReferenceToken,
    RefreshToken,
    UserSession,
)
from identityserver.testing.relying_party import FORM, basic
from identityserver.tokens.keys import key_ring
from tests.speaking import ISSUER, AskingApi, basic_header, failing_database, header_of, url_of, without_reference

pytestmark = pytest.mark.django_db

INACTIVE = {"active": False}
JWT = "application/token-introspection+jwt"


@pytest.fixture(params=["jwt", "reference"])
def kind(request):
    """Every promise holds for both kinds of access tokens."""
    return request.param


@pytest.fixture
def asking(api):
    """The API ``https://api.example``, which has a secret."""
    return AskingApi(api)


@pytest.fixture
def app(relying_party, api, kind):
    """A web app that may read notes for people."""
    return relying_party(scopes="openid notes.read notes.write offline_access", access_token_type=kind)


@pytest.fixture
def tokens(alice, app):
    return app.redeem(alice.browser.authorize(app).code).succeeds()


@pytest.fixture
def machine(relying_party, api, kind):
    """A client that acts for itself."""
    return relying_party(
        scopes="notes.read", allowed_grant_types=["client_credentials"], redirect_uris=[], access_token_type=kind
    )


def ask(form, headers=None, **extra):
    """A raw request, with exactly these fields and headers."""
    http = HttpClient(raise_request_exception=False)
    return http.post(url_of("introspection"), urlencode(form), content_type=FORM, headers=headers or {}, **extra)


def refused(response, error="invalid_client", status=401):
    assert response.status_code == status, response.content
    assert response.json()["error"] == error
    assert "active" not in response.json()
    return True


class TestAnApi:
    """§2.2: about the tokens that are for it, and of those what concerns it."""

    def test_learns_what_the_token_says(self, clock, alice, app, asking):
        tokens = app.redeem(alice.browser.authorize(app, scope="openid notes.read").code).succeeds()
        response = asking.introspect(tokens.access_token)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert "no-store" in response["Cache-Control"]
        members, now = response.json(), int(clock.now().timestamp())
        assert members.pop("jti").startswith(Grant.objects.get().pk.hex)
        assert members == {
            "active": True,
            "token_type": "Bearer",
            "iss": ISSUER,
            "sub": tokens.id_token["sub"],
            "aud": "https://api.example",
            "client_id": app.client_id,
            "scope": "notes.read",
            "iat": now,
            "exp": now + 3600,
            "auth_time": now,
            "amr": ["pwd"],
        }

    def test_learns_of_a_token_without_a_user(self, machine, asking):
        members = asking.introspect(machine.client_credentials().access_token).json()
        assert members["active"] is True
        assert members["sub"] == members["client_id"] == machine.client_id
        assert not {"auth_time", "amr", "acr", "username"} & members.keys()

    def test_is_told_no_user_name(self, tokens, asking):
        """§2.2 makes it optional; who needs it has the claim ``preferred_username`` sent."""
        assert "username" not in asking.introspect(tokens.access_token).json()

    def test_sees_only_its_own_scopes_and_audience(self, tokens, asking):
        other = ApiResource.objects.create(name="other")
        assert asking.introspect(tokens.access_token).json()["scope"] == "notes.read notes.write"
        asking.row.api_scopes.remove(asking.row.api_scopes.get(name="notes.write"))
        other.api_scopes.set([ApiScope.objects.get(name="notes.write")])
        assert asking.introspect(tokens.access_token).json()["scope"] == "notes.read"

    def test_of_a_token_for_two_apis_each_sees_its_part(self, alice, app, asking):
        other = ApiResource.objects.create(name="other", user_claims=["name"])
        write = ApiScope.objects.get(name="notes.write")
        other.api_scopes.set([write])
        asking.row.api_scopes.remove(write)
        ApiScope.objects.filter(name="notes.read").update(user_claims=["email"])
        token = app.redeem(alice.browser.authorize(app).code).access_token
        first, second = (each.introspect(token).json() for each in (asking, AskingApi(other)))
        assert (first["aud"], first["scope"], first.get("email"), first.get("name")) == (
            "https://api.example",
            "notes.read",
            "alice@example.com",
            None,
        )
        assert (second["aud"], second["scope"], second.get("email"), second.get("name")) == (
            "other",
            "notes.write",
            None,
            "Alice Adams",
        )

    def test_sees_the_fixed_claims_of_the_client(self, relying_party, api, asking, kind):
        machine = relying_party(
            scopes="notes.read",
            allowed_grant_types=["client_credentials"],
            claims={"tenant": "north"},
            access_token_type=kind,
        )
        assert asking.introspect(machine.client_credentials().access_token).json()["client_tenant"] == "north"

    def test_a_claim_cannot_speak_for_the_server(self, alice, app, asking):
        asking.row.user_claims = ["active", "token_type"]
        asking.row.save()
        token = app.redeem(alice.browser.authorize(app).code).access_token
        assert (asking.introspect(token).json()["active"]) is True

    def test_sees_a_scope_with_its_value(self, relying_party, api, asking, kind):
        api.api_scopes.add(ApiScope.objects.create(name="payment", parameterised=True))
        machine = relying_party(scopes="payment", allowed_grant_types=["client_credentials"], access_token_type=kind)
        token = machine.client_credentials(scope="payment:7").succeeds().access_token
        assert asking.introspect(token).json()["scope"] == "payment:7"

    def test_learns_to_which_key_a_token_is_bound_and_who_acts(self, alice, relying_party, asking):
        """RFC 9449 §6.2, RFC 8705 §3.2, RFC 8693 §4.1: the API has the key proved."""
        app = relying_party(scopes="openid notes.read", access_token_type="reference")
        token = app.redeem(alice.browser.authorize(app).code).access_token
        row, act = ReferenceToken.objects.get(), {"sub": "a service"}
        for confirmation, token_type in (({"jkt": "x"}, "DPoP"), ({"x5t#S256": "x"}, "Bearer")):
            row.claims = {**row.claims, "cnf": confirmation, "act": act}
            row.save()
            members = asking.introspect(token).json()
            assert (members["cnf"], members["token_type"], members["act"]) == (confirmation, token_type, act)

    def test_is_told_nothing_of_a_token_for_another(self, alice, relying_party, asking, kind):
        other = ApiResource.objects.create(name="other")
        other.api_scopes.set([ApiScope.objects.create(name="other.read")])
        app = relying_party(scopes="openid other.read", access_token_type=kind)
        token = app.redeem(alice.browser.authorize(app).code).access_token
        assert asking.introspect(token).json() == INACTIVE
        assert AskingApi(other).introspect(token).json()["active"] is True

    def test_is_told_nothing_of_a_token_for_the_provider_alone(self, alice, relying_party, asking, kind):
        app = relying_party(access_token_type=kind)
        assert asking.introspect(app.redeem(alice.browser.authorize(app).code).access_token).json() == INACTIVE

    def test_is_told_nothing_of_refresh_and_id_tokens(self, tokens, asking):
        for token in (tokens.refresh_token, tokens.members["id_token"]):
            for hint in ({}, {"token_type_hint": "refresh_token"}):
                assert asking.introspect(token, **hint).json() == INACTIVE


class TestAClient:
    """About its own tokens, all that they say."""

    def test_learns_of_its_access_token(self, tokens, app):
        members = app.introspect(tokens.access_token).json()
        assert (members["active"], members["scope"]) == (True, app.scope)
        assert members["aud"] == "https://api.example"

    def test_learns_of_its_refresh_token(self, clock, tokens, app):
        now = int(clock.now().timestamp())
        assert app.introspect(tokens.refresh_token).json() == {
            "active": True,
            "iss": ISSUER,
            "client_id": app.client_id,
            "sub": tokens.id_token["sub"],
            "scope": app.scope,
            "iat": now,
            "exp": now + int(timedelta(days=15).total_seconds()),
        }

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something_else", ""])
    def test_a_hint_is_a_hint(self, tokens, app, hint):
        """§2.1: if the server cannot locate the token by it, it MUST extend its search."""
        for token in (tokens.access_token, tokens.refresh_token):
            assert app.introspect(token, token_type_hint=hint).json()["active"] is True

    def test_is_told_nothing_of_tokens_of_others(self, tokens, relying_party):
        other = relying_party(scopes="openid notes.read")
        for token in (tokens.access_token, tokens.refresh_token):
            assert other.introspect(token).json() == INACTIVE

    def test_a_refresh_token_that_was_used_is_inactive(self, clock, alice, relying_party):
        app = relying_party(scopes="openid offline_access", refresh_token_usage="one_time")
        first = app.redeem(alice.browser.authorize(app).code).succeeds()
        second = app.refresh(first.refresh_token).succeeds()
        assert app.introspect(first.refresh_token).json() == INACTIVE
        assert app.introspect(second.refresh_token).json()["active"] is True

    @pytest.mark.parametrize("lifetime", [{"refresh_token_sliding_lifetime": 60}, {"access_token_lifetime": 60}])
    def test_an_expired_refresh_token_is_inactive(self, clock, alice, relying_party, lifetime):
        app = relying_party(scopes="openid offline_access", refresh_token_absolute_lifetime=60, **lifetime)
        token = app.redeem(alice.browser.authorize(app).code).refresh_token
        assert app.introspect(token).json()["exp"] == int(clock.now().timestamp()) + 60
        clock.forward(seconds=60)
        assert app.introspect(token).json() == INACTIVE

    def test_a_refresh_token_of_a_user_who_lost_the_group_is_inactive(self, alice, relying_party):
        group = Group.objects.create(name="staff")
        alice.user.groups.add(group)
        app = relying_party(scopes="openid offline_access")
        app.row.allowed_groups.add(group)
        token = app.redeem(alice.browser.authorize(app).code).refresh_token
        assert app.introspect(token).json()["active"] is True
        alice.user.groups.clear()
        assert app.introspect(token).json() == INACTIVE


class TestInactive:
    """§2.2: a token that is not good is inactive, and nothing else is said."""

    @pytest.fixture
    def knows(self, app, asking):
        """What client and API are told of a token, which must be the same."""

        def state(token) -> bool:
            told = [app.introspect(token).json(), asking.introspect(token).json()]
            assert told[0]["active"] is told[1]["active"]
            assert told[0]["active"] or told == [INACTIVE, INACTIVE]
            return told[0]["active"]

        return state

    @pytest.mark.parametrize(
        "token", ["x", "a.b.c", "....", "é", "e30.e30.e30", "x" * 43, "x" * 3000, "-" * 43, "eyJhbGciOiJub25lIn0.e30."]
    )
    def test_whatever_is_sent(self, tokens, knows, token):
        assert knows(token) is False

    def test_what_is_stored(self, tokens, knows):
        """A digest, or anything else that a dump of the tables holds, is no token."""
        assert knows(RefreshToken.objects.get().digest) is False
        assert knows(digests.digest(tokens.access_token)) is False

    def test_when_it_expires(self, clock, tokens, knows):
        clock.forward(seconds=3599)
        assert knows(tokens.access_token)
        clock.forward(seconds=1)
        assert not knows(tokens.access_token)

    def test_with_its_grant(self, tokens, knows):
        Grant.objects.get().revoke("by an administrator")
        assert not knows(tokens.access_token)
        assert not knows(tokens.refresh_token)

    def test_revoked_by_its_client(self, app, tokens, knows):
        assert app.revoke(tokens.access_token).status_code == 200
        assert not knows(tokens.access_token)

    def test_with_an_inactive_or_deleted_user(self, alice, tokens, knows):
        type(alice.user).objects.update(is_active=False)
        assert not knows(tokens.access_token)
        type(alice.user).objects.update(is_active=True)
        assert knows(tokens.access_token)
        alice.user.delete()
        assert not knows(tokens.access_token)

    def test_with_a_disabled_client(self, app, tokens, machine, asking):
        own = machine.client_credentials().access_token
        type(app.row).objects.update(enabled=False)
        for token in (tokens.access_token, own):
            assert asking.introspect(token).json() == INACTIVE

    @pytest.mark.parametrize("ending", ["sign out", "expire", "clean up"])
    def test_with_its_user_session_where_lifetimes_are_coordinated(
        self, clock, settings, alice, app, tokens, knows, ending
    ):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "coordinate_lifetime_with_user_session": True}
        assert knows(tokens.access_token)
        match ending:
            case "sign out":
                alice.browser.sign_out()
            case "expire":
                UserSession.objects.update(expires=clock.now())
            case _:
                UserSession.objects.all().delete()
        assert not knows(tokens.access_token)

    def test_not_with_its_user_session_elsewhere(self, alice, tokens, knows):
        alice.browser.sign_out()
        assert knows(tokens.access_token)

    def test_after_the_issuer_moved(self, settings, tokens, asking):
        settings.IDENTITYSERVER = {"issuer": "https://new.example"}
        assert asking.introspect(tokens.access_token).json() == INACTIVE

    def test_a_stranger_s_grant_is_not_told_apart(self, tokens, relying_party):
        """§4: the answer must not tell an existing token of others from one that never was."""
        other = relying_party(scopes="openid")
        answers = [other.introspect(token) for token in (tokens.access_token, tokens.refresh_token, "never")]
        assert {answer.content for answer in answers} == {b'{"active":false}'}
        assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1


class TestRequest:
    """§2.1: a form POST."""

    def test_get_is_405(self, web_app):
        response = web_app.http.get(url_of("introspection"))
        assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
    def test_another_media_type_is_415(self, web_app, content_type):
        header = basic(web_app.client_id, web_app.secret)
        response = web_app.http.post(
            url_of("introspection"), "token=x", content_type=content_type, headers={"Authorization": header}
        )
        assert response.status_code == 415

    def test_without_a_token_it_is_invalid(self, web_app, asking):
        assert refused(web_app.introspect(""), "invalid_request", 400)
        assert refused(asking.introspect(""), "invalid_request", 400)

    def test_scripts_of_other_origins_cannot_read_it(self, web_app):
        """Rule 27: APIs ask, and no browser."""
        type(web_app.row).objects.update(allowed_cors_origins=["https://app.example"])
        response = web_app.http.options(url_of("introspection"), headers={"Origin": "https://app.example"})
        assert "Access-Control-Allow-Origin" not in response.headers

    def test_a_failing_database_is_no_verdict_on_the_token(self, tokens, app, asking):
        """security.md: never an untrue "inactive"."""
        for who in (app, asking):
            assert who.introspect(tokens.access_token).json()["active"] is True
            with failing_database():
                response = who.introspect(tokens.access_token)
            assert refused(response, "temporarily_unavailable", 503)
            assert response["Retry-After"]
            assert who.introspect(tokens.access_token).json()["active"] is True


class TestWhoMayAsk:
    """§2.1, §4: callers authenticate, or anybody could try tokens."""

    def test_any_registered_method_of_a_client(self, relying_party, api):
        for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"):
            client = relying_party(
                scopes="notes.read", allowed_grant_types=["client_credentials"], token_endpoint_auth_method=method
            )
            token = client.client_credentials().succeeds().access_token
            assert client.introspect(token).json()["active"] is True, method

    def test_an_api_by_post_too(self, tokens, asking):
        form = {"token": tokens.access_token, "client_id": asking.row.name, "client_secret": asking.secret}
        assert ask(form).json()["active"] is True

    def test_no_public_client(self, alice, relying_party):
        app = relying_party(scopes="openid", token_endpoint_auth_method="none")
        token = app.redeem(alice.browser.authorize(app).code).access_token
        assert refused(app.introspect(token))

    def test_nobody_by_an_access_token(self, tokens):
        assert refused(ask({"token": tokens.access_token}, {"Authorization": f"Bearer {tokens.access_token}"}))
        assert refused(ask({"token": tokens.access_token}))

    def test_no_disabled_api(self, tokens, asking):
        assert asking.introspect(tokens.access_token).status_code == 200
        asking.row.enabled = False
        asking.row.save()
        assert refused(asking.introspect(tokens.access_token))

    def test_no_other_api_s_secret(self, tokens, asking):
        other = AskingApi(ApiResource.objects.create(name="other"))
        assert refused(asking.introspect(tokens.access_token, secret=other.secret))

    def test_no_client_s_secret_for_an_api(self, tokens, app, asking):
        assert refused(asking.introspect(tokens.access_token, secret=app.secret))
        assert refused(ask({"token": "x"}, {"Authorization": basic(app.client_id, asking.secret)}))

    def test_the_secrets_of_an_api_open_nothing_else(self, asking):
        form = urlencode({"grant_type": "client_credentials"})
        headers = {"Authorization": basic(asking.row.name, asking.secret)}
        assert asking.http.post(url_of("token"), form, content_type=FORM, headers=headers).status_code == 401
        form = urlencode({"token": "x"})
        assert asking.http.post(url_of("revocation"), form, content_type=FORM, headers=headers).status_code == 401

    def test_a_client_and_an_api_of_one_name_are_told_apart_by_their_secrets(self, alice, relying_party, asking, kind):
        app = relying_party(scopes="openid notes.read", client_id=asking.row.name, access_token_type=kind)
        token = app.redeem(alice.browser.authorize(app).code).access_token
        for _ in range(2):
            assert app.introspect(token).json()["scope"] == "openid notes.read"
            assert asking.introspect(token).json()["scope"] == "notes.read"


class TestSecretsOfAnApi:
    """model.md: several at once, with expiry and last use."""

    def test_the_old_and_the_new_one_work_until_the_old_one_expires(self, clock, asking):
        old = asking.secret
        ApiSecret.objects.update(expires=clock.now() + timedelta(hours=1))
        _, new = ApiSecret.generate(asking.row)
        for secret in (old, new):
            assert asking.introspect("x", secret=secret).status_code == 200
        clock.forward(hours=1)
        assert refused(asking.introspect("x", secret=old))
        assert asking.introspect("x", secret=new).status_code == 200

    def test_a_deleted_one_stops_working(self, asking):
        assert asking.introspect("x").status_code == 200
        ApiSecret.objects.get().delete()
        assert refused(asking.introspect("x"))

    def test_a_new_one_works_at_once_on_every_worker(self, asking):
        """Made past this worker's memory."""
        assert asking.introspect("x").status_code == 200
        row = ApiSecret.objects.get()
        values = {"api": asking.row, "digest": digests.digest("made elsewhere by another worker")}
        ApiSecret.objects.bulk_create([ApiSecret(**values)])
        assert asking.introspect("x", secret="made elsewhere by another worker").status_code == 200
        assert ApiSecret.objects.count() == 2
        assert row in ApiSecret.objects.all()

    def test_its_use_is_noted_once_a_minute(self, monkeypatch, clock, asking):
        monkeypatch.setattr(client_secret, "_touched", {})
        asking.introspect("x")
        first = ApiSecret.objects.get().last_used
        assert first == clock.now()
        clock.forward(seconds=30)
        asking.introspect("x")
        assert ApiSecret.objects.get().last_used == first

    def test_one_that_a_person_chose_works_and_cannot_be_guessed(self, clock, settings, asking):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 3}
        ApiSecret.typed(asking.row, "password")
        assert asking.introspect("x", secret="password").status_code == 200
        for _ in range(3):
            assert refused(asking.introspect("x", secret="guess"))
        assert refused(asking.introspect("x", secret="password"), "slow_down", 429)
        clock.forward(minutes=1)
        assert asking.introspect("x", secret="password").status_code == 200

    def test_guessing_is_slowed_down_in_a_cold_worker_too(self, clock, settings, asking):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 3}
        ApiSecret.objects.all().delete()
        ApiSecret.typed(asking.row, "password")
        answers = [asking.introspect("x", secret=guess).status_code for guess in ("a", "b", "c", "password")]
        assert answers == [401, 401, 401, 429]


class TestRefusal:
    """An unknown caller, a wrong secret and a client that proves nothing look alike and cost alike."""

    @pytest.fixture
    def callers(self, asking, relying_party):
        client = relying_party()
        disabled = AskingApi(ApiResource.objects.create(name="disabled", enabled=False))
        expired = AskingApi(ApiResource.objects.create(name="expired"))
        ApiSecret.objects.filter(api=expired.row).update(expires=Grant().created)
        assert client.introspect("x").status_code == 200  # from here on it is in memory
        return {
            "unknown": basic_header("nobody:wrong"),
            "client, wrong secret": basic_header(f"{client.client_id}:wrong"),
            "API, wrong secret": {"Authorization": basic(asking.row.name, "wrong")},
            "API, no secret": {"Authorization": basic(asking.row.name, "")},
            "API, its digest": {"Authorization": basic(asking.row.name, ApiSecret.objects.first().digest)},
            "disabled API": {"Authorization": basic("disabled", disabled.secret)},
            "expired secret": {"Authorization": basic("expired", expired.secret)},
        }

    def test_all_alike(self, callers):
        answers = {name: ask({"token": "x"}, headers) for name, headers in callers.items()}
        assert all(refused(answer) for answer in answers.values())
        shown = {str((without_reference(answer.json()), sorted(answer.headers.items()))) for answer in answers.values()}
        assert len(shown) == 1

    @pytest.mark.django_db(transaction=True)  # inside of a transaction nothing is kept in memory
    def test_each_costs_two_queries(self, callers, asking):
        """One for the client and one for the API that there may be, in memory or not."""
        assert asking.introspect("x").status_code == 200
        for name, headers in callers.items():
            with CaptureQueriesContext(connection) as queries:
                ask({"token": "x"}, headers)
            about = [query["sql"] for query in queries if "identityserver_event" not in query["sql"]]
            reads = [sql for sql in about if sql.startswith("SELECT")]
            assert len(reads) == 2, (name, about)

    def test_too_many_failures_are_429(self, clock, settings, asking):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "client_authentication_failures_per_minute": 3}
        statuses = [asking.introspect("x", secret="wrong").status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert asking.introspect("x").status_code == 200  # a generated secret cannot be guessed

    def test_staff_hear_of_it(self, asking):
        asking.introspect("x", secret="wrong")
        assert Event.objects.get(type="request_refused").code == "invalid_client"


class TestJwtResponse:
    """RFC 9701."""

    def verified(self, response, caller):
        assert response.status_code == 200
        assert response["Content-Type"] == JWT
        assert "no-store" in response["Cache-Control"]
        token = response.content.decode()
        claims = jose.verify(token, key_ring().verifiers, types=("token-introspection+jwt",))
        assert claims.keys() == {"iss", "aud", "iat", "token_introspection"}
        assert (claims["iss"], claims["aud"]) == (ISSUER, caller)
        return claims

    def test_it_holds_what_the_plain_one_says(self, clock, tokens, app, asking):
        """§5."""
        for who, name in ((app, app.client_id), (asking, asking.row.name)):
            claims = self.verified(who.introspect(tokens.access_token, accept=JWT), name)
            assert claims["token_introspection"] == who.introspect(tokens.access_token).json()
            assert claims["iat"] == int(clock.now().timestamp())

    def test_an_inactive_token_is_told_in_the_same_form(self, asking):
        claims = self.verified(asking.introspect("x", accept=JWT), asking.row.name)
        assert claims["token_introspection"] == INACTIVE

    @pytest.mark.parametrize(
        ("accept", "form"),
        [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("application/json", "application/json"),
            (f"{JWT};q=0", "application/json"),
            (f"{JWT};q=0.0, */*", "application/json"),
            (f"{JWT}x", "application/json"),
            (JWT, JWT),
            (JWT.upper(), "application/json"),
            (f"application/json;q=0.5, {JWT};q=0.9", JWT),
        ],
    )
    def test_it_is_asked_for_by_its_media_type(self, asking, accept, form):
        """§4."""
        assert asking.introspect("x", accept=accept)["Content-Type"] == form

    def test_the_algorithm_is_the_client_s_or_the_server_s(self, relying_party, settings):
        """§6: RS256 unless another is registered."""
        assert header_of(relying_party().introspect("x", accept=JWT).content.decode())["alg"] == "RS256"
        client = relying_party(introspection_signed_response_alg="EdDSA")
        assert header_of(client.introspect("x", accept=JWT).content.decode())["alg"] == "EdDSA"

    def test_an_api_gets_what_it_verifies_access_tokens_with(self, asking):
        assert header_of(asking.introspect("x", accept=JWT).content.decode())["alg"] == "ES256"
        asking.row.allowed_access_token_signing_algorithms = ["PS256"]
        asking.row.save()
        assert header_of(asking.introspect("x", accept=JWT).content.decode())["alg"] == "PS256"

    def test_nobody_can_take_it_for_an_access_token(self, tokens, app, asking):
        """§8.1: another type, and neither sub nor exp."""
        response = asking.introspect(tokens.access_token, accept=JWT).content.decode()
        assert app.userinfo(response).status_code == 401
        assert asking.introspect(response).json() == INACTIVE

    def test_a_client_that_wants_it_encrypted_is_not_served_without(self, relying_party):
        client = relying_party(introspection_encrypted_response_alg="RSA-OAEP-256")
        assert refused(client.introspect("x"))


class TestDiscovery:
    """RFC 8414 §2, RFC 9701 §7."""

    def test_it_says_where_and_how(self, web_app):
        document = web_app.http.get("/.well-known/openid-configuration").json()
        assert document["introspection_endpoint"] == f"{ISSUER}/connect/introspect"
        methods = document["introspection_endpoint_auth_methods_supported"]
        assert {"client_secret_basic", "client_secret_post", "private_key_jwt"} <= set(methods)
        assert "none" not in methods
        assert {"RS256", "ES256"} <= set(document["introspection_signing_alg_values_supported"])
