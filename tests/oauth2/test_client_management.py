"""Clients that read, replace and delete what they registered: RFC 7592. And both ends of it in a race."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient

from identityserver import caching
from identityserver.models import (
    ApiScope,
    AuthorizationCode,
    Client,
    ClientSecret,
    Consent,
    Event,
    Grant,
    IdentityResource,
    InitialAccessToken,
    RefreshToken,
    Registration,
)
from tests.oauth2.registering import (
    CALLBACK,
    WEB,
    RegisteredParty,
    as_sent,
    initial_access_token,
    is_refused,
    manage,
    register,
    registered,
    row_of,
)
from tests.oauth2.test_code_exchange_atomicity import parallel
from tests.speaking import failing_database

pytestmark = pytest.mark.django_db

OFFLINE = {**WEB, "grant_types": ["authorization_code", "refresh_token"], "scope": "openid profile offline_access"}
NEW_CALLBACK = "https://app.example/new-callback"


@pytest.fixture
def offer(settings):
    """Set options; registration is open unless they say otherwise."""

    def set_options(**chosen: Any) -> None:
        chosen = {"registration": "open", "registration_limit_per_hour": 0, **chosen}
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **chosen}
        caching.forget()

    return set_options


@pytest.fixture
def app(offer, signing_keys) -> dict[str, Any]:
    """What a client was told that registered itself."""
    offer()
    return registered({**WEB, "client_name": "App", "software_id": "s-1"})


def replaced(information: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a client is told that replaced its registration."""
    response = manage("PUT", information, as_sent(information, **changes))
    assert response.status_code == 200, response.content
    return response.json()


class TestAccess:
    """§2: by the registration access token, and by nothing else."""

    METHODS = ("GET", "PUT", "DELETE")

    @pytest.mark.parametrize("method", METHODS)
    def test_without_a_token_the_answer_names_the_scheme_and_no_error(self, app, method):
        response = manage(method, app, as_sent(app), token=None)
        is_refused(response, "invalid_token", 401)
        assert response["WWW-Authenticate"] == 'Bearer realm="client_configuration"'

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("token", ["x", "é", "x" * 5000, "a.b.c"])
    def test_an_unknown_token_is_refused(self, app, method, token):
        response = manage(method, app, as_sent(app), token=token)
        is_refused(response, "invalid_token", 401)
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
        assert Client.objects.filter(client_id=app["client_id"]).exists()

    @pytest.mark.parametrize("method", METHODS)
    def test_another_client_s_token_is_refused(self, app, method):
        """Nobody changes another's registration, and a guess at a client_id costs the guesser nothing else."""
        other = registered()
        before = list(Client.objects.order_by("pk").values())
        response = manage(method, app, as_sent(app, redirect_uris=["https://evil.example/"]), token=other[TOKEN])
        is_refused(response, "invalid_token", 401)
        assert list(Client.objects.order_by("pk").values()) == before
        assert manage("GET", other).status_code == manage("GET", app).status_code == 200

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        "client_id",
        [
            "unknown",
            "a/b",
            "https:%2F%2Fapp.example%2Fclient",
            "%00",
            "%FF",
            "%0d%09",
            "x" * 3000,
            "..%2F..",
            "é",
            "a%20b",
        ],
    )
    def test_an_unknown_client_reads_the_same(self, app, method, client_id):
        """§2.1: HTTP 401."""
        is_refused(manage(method, app, as_sent(app), client_id=client_id), "invalid_token", 401)
        assert manage("GET", app).status_code == 200

    def test_no_other_token_is_one(self, app, alice):
        """Token confusion."""
        party = RegisteredParty(app)
        tokens = party.redeem(alice.browser.authorize(party).allow().code).succeeds()
        others = (
            app["client_secret"],
            app["client_id"],
            initial_access_token(),
            tokens.access_token,
            tokens.members["id_token"],
            Registration.objects.get().digest,
        )
        for token in others:
            is_refused(manage("GET", app, token=token), "invalid_token", 401)

    def test_nor_is_it_one_elsewhere(self, app):
        party = RegisteredParty(app)
        assert party.userinfo(app[TOKEN]).status_code == 401
        party.secret = app[TOKEN]
        party.token(grant_type="authorization_code", code="x").fails_with("invalid_client")

    def test_it_is_read_from_the_header_only(self, app):
        """RFC 9700 §4.3.2."""
        url = f"{app['registration_client_uri']}?access_token={app[TOKEN]}"
        assert HttpClient().get(url).status_code == 400

    def test_other_methods(self, app):
        for method in ("POST", "PATCH", "HEAD"):
            response = manage(method, app, as_sent(app))
            assert response.status_code == 405
            assert response["Allow"] == "GET, PUT, DELETE, OPTIONS"

    def test_a_disabled_client_is_as_unknown(self, app):
        Client.objects.update(enabled=False)
        for method in self.METHODS:
            is_refused(manage(method, app, as_sent(app)), "invalid_token", 401)
        assert not Client.objects.get().enabled

    def test_nothing_can_be_managed_where_registration_is_off(self, app, offer):
        offer(registration="off")
        for method in self.METHODS:
            assert manage(method, app, as_sent(app)).status_code == 404
        assert Client.objects.exists()

    def test_an_expired_initial_access_token_takes_nothing_away(self, offer, signing_keys):
        """RFC 7592 §5: the registration access token does not expire while the client is registered."""
        offer(registration="initial_access_token")
        app = registered(WEB, initial_access_token(uses=1))
        InitialAccessToken.objects.all().delete()
        assert manage("GET", app).status_code == 200

    def test_guessing_is_slowed_down(self, app, offer):
        offer(client_authentication_failures_per_minute=3)
        statuses = [manage("GET", app, token="guess").status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]

    def test_a_failing_database_is_no_verdict(self, app):
        with failing_database():
            response = manage("GET", app)
        is_refused(response, "temporarily_unavailable", 503)


TOKEN = "registration_access_token"


class TestRead:
    """§2.1."""

    def test_all_that_is_registered(self, app):
        response = manage("GET", app)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        assert response.json() == {name: value for name, value in app.items() if name != "client_secret"}

    def test_the_token_stays_the_same(self, app):
        """§3 has it in every answer; an answer that gets lost must lock nobody out."""
        for _ in range(2):
            assert manage("GET", app).json()[TOKEN] == app[TOKEN]

    def test_the_secret_is_not_shown_again(self, app):
        """Only its digest is stored."""
        assert "client_secret" not in manage("GET", app).json()

    def test_what_an_administrator_changed_is_shown(self, app, api):
        row = row_of(app)
        row.api_scopes.set(ApiScope.objects.filter(name="notes.read"))
        Client.objects.update(name="Renamed")
        shown = manage("GET", app).json()
        assert shown["client_name"] == "Renamed"
        assert "notes.read" in shown["scope"].split()


class TestReplace:
    """§2.2."""

    def test_the_whole_registration_is_replaced(self, app):
        shown = replaced(app, client_name=None, redirect_uris=[NEW_CALLBACK], contacts=["ops@app.example"])
        assert shown == manage("GET", app).json()
        assert shown["redirect_uris"] == [NEW_CALLBACK]
        assert shown["contacts"] == ["ops@app.example"]
        assert "client_name" not in shown
        assert (
            shown.items() >= {"client_id": app["client_id"], "client_id_issued_at": app["client_id_issued_at"]}.items()
        )

    @pytest.mark.parametrize("empty", [None, "", []])
    def test_what_is_omitted_or_empty_is_deleted(self, app, empty):
        """§2.2: Omitted fields MUST be treated as null or empty values."""
        body = {"client_id": app["client_id"], **WEB, "client_name": empty, "software_id": empty, "grant_types": empty}
        shown = manage("PUT", app, body).json()
        assert not {"client_name", "software_id"} & shown.keys()
        assert shown["grant_types"] == ["authorization_code"]

    def test_what_was_registered_can_be_sent_back(self, app):
        assert replaced(app) == {name: value for name, value in app.items() if name != "client_secret"}

    def test_token_and_secret_stay(self, app):
        shown = replaced(app)
        assert shown[TOKEN] == app[TOKEN]
        assert "client_secret" not in shown
        RegisteredParty(app).token(grant_type="authorization_code", code="x").fails_with("invalid_grant")

    @pytest.mark.parametrize("client_id", [None, "another", "", 5, ["x"]])
    def test_it_names_itself(self, app, client_id):
        body = {**as_sent(app), "client_id": client_id}
        assert "client_id" in is_refused(manage("PUT", app, body), "invalid_client_metadata")

    @pytest.mark.parametrize(
        "name", [TOKEN, "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
    )
    def test_what_is_ours_to_say_must_not_be_sent(self, app, name):
        """§2.2: MUST NOT include."""
        assert name in is_refused(manage("PUT", app, as_sent(app, **{name: app[name]})), "invalid_client_metadata")

    def test_it_may_send_its_secret_and_none_of_its_choice(self, app):
        """§2.2: MUST match; MUST NOT be allowed to overwrite."""
        assert manage("PUT", app, as_sent(app, client_secret=app["client_secret"])).status_code == 200
        for secret in ("chosen", "", 5, ["x"], app[TOKEN]):
            said = is_refused(manage("PUT", app, as_sent(app, client_secret=secret)), "invalid_client_metadata")
            assert "client_secret" in said
        assert ClientSecret.objects.get().matches(app["client_secret"])

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["http://app.example/"]}, "invalid_redirect_uri"),
            ({"redirect_uris": None}, "invalid_redirect_uri"),
            ({"grant_types": ["password"]}, "invalid_client_metadata"),
            ({"scope": "openid admin"}, "invalid_client_metadata"),
            ({"client_name": "a\0b"}, "invalid_client_metadata"),
            ({"dpop_bound_access_tokens": True}, "invalid_client_metadata"),
            ({"software_statement": "a.b.c"}, "unapproved_software_statement"),
            ({"sector_identifier_uri": "https://127.0.0.1/"}, "invalid_client_metadata"),
        ],
        ids=repr,
    )
    def test_it_is_judged_like_a_new_one_and_a_refusal_changes_nothing(self, app, changes, error):
        before = list(Client.objects.values())
        is_refused(manage("PUT", app, as_sent(app, **changes)), error)
        assert list(Client.objects.values()) == before
        assert manage("GET", app).json()["client_name"] == "App"

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a": 1, "a": 2}', b"[" * 50_000])
    def test_a_body_that_is_no_json_object(self, app, body):
        response = manage("PUT", app, body)
        assert response.status_code in {400, 415}
        is_refused(response, "invalid_request", response.status_code)

    def test_it_counts_at_once(self, app, alice):
        party = RegisteredParty(app)
        party.redeem(alice.browser.authorize(party).allow().code).succeeds()
        party = RegisteredParty({**replaced(app, redirect_uris=[NEW_CALLBACK]), "client_secret": app["client_secret"]})
        refused = alice.browser.authorize(party, redirect_uri=CALLBACK)
        assert (refused.status, refused.location) == (400, "")
        party.redeem(alice.browser.authorize(party).allow().code).succeeds()

    def test_what_administrators_have_set_stays(self, app, api):
        set_by_staff = {
            "require_consent": False,
            "description": "Looked at in May.",
            "access_token_lifetime": 60,
            "properties": {"owner": "x"},
            "is_restricted_to_groups": True,
            "require_pkce": True,
            "coordinate_lifetime_with_user_session": True,
            "allowed_cors_origins": ["https://added.example"],
        }
        Client.objects.update(**set_by_staff)
        replaced(app, client_name="New name")
        assert Client.objects.values(*set_by_staff).get() == set_by_staff

    def test_what_they_added_can_be_sent_back_and_not_be_widened(self, app, api):
        """An API scope or grant type that clients may not register for themselves."""
        row = row_of(app)
        row.api_scopes.set(ApiScope.objects.filter(name="notes.read"))
        Client.objects.update(
            allowed_grant_types=["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]
        )
        shown = manage("GET", app).json()
        assert replaced(shown) == shown
        is_refused(manage("PUT", app, as_sent(shown, scope=f"{shown['scope']} notes.write")), "invalid_client_metadata")
        without = replaced(shown, scope="openid")
        assert without["scope"] == "openid"
        is_refused(manage("PUT", app, as_sent(shown)), "invalid_client_metadata")

    def test_what_the_site_has_taken_back_since_can_be_sent_back_too(self, offer, signing_keys):
        """Disabled scopes give nothing, and a narrower option counts for new clients: no update fails for either."""
        offer()
        app = registered({**OFFLINE, "scope": "openid address offline_access"})
        IdentityResource.objects.filter(name="address").update(enabled=False)
        offer(registration_grant_types=["authorization_code"])
        assert replaced(app)["scope"] == "address offline_access openid"

    def test_scripts_of_its_new_origin_may_call(self, offer, signing_keys):
        offer()
        app = registered({**WEB, "token_endpoint_auth_method": "none"})
        Client.objects.update(allowed_cors_origins=["https://app.example", "https://added.example"])
        replaced(app, redirect_uris=["https://moved.example/cb"])
        assert row_of(app).allowed_cors_origins == ["https://moved.example", "https://added.example"]

    def test_links_to_other_hosts_stay_out(self, app):
        """As at registration, where nobody vouches for them."""
        assert "logo_uri" not in replaced(app, logo_uri="https://bank.example/logo.png")

    def test_open_ones_are_limited_and_vouched_for_ones_are_not(self, offer, signing_keys):
        """Each may have another server asked for a document."""
        offer(registration_limit_per_hour=2)
        app, vouched = registered(), registered(WEB, initial_access_token())
        statuses = [manage("PUT", app, as_sent(app)).status_code for _ in range(2)]
        assert statuses == [200, 429]
        assert [manage("PUT", vouched, as_sent(vouched)).status_code for _ in range(3)] == [200] * 3
        assert manage("GET", app).status_code == 200


class TestConsent:
    """Nobody's consent goes on to what they have not seen."""

    @pytest.fixture
    def remembered(self, app, alice):
        party = RegisteredParty(app)
        page = alice.browser.authorize(party)
        party.redeem(page.submit(allow="yes", remember="on").code).succeeds()
        assert alice.browser.authorize(party).code
        return party

    @pytest.mark.parametrize(
        "changes",
        [{"client_name": "Your bank"}, {"redirect_uris": [CALLBACK, NEW_CALLBACK]}, {"client_name#de": "Deine Bank"}],
        ids=repr,
    )
    def test_another_name_or_place_asks_again(self, app, alice, remembered, changes):
        replaced(app, **changes)
        assert not Consent.objects.exists()
        assert alice.browser.authorize(remembered).shows("Allow")

    def test_anything_else_does_not(self, app, alice, remembered):
        replaced(app, contacts=["ops@app.example"], default_max_age=100_000)
        assert alice.browser.authorize(remembered).code


class TestSecret:
    """RFC 7591 §3.2.1: client_secret_expires_at; RFC 7592 §2.2: a new secret replaces the old one."""

    @pytest.fixture
    def app(self, offer, signing_keys, clock):
        offer(registration_secret_lifetime=timedelta(days=30))
        return registered()

    def works(self, app, secret) -> bool:
        party = RegisteredParty({**app, "client_secret": secret})
        return party.token(grant_type="authorization_code", code="x").members["error"] == "invalid_grant"

    def test_in_the_first_half_of_its_life_it_stays(self, app, clock):
        clock.forward(days=14)
        shown = replaced(app)
        assert "client_secret" not in shown
        assert shown["client_secret_expires_at"] == app["client_secret_expires_at"]

    def test_in_the_second_half_there_is_another_and_both_work_until_the_first_expires(self, app, clock):
        clock.forward(days=15)
        shown = replaced(app)
        assert shown["client_secret_expires_at"] == app["client_secret_expires_at"] + 15 * 86_400
        assert self.works(app, app["client_secret"])
        assert self.works(app, shown["client_secret"])
        clock.forward(days=15)
        assert not self.works(app, app["client_secret"])
        assert self.works(app, shown["client_secret"])

    def test_one_that_has_expired_is_followed_by_another(self, app, clock):
        """The registration access token outlives it."""
        clock.forward(days=100)
        assert not self.works(app, app["client_secret"])
        assert self.works(app, replaced(app)["client_secret"])

    def test_reading_makes_none(self, app, clock):
        clock.forward(days=29)
        manage("GET", app)
        assert ClientSecret.objects.count() == 1

    def test_a_client_that_becomes_public_loses_its_secrets(self, app):
        shown = replaced(app, token_endpoint_auth_method="none")
        assert not {"client_secret", "client_secret_expires_at"} & shown.keys()
        assert not ClientSecret.objects.exists()
        assert row_of(app).require_pkce
        again = replaced(shown, token_endpoint_auth_method="client_secret_basic")
        assert self.works(app, again["client_secret"])
        assert not self.works(app, app["client_secret"])

    def test_client_secret_jwt_needs_one_that_can_be_recovered(self, app):
        shown = replaced(app, token_endpoint_auth_method="client_secret_jwt")
        assert shown["client_secret"] != app["client_secret"]
        assert "client_secret" not in replaced(shown)


class TestDelete:
    """§2.3."""

    def test_nothing_comes_back(self, app):
        response = manage("DELETE", app)
        assert (response.status_code, response.content) == (204, b"")
        assert response["Cache-Control"] == "no-store"

    def test_it_and_its_tokens_are_gone(self, offer, signing_keys, alice):
        offer()
        app = registered(OFFLINE)
        party = RegisteredParty(app)
        tokens = party.redeem(alice.browser.authorize(party).allow().code).succeeds()
        waiting = alice.browser.authorize(party, prompt="consent").allow().code
        assert manage("DELETE", app).status_code == 204
        party.refresh(tokens.refresh_token).fails_with("invalid_client")
        party.redeem(waiting).fails_with("invalid_client")
        assert party.userinfo(tokens.access_token).status_code == 401
        assert alice.browser.authorize(party).status == 400
        for method in ("GET", "PUT", "DELETE"):
            is_refused(manage(method, app, as_sent(app)), "invalid_token", 401)
        for model in (Client, Grant, RefreshToken, AuthorizationCode, ClientSecret, Consent, Registration):
            assert not model.objects.exists(), model

    def test_others_stay(self, app, web_app):
        other = registered()
        manage("DELETE", app)
        assert manage("GET", other).status_code == 200
        assert Client.objects.count() == 2

    def test_its_initial_access_token_stays_used(self, offer, signing_keys):
        offer(registration="initial_access_token")
        token = initial_access_token(uses=1)
        manage("DELETE", registered(WEB, token))
        is_refused(register(WEB, token), "invalid_token", 401)

    def test_the_token_that_let_it_register_can_be_deleted_before_it(self, offer, signing_keys):
        offer()
        app = registered(WEB, initial_access_token())
        InitialAccessToken.objects.all().delete()
        assert manage("DELETE", app).status_code == 204


def constant(metadata, *, initial_access_token, client):
    """A policy that says in the name what it was told, which is no secret."""
    assert not {"client_id", "client_secret"} & metadata.keys()
    return {**metadata, "client_name": f"{initial_access_token} {client.client_id if client else 'new'}"}


class TestPolicy:
    """What a policy says at registration it says of every change, or a change would get round it."""

    def test_it_is_asked_again_and_told_of_what(self, offer, signing_keys):
        offer(registration_policy=f"{__name__}.constant")
        app = registered(WEB, initial_access_token(description="partners"))
        assert app["client_name"] == "partners new"
        again = replaced(app, client_name="Other", client_secret=app["client_secret"])
        assert again["client_name"] == f"partners {app['client_id']}"


class TestEvents:
    """What staff see."""

    def test_changes_and_the_end(self, app):
        replaced(app, client_name="New name")
        manage("DELETE", app)
        replacement, deletion = (
            Event.objects.get(type=kind) for kind in ("registration_replaced", "registration_deleted")
        )
        assert {replacement.client, deletion.client} == {app["client_id"]}
        assert (replacement.detail, deletion.detail) == ("New name", "New name")
        everything = str(list(Event.objects.values()))
        assert app["client_secret"] not in everything
        assert app[TOKEN] not in everything

    def test_refused_ones_show_no_token(self, app):
        other = registered()
        is_refused(manage("GET", app, token=other[TOKEN]), "invalid_token", 401)
        assert Event.objects.filter(type="request_refused", code="invalid_token").exists()
        assert other[TOKEN] not in str(list(Event.objects.values()))


class TestFromBeginningToEnd:
    """Register, sign somebody in, move, delete."""

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
    def test_the_life_of_a_client(self, offer, alice, method):
        offer(registration="initial_access_token")
        metadata = {**OFFLINE, "client_name": "Life", "token_endpoint_auth_method": method}
        app = registered(metadata, initial_access_token(uses=1))
        party = RegisteredParty(app)
        page = alice.browser.authorize(party)
        assert page.shows("Life")
        tokens = party.redeem(page.allow().code).succeeds()
        assert party.userinfo(tokens.access_token).json()["name"] == "Alice Adams"
        moved = replaced(app, redirect_uris=[NEW_CALLBACK], client_name="Second life")
        party = RegisteredParty({**moved, "client_secret": app.get("client_secret", "")})
        assert alice.browser.authorize(party).shows("Second life")
        refreshed = party.refresh(tokens.refresh_token).succeeds()
        assert manage("DELETE", app).status_code == 204
        party.refresh(refreshed.refresh_token).fails_with("invalid_client")
        assert alice.browser.authorize(party).location == ""


@pytest.mark.django_db(transaction=True)
class TestParallel:
    """``security.md``: the database decides, for any number of workers."""

    @pytest.mark.parametrize("threads", [2, 8, 32])
    def test_a_token_of_so_many_uses_registers_so_many(self, offer, signing_keys, threads):
        offer(registration="initial_access_token")
        uses = max(1, threads // 3)
        for _ in range(20 if threads == 8 else 2):
            token = initial_access_token(uses=uses)
            before = Client.objects.count()
            responses = parallel(threads, lambda _, token=token: register(WEB, token))
            assert Counter(response.status_code for response in responses) == {201: uses, 401: threads - uses}
            assert Client.objects.count() == before + uses
        assert set(InitialAccessToken.objects.values_list("uses_left", flat=True)) == {0}

    def test_one_of_many_deletes(self, offer, signing_keys):
        offer()
        for _ in range(5):
            app = registered(OFFLINE)
            responses = parallel(8, lambda _, app=app: manage("DELETE", app))
            assert Counter(response.status_code for response in responses) == {204: 1, 401: 7}

    def test_replacing_what_is_being_deleted(self, offer, signing_keys):
        offer()
        for _ in range(5):
            app = registered(OFFLINE)

            def act(number: int, app=app):
                return manage("DELETE", app) if number == 0 else manage("PUT", app, as_sent(app, client_name="x"))

            statuses = [response.status_code for response in parallel(4, act)]
            assert statuses[0] == 204
            assert set(statuses[1:]) <= {200, 401}
            assert not Client.objects.exists()

    def test_replacements_at_once_leave_one_of_them_whole(self, offer, signing_keys):
        offer()
        app = registered()

        def act(number: int):
            changes = {"client_name": f"n{number}", "contacts": [f"c{number}"], "software_id": f"s{number}"}
            return manage("PUT", app, as_sent(app, **changes))

        assert {response.status_code for response in parallel(8, act)} == {200}
        shown = manage("GET", app).json()
        assert len({shown["client_name"][1:], shown["contacts"][0][1:], shown["software_id"][1:]}) == 1

    def test_an_administrator_who_disables_it_meanwhile_wins(self, offer, signing_keys):
        """A client that is being replaced writes only what it may register."""
        offer()
        app = registered()
        updated: list[str] = []

        def disable(execute, sql, params, many, context):
            if sql.startswith("UPDATE") and "identityserver_registration" in sql and not updated:
                updated.append(sql)
                Client.objects.update(enabled=False)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(disable):
            response = manage("PUT", app, as_sent(app, client_name="x"))
        assert updated
        is_refused(response, "invalid_token", 401)
        assert Client.objects.filter(client_id=app["client_id"]).exists()

    def test_an_administrator_who_takes_something_away_meanwhile_wins(self, offer, signing_keys, api):
        """What it may keep is judged by what it has when that is written, or a slow request would bring it back."""
        offer()
        app = registered()
        row_of(app).api_scopes.add(*ApiScope.objects.all())
        held = manage("GET", app).json()
        assert "notes.read" in held["scope"]
        taken: list[str] = []

        def take_away(execute, sql, params, many, context):
            result = execute(sql, params, many, context)
            if sql.startswith("SELECT") and 'FROM "identityserver_apiscope" WHERE' in sql and not taken:
                taken.append(sql)
                row_of(app).api_scopes.clear()
                Client.objects.update(require_pkce=True)
            return result

        with connection.execute_wrapper(take_away):
            response = manage("PUT", app, as_sent(held))
        assert taken
        assert "notes.read" in is_refused(response, "invalid_client_metadata")
        assert not row_of(app).api_scopes.exists()
        assert row_of(app).require_pkce

    def test_a_code_that_is_redeemed_while_the_client_is_deleted(self, offer, alice):
        offer()
        for _ in range(5):
            app = registered(OFFLINE)
            party = RegisteredParty(app)
            code = alice.browser.authorize(party).allow().code

            def act(number: int, app=app, party=party, code=code):
                return manage("DELETE", app).status_code if number == 0 else party.redeem(code).status

            deleted, redeemed = parallel(2, act)
            assert deleted == 204
            assert redeemed in {200, 400, 401}
            assert not Grant.objects.exists()
