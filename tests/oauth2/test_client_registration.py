"""Clients that register themselves: RFC 7591, OpenID Connect Dynamic Client Registration 1.0."""

import json
import socket
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from identityserver import caching
from identityserver.errors import AccessDenied, InvalidClientMetadata, InvalidSoftwareStatement
from identityserver.models import ApiScope, Client, ClientSecret, Event, IdentityResource, InitialAccessToken
from identityserver.registration.metadata import MEMBERS
from tests.attacks.servers import Authority, Server, answer
from tests.oauth2.registering import (
    CALLBACK,
    REGISTER,
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
from tests.speaking import failing_database

pytestmark = pytest.mark.django_db

DISCOVERY = "/.well-known/openid-configuration"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NATIVE = {"application_type": "native", "token_endpoint_auth_method": "none"}
PUBLIC_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.fixture
def offer(settings):
    """Set options; registration is open unless they say otherwise."""

    def set_options(**chosen: Any) -> None:
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "open", **chosen}
        caching.forget()

    return set_options


@pytest.fixture
def is_open(offer, signing_keys):
    offer(registration_limit_per_hour=0)


@pytest.fixture
def by_token(offer, signing_keys):
    offer(registration="initial_access_token")


def discovery() -> dict[str, Any]:
    return HttpClient().get(DISCOVERY).json()


class TestWhetherItIsThere:
    """Off unless the site says otherwise."""

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
    @pytest.mark.parametrize("path", [REGISTER, f"{REGISTER}/some-client"])
    def test_it_is_not_found_unless_it_is_switched_on(self, method, path):
        response = HttpClient().generic(method, path, json.dumps(WEB), "application/json")
        assert response.status_code == 404
        assert not Client.objects.exists()

    def test_discovery_names_it_only_where_it_is(self, offer, signing_keys):
        """RFC 8414 §2: registration_endpoint."""
        for mode, expected in (("off", None), ("open", REGISTER), ("initial_access_token", REGISTER)):
            offer(registration=mode)
            assert discovery().get("registration_endpoint") == (expected and f"http://testserver{expected}")

    def test_an_unknown_mode_is_found_by_the_checks(self, offer):
        from django.core.checks import run_checks

        offer(registration="sometimes")
        assert "identityserver.E018" in {message.id for message in run_checks()}


class TestInitialAccessToken:
    """§3: the initial access token, as RFC 6750 presents it."""

    def test_it_lets_its_bearer_register(self, by_token):
        assert registered(WEB, initial_access_token())["client_id"]

    def test_without_one_the_answer_names_the_scheme_and_no_error(self, by_token):
        """RFC 6750 §3.1."""
        response = register()
        is_refused(response, "invalid_token", 401)
        assert response["WWW-Authenticate"] == 'Bearer realm="registration"'

    @pytest.mark.parametrize("token", ["x", "", "é", "a b", "x" * 5000, "a.b.c"])
    def test_an_unknown_one_is_refused(self, by_token, token):
        response = register(WEB, token)
        is_refused(response, "invalid_token", 401)
        assert response["WWW-Authenticate"].startswith('Bearer realm="registration"')

    def test_it_expires(self, by_token, clock):
        token = initial_access_token(expires=timezone.now() + timedelta(hours=1))
        clock.forward(minutes=59)
        registered(WEB, token)
        clock.forward(minutes=1)
        is_refused(register(WEB, token), "invalid_token", 401)

    def test_it_is_used_up(self, by_token):
        token = initial_access_token(uses=2)
        for _ in range(2):
            registered(WEB, token)
        is_refused(register(WEB, token), "invalid_token", 401)
        assert Client.objects.count() == 2

    def test_a_refused_registration_takes_no_use(self, by_token):
        token = initial_access_token(uses=1)
        is_refused(register({"redirect_uris": ["http://app.example"]}, token), "invalid_redirect_uri")
        registered(WEB, token)

    def test_without_a_limit_it_lasts(self, by_token):
        token = initial_access_token()
        for _ in range(3):
            registered(WEB, token)
        assert InitialAccessToken.objects.get().uses_left is None

    def test_a_deleted_one_is_refused(self, by_token):
        token = initial_access_token()
        registered(WEB, token)
        InitialAccessToken.objects.all().delete()
        is_refused(register(WEB, token), "invalid_token", 401)

    def test_only_its_digest_is_stored(self, by_token):
        token = initial_access_token()
        information = registered(WEB, token)
        dump = str([list(model.objects.values()) for model in (InitialAccessToken, Client, ClientSecret)])
        dump += str(row_of(information).registration.__dict__)
        for secret in (token, information["registration_access_token"], information["client_secret"]):
            assert secret not in dump

    def test_it_is_read_from_the_header_only(self, by_token):
        """RFC 9700 §4.3.2; RFC 6750 §2.2 does not go with a JSON body."""
        token = initial_access_token()
        is_refused(register(WEB, None, QUERY_STRING=f"access_token={token}"), "invalid_request")
        is_refused(register({**WEB, "access_token": token}), "invalid_token", 401)

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
    def test_the_scheme_has_no_case(self, by_token, scheme):
        header = f"{scheme} {initial_access_token()}"
        http = HttpClient(headers={"Authorization": header})
        assert http.post(REGISTER, WEB, content_type="application/json").status_code == 201

    def test_no_other_token_is_one(self, by_token, alice, web_app):
        """Token confusion."""
        information = registered(WEB, initial_access_token())
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        others = (
            information["registration_access_token"],
            information["client_secret"],
            tokens.access_token,
            tokens.members["id_token"],
            web_app.secret,
            InitialAccessToken.objects.get().digest,
        )
        for token in others:
            is_refused(register(WEB, token), "invalid_token", 401)

    def test_guessing_is_slowed_down(self, offer):
        offer(registration="initial_access_token", client_authentication_failures_per_minute=3)
        statuses = [register(WEB, "guess").status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]


class TestOpenRegistration:
    """§3: without an initial access token, where the site is open; §5: rate-limited then."""

    def test_anybody_may_register(self, is_open):
        assert registered()["client_id"]

    def test_a_token_that_is_presented_must_be_good(self, is_open):
        is_refused(register(WEB, "x"), "invalid_token", 401)

    def test_so_many_an_hour_from_one_address(self, offer, clock):
        offer(registration_limit_per_hour=2)
        for _ in range(2):
            registered()
        response = register()
        is_refused(response, "slow_down", 429)
        assert 1 <= int(response["Retry-After"]) <= 3600
        assert register(REMOTE_ADDR="192.0.2.9").status_code == 201
        clock.forward(hours=1)
        registered()

    def test_refused_ones_count(self, offer):
        offer(registration_limit_per_hour=2)
        statuses = [register("{}").status_code for _ in range(3)]
        assert statuses == [400, 400, 429]

    def test_a_token_goes_past_the_limit(self, offer):
        offer(registration_limit_per_hour=1)
        token = initial_access_token()
        for _ in range(3):
            registered(WEB, token)


class TestRequest:
    """§3.1: an HTTP POST with a JSON object, and nothing else."""

    @pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded", "text/json", "application/jwt"])
    def test_another_media_type_is_415(self, is_open, content_type):
        is_refused(register(WEB, content_type=content_type), "invalid_request", 415)

    def test_its_charset_may_be_named(self, is_open):
        assert register(WEB, content_type="application/json; charset=utf-8").status_code == 201

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
    def test_another_method_is_405(self, is_open, method):
        response = HttpClient().generic(method, REGISTER, json.dumps(WEB), "application/json")
        assert response.status_code == 405
        assert response["Allow"] == "POST, OPTIONS"

    @pytest.mark.parametrize(
        "body",
        [
            b" ",
            b"{",
            b"[]",
            b'"text"',
            b"null",
            b"12",
            b"redirect_uris=x",
            b'{"redirect_uris": [], "redirect_uris": ["https://app.example/"]}',
            b'{"jwks": {"keys": [], "keys": []}}',
            b'{"default_max_age": NaN}',
            b'{"default_max_age": Infinity}',
            b'{"client_name": "\xff"}',
            b"\xff\xfe{\x00}\x00",
            b"\xef\xbb\xbf{}",
            b'{"client_name": "a\x00b"}',
            b'{"client_name": "a\nb"}',
            b'{"default_max_age": ' + b"9" * 5000 + b"}",
            b'{"x": ' * 40 + b"1" + b"}" * 40,
            b'{"x": ' + b"[" * 50_000 + b"]" * 10 + b"}",
            b'{"x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        ],
        ids=lambda body: repr(body[:40]),
    )
    def test_a_body_that_is_no_json_object(self, is_open, body):
        is_refused(register(body), "invalid_request")
        assert not Client.objects.exists()

    @pytest.mark.parametrize(
        "metadata",
        [
            {"client_name": "a\0b"},
            {"unknown": "a\0b"},
            {"a\0b": "x"},
            {"unknown": ["\ud800"]},
            {"jwks": {"keys": [{"kty": "EC", "x": "\0"}]}},
            {"unknown": [[[[[[[[[1]]]]]]]]]},
        ],
        ids=repr,
    )
    def test_what_cannot_be_stored_is_refused_wherever_it_stands(self, is_open, metadata):
        """PostgreSQL stores no NUL and no lone surrogate."""
        is_refused(register({**WEB, **metadata}), "invalid_client_metadata")

    def test_an_infinity_in_disguise(self, is_open):
        is_refused(register('{"redirect_uris": ["https://app.example/"], "x": 1e999}'), "invalid_client_metadata")

    def test_a_body_over_64_kib_is_413(self, is_open):
        is_refused(register({**WEB, "unknown": "x" * 65_536}), "invalid_request", 413)

    def test_a_large_one_is_not(self, is_open):
        assert register({**WEB, "unknown": "x" * 60_000}).status_code == 201

    def test_members_that_mean_nothing_here_are_ignored(self, is_open):
        """§2: the authorization server MUST ignore any client metadata that it does not understand."""
        ignored = {
            "unknown": [1],
            "backchannel_logout_uri": "https://app.example/logout",
            "client_id": "mine",
            "client_secret": "chosen",
            "registration_access_token": "mine",
            "source": "manual",
            "require_consent": False,
            "enabled": False,
            "claims": {"role": "admin"},
            "allowed_groups": [1],
            "properties": {"x": 1},
            "accept_either_secret_method": True,
            "name": "x",
        }
        information = registered({**WEB, **ignored})
        shared = ignored.keys() & information.keys()
        assert shared == {"client_id", "client_secret", "registration_access_token"}
        assert all(information[name] != ignored[name] for name in shared)
        row = row_of(information)
        assert (row.source, row.require_consent, row.enabled, row.claims) == ("dcr", True, True, {})

    @pytest.mark.parametrize("empty", [None, "", []])
    def test_null_and_empty_members_count_as_omitted(self, is_open, empty):
        names = ["client_name", "grant_types", "scope", "jwks", "contacts", "default_max_age", "software_id"]
        information = registered({**WEB, **dict.fromkeys(names, empty)})
        assert information["grant_types"] == ["authorization_code"]
        assert not {"client_name", "jwks", "contacts", "default_max_age", "software_id"} & information.keys()

    def test_scripts_of_other_origins_cannot_read_the_answer(self, is_open):
        response = register(HTTP_ORIGIN="https://app.example")
        assert "Access-Control-Allow-Origin" not in response

    def test_a_failing_database_is_no_verdict(self, by_token):
        token = initial_access_token()
        with failing_database():
            response = register(WEB, token)
        is_refused(response, "temporarily_unavailable", 503)
        assert response["Retry-After"]
        registered(WEB, token)


class TestResponse:
    """§3.2.1; RFC 7592 §3."""

    def test_it_is_created_and_nobody_keeps_it(self, is_open):
        response = register()
        assert response.status_code == 201
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        assert response["Pragma"] == "no-cache"

    def test_all_that_is_registered_is_given_back_defaults_included(self, is_open, clock):
        information = registered({**WEB, "client_name": "App", "software_id": "s-1", "software_version": "2"})
        row = row_of(information)
        assert (
            information.items()
            >= {
                "client_id": row.client_id,
                "client_id_issued_at": int(clock.now().timestamp()),
                "client_secret_expires_at": 0,
                "redirect_uris": [CALLBACK],
                "token_endpoint_auth_method": "client_secret_basic",
                "grant_types": ["authorization_code"],
                "response_types": ["code"],
                "application_type": "web",
                "client_name": "App",
                "subject_type": "public",
                "id_token_signed_response_alg": "RS256",
                "scope": "address email openid phone profile",
                "software_id": "s-1",
                "software_version": "2",
                "registration_client_uri": f"http://testserver/connect/register/{row.client_id}",
            }.items()
        )
        assert len(information["client_secret"]) == 43
        assert len(information["registration_access_token"]) == 43

    def test_the_address_is_the_issuer_s_and_never_the_host_header_s(self, is_open, settings):
        settings.ALLOWED_HOSTS = ["*"]
        assert "evil" not in register(HTTP_HOST="evil.example").content.decode()

    def test_the_secret_works_by_the_registered_method_alone(self, alice, is_open):
        information = registered()
        party = RegisteredParty(information)
        party.redeem(alice.browser.authorize(party).allow().code).succeeds()
        party.row.token_endpoint_auth_method = "client_secret_post"  # what the relying party does, not what is stored
        party.token(grant_type="authorization_code", code="x").fails_with("invalid_client")

    def test_a_secret_may_expire(self, offer, signing_keys, clock):
        offer(registration_secret_lifetime=timedelta(days=30))
        information = registered()
        assert information["client_secret_expires_at"] == int((clock.now() + timedelta(days=30)).timestamp())
        party = RegisteredParty(information)
        party.token(grant_type="authorization_code", code="x").fails_with("invalid_grant", 400)
        clock.forward(days=30)
        party.token(grant_type="authorization_code", code="x").fails_with("invalid_client")

    def test_a_public_client_has_no_secret(self, is_open):
        information = registered({**WEB, "token_endpoint_auth_method": "none"})
        assert not {"client_secret", "client_secret_expires_at"} & information.keys()
        assert not ClientSecret.objects.exists()

    def test_a_client_without_a_name_goes_by_its_client_id(self, is_open):
        """§2: the authorization server MAY display the raw client_id."""
        information = registered()
        assert "client_name" not in information
        assert str(row_of(information)) == information["client_id"]

    def test_what_it_says_stays_its_own(self, is_open):
        """§3.2.1, for names with any letter."""
        name = "Überraschung 🦊 נייַ"
        assert registered({**WEB, "client_name": name})["client_name"] == name


class TestWhatTheSiteDecides:
    """What no metadata can say."""

    def test_people_are_asked_once_and_then_remembered(self, alice, is_open):
        party = RegisteredParty(registered({**WEB, "client_name": "Foreign app"}))
        page = alice.browser.authorize(party)
        assert page.shows("Foreign app")
        assert page.shows("Not verified")
        party.redeem(page.submit(allow="yes", remember="on").code).succeeds()
        party.redeem(alice.browser.authorize(party).code).succeeds()

    def test_a_site_may_ask_nobody(self, alice, offer):
        offer(registration_require_consent=False)
        party = RegisteredParty(registered())
        party.redeem(alice.browser.authorize(party).code).succeeds()

    def test_pkce_is_not_asked_of_who_authenticates(self, alice, is_open):
        """RFC 9700 §2.1.1: the nonce protects them."""
        party = RegisteredParty(registered())
        page = alice.browser.authorize(party, code_challenge=None, code_challenge_method=None)
        party.redeem(page.allow().code, code_verifier=None).succeeds()

    def test_unless_the_site_wants_it(self, alice, offer):
        offer(registration_require_pkce=True)
        party = RegisteredParty(registered())
        assert alice.browser.authorize(party, code_challenge=None, code_challenge_method=None).error

    def test_pkce_is_always_asked_of_public_clients(self, alice, is_open):
        party = RegisteredParty(registered({**WEB, "token_endpoint_auth_method": "none"}))
        assert alice.browser.authorize(party, code_challenge=None, code_challenge_method=None).error

    def test_scripts_of_a_public_web_application_may_call_the_token_endpoint(self, is_open):
        public = row_of(registered({**WEB, "token_endpoint_auth_method": "none"}))
        assert public.allowed_cors_origins == ["https://app.example"]
        assert row_of(registered()).allowed_cors_origins == []
        native = {**NATIVE, "redirect_uris": ["com.example.app:/cb"]}
        assert row_of(registered(native)).allowed_cors_origins == []


class TestTypes:
    """§2: what each member is."""

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("client_name", 5),
            ("client_name", ["x"]),
            ("client_name", {"de": "x"}),
            ("client_name", True),
            ("client_name", "x" * 201),
            ("client_name", "a\nb"),
            ("client_name", "a\u202eb"),
            ("client_uri", "javascript:alert(1)"),
            ("client_uri", "x"),
            ("client_uri", "https://app.example/" + "x" * 500),
            ("logo_uri", "data:image/png;base64,AAAA"),
            ("logo_uri", 5),
            ("policy_uri", "JAVASCRIPT:alert(1)"),
            ("tos_uri", "file:///etc/passwd"),
            ("contacts", "ops@app.example"),
            ("contacts", [5]),
            ("contacts", [""]),
            ("contacts", ["a", "a"]),
            ("contacts", ["a\tb"]),
            ("grant_types", "authorization_code"),
            ("grant_types", [None]),
            ("response_types", "code"),
            ("response_types", {"code": 1}),
            ("token_endpoint_auth_method", 5),
            ("token_endpoint_auth_method", ["none"]),
            ("token_endpoint_auth_method", "NONE"),
            ("token_endpoint_auth_method", "tls_client_auth"),
            ("token_endpoint_auth_signing_alg", 5),
            ("application_type", "service"),
            ("subject_type", "private"),
            ("scope", ["openid"]),
            ("scope", 5),
            ("jwks", "https://app.example/keys"),
            ("jwks", [PUBLIC_KEY]),
            ("jwks", {}),
            ("jwks", {"keys": "x"}),
            ("jwks", {"keys": [{**PUBLIC_KEY, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}),
            ("jwks_uri", "http://app.example/keys"),
            ("jwks_uri", "app.example"),
            ("jwks_uri", "https://user:password@app.example/keys"),
            ("jwks_uri", "https://app.example:99999/keys"),
            ("jwks_uri", 5),
            ("sector_identifier_uri", "http://app.example/"),
            ("sector_identifier_uri", ["https://app.example/"]),
            ("default_max_age", -1),
            ("default_max_age", "60"),
            ("default_max_age", 1.5),
            ("default_max_age", True),
            ("default_max_age", 2**31),
            ("default_max_age", 10**100),
            ("require_auth_time", "true"),
            ("require_auth_time", 1),
            ("initiate_login_uri", "http://app.example/login"),
            ("initiate_login_uri", "https://app.example/" + "x" * 500),
            ("request_uris", "https://app.example/r"),
            ("request_uris", ["http://app.example/r"]),
            ("request_uris", ["javascript:alert(1)"]),
            ("post_logout_redirect_uris", ["javascript:alert(1)"]),
            ("post_logout_redirect_uris", ["https://app.example/#x"]),
            ("post_logout_redirect_uris", "https://app.example/"),
            ("id_token_signed_response_alg", "none"),
            ("id_token_signed_response_alg", "HS256"),
            ("id_token_signed_response_alg", ["RS256"]),
            ("software_id", 5),
            ("software_version", "x" * 256),
        ],
    )
    def test_a_member_that_is_something_else_is_refused_by_its_name(self, is_open, member, value):
        assert member in is_refused(register({**WEB, member: value}), "invalid_client_metadata")
        assert not Client.objects.exists()

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("client_name", "x" * 200),
            ("client_uri", "https://app.example/"),
            ("logo_uri", "https://app.example/logo.png"),
            ("policy_uri", "https://app.example/policy"),
            ("tos_uri", "https://app.example/terms"),
            ("contacts", ["ops@app.example", "+49 30 1234"]),
            ("jwks", {"keys": [PUBLIC_KEY]}),
            ("jwks_uri", "https://keys.example/jwks"),
            ("default_max_age", 0),
            ("default_max_age", 3600),
            ("require_auth_time", True),
            ("initiate_login_uri", "https://app.example/login"),
            ("request_uris", ["https://app.example/r"]),
            ("post_logout_redirect_uris", ["https://app.example/signed-out"]),
            ("id_token_signed_response_alg", "ES256"),
            ("userinfo_signed_response_alg", "ES256"),
            ("introspection_signed_response_alg", "ES256"),
            ("token_endpoint_auth_method", "client_secret_post"),
            ("software_id", "4NRB1-0XZABZI9E6-5SM3R"),
        ],
    )
    def test_one_that_is_right_is_kept_and_given_back(self, is_open, member, value):
        information = registered({**WEB, member: value})
        assert information[member] == value

    def test_whatever_is_sent_for_whatever_member_is_an_answer(self, is_open):
        """No 5xx, on PostgreSQL neither: what is too long, of another type or of another world for its column."""
        values = [True, -1, 10**30, "x" * 300, "x" * 5000, "\u202e\ufdd0🦊", "https://["]
        values += [[1], ["x" * 3000], [[]], ["https://a.example/" + "x" * 1990], {}, {"keys": [{}]}]
        names = [member.name for member in MEMBERS]
        names += ["scope", "software_id", "software_version", "software_statement", "client_name#de", "logo_uri#x-y"]
        for name in names:
            for value in values:
                response = register({**WEB, name: value})
                assert response.status_code in {201, 400}, (name, value, response.content)

    def test_no_refusal_repeats_what_was_sent(self, is_open):
        """It may be a password, and refusals are in the event log."""
        canary = "0xDEADBEEF-canary"
        for metadata in (
            {"redirect_uris": [f"https://user:{canary}@app.example/"]},
            {"redirect_uris": [f"javascript:{canary}"]},
            {**WEB, "jwks_uri": f"https://user:{canary}@app.example/"},
            {**WEB, "post_logout_redirect_uris": [f"https://user:{canary}@app.example/"]},
            {**WEB, "request_uris": [f"https://user:{canary}@app.example/"]},
            {**WEB, "logo_uri": f"x {canary}"},
            {**WEB, "software_statement": canary},
            {**WEB, "jwks": {"keys": [{**PUBLIC_KEY, "d": canary}]}},
        ):
            response = register(metadata)
            assert response.status_code == 400
            assert canary not in response.content.decode()
        assert Event.objects.filter(type="request_refused").count() == 8
        assert canary not in str(list(Event.objects.values()))


class TestTranslations:
    """§2.2: members in several languages."""

    def test_they_are_kept_by_language_and_shown_in_it(self, is_open):
        information = registered(
            {
                **WEB,
                "client_name": "My app",
                "client_name#de": "Meine App",
                "client_name#ja-Hani-JP": "私のアプリ",
                "tos_uri#de": "https://app.example/agb",
            }
        )
        assert information["client_name#de"] == "Meine App"
        assert information["client_name#ja-hani-jp"] == "私のアプリ"
        row = row_of(information)
        assert row.text("name", "de") == "Meine App"
        assert row.text("name", "fr") == "My app"
        assert row.text("tos_uri", "de-at") == "https://app.example/agb"

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("client_name#", "x"),
            ("client_name#d€", "x"),
            ("client_name#a b", "x"),
            ("client_name#" + "x" * 9, "x"),
            ("client_name#de", 5),
            ("client_name#de", "a\nb"),
            ("client_name#de", "x" * 201),
            ("tos_uri#de", "javascript:alert(1)"),
            ("logo_uri#fr", "data:text/html,x"),
            ("policy_uri#fr", "https://app.example/" + "x" * 500),
        ],
    )
    def test_they_are_judged_as_the_text_itself(self, is_open, member, value):
        is_refused(register({**WEB, member: value}), "invalid_client_metadata")

    def test_a_language_is_there_once(self, is_open):
        names = {"client_name#de": "x", "client_name#DE": "y"}
        is_refused(register({**WEB, **names}), "invalid_client_metadata")

    def test_of_other_members_they_are_ignored(self, is_open):
        assert "redirect_uris#de" not in registered({**WEB, "redirect_uris#de": ["https://evil.example/"]})


class TestRedirectUris:
    """OpenID Connect Dynamic Client Registration §2, RFC 8252 §7, RFC 9700 §2.1."""

    @pytest.mark.parametrize("kind", ["web", "native", None])
    @pytest.mark.parametrize(
        "uri",
        [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "about:blank",
            "http://app.example/callback",
            "https://*.app.example/callback",
            "https://app.example/*",
            "https://app.example/callback#fragment",
            "https://app.example/callback#",
            "https://user@app.example/",
            "https://user:password@app.example/",
            "https://app.example:99999/",
            "https://[::1/",
            "https://app.example\\@evil.example/",
            "https://app example/",
            "https://",
            "https:///callback",
            "//app.example/callback",
            "/callback",
            "callback",
            "",
            "myapp://callback",
            "https://app.example/%0d%0aSet-Cookie:x",
            "https://app.example/\r\nx",
            "https://äpp.example/",
            "https://app.example/" + "x" * 2000,
            " https://app.example/",
        ],
    )
    def test_never(self, is_open, kind, uri):
        said = {"redirect_uris": ["https://app.example/good", uri], "application_type": kind}
        if kind == "native":
            said["redirect_uris"][0] = "com.example.app:/cb"
        is_refused(register(said), "invalid_redirect_uri")

    @pytest.mark.parametrize("value", [5, "https://app.example/", {"0": "x"}, [5], [None], [["https://app.example/"]]])
    def test_a_list_of_texts(self, is_open, value):
        is_refused(register({"redirect_uris": value}), "invalid_redirect_uri")

    def test_each_once(self, is_open):
        is_refused(register({"redirect_uris": [CALLBACK, CALLBACK]}), "invalid_redirect_uri")

    @pytest.mark.parametrize("metadata", [{}, {"redirect_uris": []}, {"redirect_uris": None}])
    def test_a_client_that_people_sign_in_to_needs_one(self, is_open, metadata):
        is_refused(register(metadata), "invalid_redirect_uri")

    @pytest.mark.parametrize(
        "uri",
        [
            "http://localhost/cb",
            "https://localhost/cb",
            "http://127.0.0.1/cb",
            "https://[::1]/cb",
            "com.example.app:/cb",
        ],
    )
    def test_a_web_application_is_on_a_host_of_its_own(self, is_open, uri):
        """§2: MUST only register https, and MUST NOT use localhost. It is the default."""
        for kind in ({}, {"application_type": "web"}):
            is_refused(register({"redirect_uris": [uri], **kind}), "invalid_redirect_uri")

    @pytest.mark.parametrize(
        "uri",
        [
            "com.example.app:/cb",
            "com.example.app://cb",
            "http://localhost/cb",
            "http://localhost:8080/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:5555/cb",
            "http://[::1]:5555/cb",
            "https://app.example/claimed",
        ],
    )
    def test_a_native_application_has_a_scheme_loopback_or_its_own_https(self, is_open, uri):
        """RFC 8252 §7.1 to §7.3."""
        assert registered({"redirect_uris": [uri], **NATIVE})["redirect_uris"] == [uri]

    @pytest.mark.parametrize("uri", ["https://localhost/cb", "https://127.0.0.1/cb", "http://192.168.0.1/cb"])
    def test_and_nothing_else(self, is_open, uri):
        is_refused(register({"redirect_uris": [uri], **NATIVE}), "invalid_redirect_uri")

    def test_several_hosts(self, is_open):
        several = ["https://a.example/cb", "https://b.example/cb"]
        assert registered({"redirect_uris": several})["redirect_uris"] == several


class TestLinks:
    """§9.1 of OpenID Connect Dynamic Client Registration: what people are shown of somebody whom nobody knows."""

    FOREIGN = {
        "client_uri": "https://bank.example/",
        "logo_uri": "https://bank.example/logo.png",
        "policy_uri": "https://bank.example/policy",
        "tos_uri#de": "https://bank.example/agb",
    }
    OWN = {
        "client_uri": "https://app.example/",
        "logo_uri": "https://APP.example/logo.png",
        "tos_uri#de": "https://app.example/agb",
    }

    def test_where_anybody_may_register_links_to_other_hosts_are_left_out(self, is_open):
        information = registered({**WEB, **self.FOREIGN})
        assert not self.FOREIGN.keys() & information.keys()
        assert row_of(information).translations == {}

    def test_links_to_hosts_of_the_redirect_uris_stay(self, is_open):
        assert registered({**WEB, **self.OWN}).items() >= self.OWN.items()

    def test_a_native_application_has_no_host_that_could_vouch_for_a_logo(self, is_open):
        information = registered({**NATIVE, **self.FOREIGN, "redirect_uris": ["com.example.app:/cb"]})
        assert not self.FOREIGN.keys() & information.keys()

    @pytest.mark.parametrize(
        "registration",
        [
            {"redirect_uris": ["https://bank.example/cb", "https://attacker.example/cb"]},
            {**NATIVE, "redirect_uris": ["https://bank.example/cb", "com.attacker.app:/cb"]},
            {**NATIVE, "redirect_uris": ["https://bank.example/cb", "http://127.0.0.1/cb"]},
            {"redirect_uris": ["https://bank.example/cb"], "grant_types": ["authorization_code", DEVICE]},
            {**NATIVE, "redirect_uris": ["https://bank.example/cb"], "grant_types": [DEVICE]},
        ],
    )
    def test_nor_has_one_whose_answers_go_elsewhere_too(self, is_open, registration):
        """A redirect URI of somebody else is easily written beside one's own, or where none is needed."""
        information = registered({**registration, **self.FOREIGN})
        assert not self.FOREIGN.keys() & information.keys()

    def test_with_an_initial_access_token_somebody_vouches_for_them(self, is_open):
        assert registered({**WEB, **self.FOREIGN}, initial_access_token()).items() >= self.FOREIGN.items()


class TestGrantTypesAndResponseTypes:
    """§2.1: they go together; and only what works can be registered."""

    @pytest.mark.parametrize(
        ("grant_types", "response_types"),
        [
            (["authorization_code"], ["code"]),
            (["authorization_code"], None),
            (None, ["code"]),
            (["authorization_code", "refresh_token"], ["code"]),
            (["authorization_code", "refresh_token"], None),
            (["client_credentials"], None),
            (["client_credentials"], []),
            (["authorization_code", "client_credentials"], None),
        ],
    )
    def test_those_that_do(self, is_open, grant_types, response_types):
        information = registered({**WEB, "grant_types": grant_types, "response_types": response_types})
        assert information["grant_types"] == (grant_types or ["authorization_code"])
        has_code = "authorization_code" in information["grant_types"]
        assert information["response_types"] == (["code"] if has_code else [])

    @pytest.mark.parametrize(
        ("grant_types", "response_types"),
        [
            (["client_credentials"], ["code"]),
            (["authorization_code"], ["id_token"]),
            (["authorization_code"], ["code", "unknown"]),
            (["authorization_code"], ["code token"]),
            (["authorization_code"], ["code", "code id_token token"]),
            (["implicit"], ["id_token"]),
            (["implicit"], None),
            (["authorization_code", "implicit"], ["code", "id_token"]),
            (["authorization_code"], ["none"]),
            (["refresh_token"], None),
            (["client_credentials", "refresh_token"], None),
            (["password"], None),
            (["authorization_code", "password"], ["code"]),
            ([TOKEN_EXCHANGE], None),
            ([JWT_BEARER], None),
            (["unknown"], None),
            (["Authorization_Code"], None),
            (["urn:openid:params:grant-type:ciba"], None),
        ],
    )
    def test_and_those_that_do_not(self, is_open, grant_types, response_types):
        metadata = {**WEB, "grant_types": grant_types, "response_types": response_types}
        is_refused(register(metadata), "invalid_client_metadata")

    @pytest.mark.parametrize("grant_types", [["authorization_code"], ["authorization_code", "implicit"]])
    def test_hybrid_clients(self, alice, is_open, grant_types):
        """OpenID Connect has them register implicit, too; RFC 7591 §2.1 lets the server correct that."""
        types = ["code", "id_token code"]
        information = registered({**WEB, "grant_types": grant_types, "response_types": types})
        assert information["grant_types"] == ["authorization_code"]
        assert information["response_types"] == ["code", "code id_token"]
        party = RegisteredParty(information)
        answered = alice.browser.authorize(party, response_type="code id_token").allow().parameters
        assert answered["id_token"]
        party.redeem(answered["code"]).succeeds()

    def test_implicit_ones_only_where_the_site_offers_that(self, alice, offer, signing_keys):
        offer(optional_grant_types=["implicit"])
        implicit = {**WEB, "grant_types": ["implicit"], "response_types": ["token id_token"]}
        is_refused(register(implicit), "invalid_client_metadata")
        offer(registration_grant_types=["authorization_code", "implicit"])
        information = registered({**implicit, "scope": "openid"})
        assert information["response_types"] == ["id_token token"]
        party = RegisteredParty(information)
        page = alice.browser.authorize(
            party, response_type="id_token token", code_challenge=None, code_challenge_method=None
        )
        assert page.allow().parameters.keys() >= {"id_token", "access_token"}

    def test_a_site_that_offers_passwords_offers_them_to_nobody_who_registers(self, offer):
        offer(registration_grant_types=["authorization_code", "password"])
        is_refused(register({**WEB, "grant_types": ["password"]}), "invalid_client_metadata")

    def test_a_site_may_offer_less(self, offer):
        offer(registration_grant_types=["authorization_code"])
        registered()
        is_refused(register({**WEB, "grant_types": ["client_credentials"]}), "invalid_client_metadata")

    def test_client_credentials_need_a_client_that_authenticates(self, is_open):
        """RFC 6749 §4.4."""
        metadata = {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"}
        is_refused(register(metadata), "invalid_client_metadata")

    def test_a_machine_needs_no_redirect_uri(self, offer, api, signing_keys):
        offer(registration_scopes=["notes.read"])
        information = registered({"grant_types": ["client_credentials"], "scope": "notes.read"})
        tokens = RegisteredParty(information).client_credentials().succeeds()
        assert tokens.members["scope"] == "notes.read"

    def test_the_device_grant(self, is_open):
        """RFC 8628: no redirect URI either."""
        information = registered({"grant_types": [DEVICE], "token_endpoint_auth_method": "none"})
        assert information["response_types"] == []

    def test_everything_that_discovery_offers_is_judged_alike(self, is_open):
        """What is registered can be used: no method and no response type is refused that discovery lists."""
        keys = {"jwks": {"keys": [PUBLIC_KEY]}}
        for method in discovery()["token_endpoint_auth_methods_supported"]:
            extra = keys if method == "private_key_jwt" else {}
            information = registered({**WEB, "token_endpoint_auth_method": method, **extra})
            assert information["token_endpoint_auth_method"] == method
        for algorithm in discovery()["id_token_signing_alg_values_supported"]:
            registered({**WEB, "id_token_signed_response_alg": algorithm})


class TestKeys:
    """§2: jwks and jwks_uri; OpenID Connect Core §9."""

    def test_not_both(self, is_open):
        keys = {"jwks": {"keys": [PUBLIC_KEY]}, "jwks_uri": "https://app.example/keys"}
        assert "jwks" in is_refused(register({**WEB, **keys}), "invalid_client_metadata")

    def test_private_key_jwt_needs_one(self, is_open):
        is_refused(register({**WEB, "token_endpoint_auth_method": "private_key_jwt"}), "invalid_client_metadata")

    def test_it_has_no_secret(self, is_open):
        keys = {"jwks": {"keys": [PUBLIC_KEY]}}
        information = registered({**WEB, "token_endpoint_auth_method": "private_key_jwt", **keys})
        assert "client_secret" not in information

    def test_the_algorithm_goes_with_the_method(self, is_open):
        said = {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256"}
        is_refused(register({**WEB, **said}), "invalid_client_metadata")
        said["token_endpoint_auth_signing_alg"] = "HS256"
        assert registered({**WEB, **said}).items() >= said.items()

    def test_client_secret_jwt_gets_a_secret_that_can_be_recovered(self, is_open):
        """The server needs the very secret to verify by it."""
        information = registered({**WEB, "token_endpoint_auth_method": "client_secret_jwt"})
        row = ClientSecret.objects.get()
        assert row.encrypted
        assert row.matches(information["client_secret"])
        assert information["client_secret"] not in str(ClientSecret.objects.values())


class TestScope:
    """§2: what it may ask for."""

    def test_without_it_the_standard_identity_resources(self, is_open):
        IdentityResource.objects.create(name="employee")
        assert registered()["scope"] == "address email openid phone profile"

    def test_and_offline_access_with_refresh_tokens(self, is_open):
        grant_types = ["authorization_code", "refresh_token"]
        information = registered({**WEB, "grant_types": grant_types})
        assert "offline_access" in information["scope"].split()
        assert row_of(information).allow_offline_access

    def test_but_none_that_is_disabled(self, is_open):
        IdentityResource.objects.filter(name="address").update(enabled=False)
        assert registered()["scope"] == "email openid phone profile"
        is_refused(register({**WEB, "scope": "openid address"}), "invalid_client_metadata")

    def test_it_may_ask_for_less(self, is_open):
        assert registered({**WEB, "scope": "email openid"})["scope"] == "email openid"

    @pytest.mark.parametrize("scope", ["openid notes.read", "unknown", "openid employee", "openid\tx", 'op"en', "€"])
    def test_not_for_apis_nor_for_identity_resources_of_the_site(self, is_open, api, scope):
        IdentityResource.objects.create(name="employee")
        is_refused(register({**WEB, "scope": scope}), "invalid_client_metadata")

    def test_unless_the_site_offers_them(self, offer, api):
        IdentityResource.objects.create(name="employee")
        offer(registration_scopes=["notes.read", "employee"])
        assert registered({**WEB, "scope": "openid employee notes.read"})["scope"] == "employee notes.read openid"
        assert "notes.read" not in registered()["scope"]
        is_refused(register({**WEB, "scope": "notes.write"}), "invalid_client_metadata")

    def test_an_api_scope_that_is_disabled_is_not_offered(self, offer, api):
        offer(registration_scopes=["notes.read"])
        ApiScope.objects.update(enabled=False)
        is_refused(register({**WEB, "scope": "notes.read"}), "invalid_client_metadata")

    def test_offline_access_needs_the_grant_type(self, is_open):
        is_refused(register({**WEB, "scope": "openid offline_access"}), "invalid_client_metadata")

    def test_nobody_signs_in_to_a_machine(self, is_open):
        metadata = {"grant_types": ["client_credentials"]}
        assert "scope" not in registered(metadata)
        is_refused(register({**metadata, "scope": "openid"}), "invalid_client_metadata")


class TestProtections:
    """What a client asks for its protection is given or refused, and never ignored."""

    @pytest.mark.parametrize(
        "metadata",
        [
            {"require_pushed_authorization_requests": True},
            {"require_signed_request_object": True},
            {"dpop_bound_access_tokens": True},
            {"tls_client_certificate_bound_access_tokens": True},
            {"id_token_encrypted_response_alg": "RSA-OAEP-256"},
            {"userinfo_encrypted_response_alg": "RSA-OAEP-256"},
            {"authorization_signed_response_alg": "RS256"},
            {"authorization_encrypted_response_alg": "RSA-OAEP-256"},
            {"introspection_encrypted_response_alg": "RSA-OAEP-256"},
            {"token_endpoint_auth_method": "self_signed_tls_client_auth"},
        ],
        ids=lambda metadata: next(iter(metadata)),
    )
    def test_what_is_not_built_is_refused(self, is_open, metadata):
        is_refused(register({**WEB, **metadata}), "invalid_client_metadata")
        assert not Client.objects.exists()

    def test_saying_that_it_is_not_wanted_is_fine(self, is_open):
        unwanted = {"dpop_bound_access_tokens": False, "require_signed_request_object": False}
        assert registered({**WEB, **unwanted}).items() >= unwanted.items()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve(authority, offer, monkeypatch):
    """Start a server on loopback that may be fetched from, and tell its address."""
    servers: list[Server] = []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    def start(said: bytes | list[bytes]) -> Server:
        answers = [said] if isinstance(said, bytes) else list(said)
        server = Server(
            lambda send: send(answers.pop(0) if len(answers) > 1 else answers[0]), authority.issue("127.0.0.1")
        )
        server.url = f"https://127.0.0.1:{server.port}/sector.json"
        servers.append(server)
        ports = [server.port for server in servers]
        offer(registration_limit_per_hour=0, outbound_private_hosts=["127.0.0.1"], outbound_ports=ports)
        return server

    yield start
    for server in servers:
        server.close()


class TestSector:
    """OpenID Connect Dynamic Client Registration §5."""

    def test_a_document_that_lists_every_redirect_uri(self, serve):
        server = serve(answer(json.dumps([CALLBACK, "https://other.example/cb"]).encode()))
        metadata = {**WEB, "sector_identifier_uri": server.url}
        assert registered(metadata)["sector_identifier_uri"] == server.url

    @pytest.mark.parametrize(
        "document",
        [
            answer(b"[]"),
            answer(json.dumps(["https://other.example/cb"]).encode()),
            answer(json.dumps([CALLBACK + "/"]).encode()),
            answer(json.dumps({"redirect_uris": [CALLBACK]}).encode()),
            answer(json.dumps([CALLBACK, 5]).encode()),
            answer(json.dumps(CALLBACK).encode()),
            answer(CALLBACK.encode()),
            answer(b"\xff"),
            answer(b"[" * 60_000),
            answer(b"9" * 60_000),
            answer(b'["' + b"x" * 70_000 + b'"]'),
            answer(b"", status="404 Not Found"),
            answer(json.dumps([CALLBACK]).encode(), status="500 Internal Server Error"),
            answer(b"", "Location: https://127.0.0.1/other", status="302 Found"),
            b"not HTTP\r\n\r\n",
        ],
        ids=lambda document: repr(document[:60]),
    )
    def test_any_other_is_refused(self, serve, document):
        server = serve(document)
        said = is_refused(register({**WEB, "sector_identifier_uri": server.url}), "invalid_client_metadata")
        assert "sector_identifier_uri" in said
        assert "127.0.0.1" not in said
        assert not Client.objects.exists()

    def test_one_that_has_changed_is_read_anew_once_a_minute(self, serve, clock):
        """It is kept for five minutes; but a redirect URI that it does not list may just have been added to it."""
        old, new = ["https://old.example/"], ["https://old.example/", CALLBACK]
        server = serve([answer(json.dumps(urls).encode()) for urls in (old, new)])
        sector = {"sector_identifier_uri": server.url}
        registered({"redirect_uris": old, **sector})
        is_refused(register({**WEB, **sector}), "invalid_client_metadata")
        clock.forward(minutes=1)
        registered({**WEB, **sector})
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "uri",
        [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
            "https://2130706433/",
            "https://127.1/",
            "https://0/",
            "https://app.example:22/",
        ],
    )
    def test_nothing_private_is_reached_by_it(self, is_open, uri):
        """RFC 7591 §5: server-side request forgery."""
        is_refused(register({**WEB, "sector_identifier_uri": uri}), "invalid_client_metadata")

    def test_it_is_not_fetched_for_what_is_refused_anyway(self, serve):
        server = serve(answer(json.dumps([CALLBACK]).encode()))
        for broken in ({"grant_types": ["password"]}, {"scope": "x"}, {"redirect_uris": []}, {"client_name": 5}):
            assert register({**WEB, "sector_identifier_uri": server.url, **broken}).status_code == 400
        assert server.requests == []

    def test_nor_is_anything_else_that_a_client_names(self, serve, monkeypatch):
        """Not even looked up: logos are for browsers, keys for the time when they are needed."""
        server = serve(answer(b"{}"))
        asked: list[Any] = []
        genuine = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *rest, **more: asked.append(host) or genuine(host, *rest, **more)
        )
        names = ["logo_uri", "client_uri", "policy_uri", "tos_uri", "jwks_uri", "initiate_login_uri"]
        metadata = {**WEB, **dict.fromkeys(names, server.url), "request_uris": [server.url]}
        registered(metadata, initial_access_token())
        assert server.requests == []
        assert server.url not in asked
        assert not [host for host in asked if host in {"127.0.0.1", "app.example"}]


class TestPairwise:
    """OpenID Connect Core §8.1: mixed hosts."""

    def test_one_host_is_a_sector(self, is_open):
        assert registered({**WEB, "subject_type": "pairwise"})["subject_type"] == "pairwise"

    def test_several_are_one_where_a_document_says_so(self, serve):
        several = ["https://a.example/cb", "https://b.example/cb"]
        server = serve(answer(json.dumps(several).encode()))
        metadata = {"redirect_uris": several, "subject_type": "pairwise", "sector_identifier_uri": server.url}
        assert registered(metadata)["subject_type"] == "pairwise"

    def test_several_hosts_need_a_sector(self, is_open):
        several = ["https://a.example/cb", "https://b.example/cb"]
        metadata = {"redirect_uris": several, "subject_type": "pairwise"}
        is_refused(register(metadata), "invalid_client_metadata")

    @pytest.mark.parametrize(
        "uri",
        [
            "com.example.app:/cb",
            "com.attacker.app://victim.example/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost/cb",
        ],
    )
    def test_no_host_of_its_own_needs_one_too(self, is_open, uri):
        """Anybody writes any host behind a scheme of their own, and this machine is everybody's."""
        metadata = {**NATIVE, "redirect_uris": [uri], "subject_type": "pairwise"}
        is_refused(register(metadata), "invalid_client_metadata")

    @pytest.mark.parametrize("redirect_uris", [None, ["https://victim.example/cb"]])
    def test_nobody_joins_a_sector_to_which_no_answer_is_sent(self, serve, redirect_uris):
        """Only who gets answers there belongs to it; a device gets them wherever it is."""
        server = serve(answer(json.dumps(["https://victim.example/cb"]).encode()))
        device: dict[str, Any] = {**NATIVE, "subject_type": "pairwise", "grant_types": [DEVICE]}
        if redirect_uris:
            device |= {"redirect_uris": redirect_uris, "grant_types": ["authorization_code", DEVICE]}
        is_refused(register({**device, "sector_identifier_uri": server.url}), "invalid_client_metadata")
        is_refused(register(device), "invalid_client_metadata")
        assert server.requests == []

    def test_nor_later(self, is_open):
        """RFC 7592 §2.2."""
        device = {**NATIVE, "redirect_uris": ["https://victim.example/cb"]}
        information = registered({**device, "grant_types": ["authorization_code", DEVICE]})
        changed = as_sent(information, subject_type="pairwise")
        is_refused(manage("PUT", information, changed), "invalid_client_metadata")
        assert row_of(information).subject_type == "public"


def renaming(metadata, *, initial_access_token, client):
    """A policy that says in the name what it was told."""
    return {**metadata, "client_name": f"{metadata.get('client_name')} by {initial_access_token}, {client}"}


def refusing(metadata, *, initial_access_token, client):
    raise AccessDenied("Ask us first.") if "client_name" in metadata else InvalidClientMetadata("A name, please.")


def widening(metadata, *, initial_access_token, client):
    return {**metadata, "grant_types": ["password"], "scope": "admin"}


def verifying(metadata, *, initial_access_token, client):
    """A policy that takes the software statements of somebody it knows."""
    statement = metadata.get("software_statement")
    if statement is None:
        return metadata
    if statement != "signed by a friend":
        raise InvalidSoftwareStatement("The signature is wrong.")
    rest = {name: value for name, value in metadata.items() if name != "software_statement"}
    return {**rest, "client_name": "As attested"}


class TestPolicy:
    """The option registration_policy."""

    @pytest.fixture
    def policy(self, offer, signing_keys):
        return lambda name: offer(registration_policy=f"{__name__}.{name}")

    def test_it_may_change_what_is_registered(self, policy):
        policy("renaming")
        assert registered({**WEB, "client_name": "App"})["client_name"] == "App by None, None"

    def test_it_knows_the_initial_access_token(self, policy):
        policy("renaming")
        token = initial_access_token(description="partners")
        assert registered(WEB, token)["client_name"] == "None by partners, None"

    def test_it_may_refuse(self, policy):
        policy("refusing")
        is_refused(register(), "invalid_client_metadata")
        response = register({**WEB, "client_name": "x"})
        is_refused(response, "access_denied", 403)
        assert not Client.objects.exists()

    def test_what_it_returns_is_judged_like_anything(self, policy):
        policy("widening")
        is_refused(register(), "invalid_client_metadata")

    def test_those_of_the_guide(self, offer, signing_keys):
        offer(registration_policy="tests.oauth2.registration_policies.only_partners")
        is_refused(register(), "access_denied", 403)
        information = registered({"redirect_uris": ["https://shop.example/callback"]})
        assert information["contacts"] == ["partners@id.example.com"]
        offer(registration_policy="tests.oauth2.registration_policies.say_native")
        information = registered({"redirect_uris": ["http://localhost:3000/callback"]})
        assert information["application_type"] == "native"
        assert registered()["application_type"] == "web"

    def test_a_path_that_leads_nowhere_is_found_by_the_checks(self, offer):
        from django.core.checks import run_checks

        offer(registration_policy="nowhere.nothing")
        assert "identityserver.E001" in {message.id for message in run_checks()}


class TestSoftwareStatement:
    """§2.3, §3.1.1: the policy judges them; without one they are refused rather than ignored."""

    def test_nobody_s_counts_without_a_policy(self, is_open):
        is_refused(register({**WEB, "software_statement": "a.b.c"}), "unapproved_software_statement")

    @pytest.mark.parametrize("statement", [5, True, ["a.b.c"], {"a": "b"}])
    def test_one_that_is_no_text_is_invalid(self, is_open, statement):
        is_refused(register({**WEB, "software_statement": statement}), "invalid_software_statement")

    def test_a_policy_may_accept_one_and_it_is_given_back_unmodified(self, offer):
        offer(registration_policy=f"{__name__}.verifying")
        information = registered({**WEB, "software_statement": "signed by a friend"})
        assert information["client_name"] == "As attested"
        assert information["software_statement"] == "signed by a friend"

    def test_or_refuse_it(self, offer):
        offer(registration_policy=f"{__name__}.verifying")
        is_refused(register({**WEB, "software_statement": "forged"}), "invalid_software_statement")


class TestEvents:
    """What staff see; no secret in any."""

    def test_a_registration(self, is_open):
        information = registered({**WEB, "client_name": "App"}, initial_access_token(description="partners"))
        event = Event.objects.get(type="client_registered")
        assert (event.client, event.outcome) == (information["client_id"], "success")
        assert "App" in event.detail
        assert "partners" in event.detail
        assert event.ip == "127.0.0.1"
        everything = str(list(Event.objects.values()))
        for secret in ("client_secret", "registration_access_token"):
            assert information[secret] not in everything

    def test_a_refusal(self, is_open):
        is_refused(register({}), "invalid_redirect_uri")
        event = Event.objects.get(type="request_refused")
        assert event.code == "invalid_redirect_uri"
        assert event.clause == "RFC 7591 §3.2.2"

    def test_tokens_that_are_refused_are_in_no_event(self, by_token):
        register(WEB, "guess-0xDEADBEEF-guess")
        assert "DEADBEEF" not in str(list(Event.objects.values()))
