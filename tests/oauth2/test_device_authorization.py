"""The device authorization grant, line by line: RFC 8628."""

import json
import re
from datetime import timedelta
from itertools import chain, repeat
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from identityserver import signals
from identityserver.digests import digest
from identityserver.models import (
    ApiScope,
    Client,
    DeviceRequest,
    Event,
    Grant,
    RefreshToken,
    ServerSecret,
    SessionClient,
    UserSession,
)
from identityserver.models import device as codes
from identityserver.testing.relying_party import FORM
from identityserver.vocabulary import GrantType
from tests.speaking import ISSUER, stored_rows, url_of

pytestmark = pytest.mark.django_db

SHOWN = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")


@pytest.fixture
def asked(television, clock):
    """A device that waits."""
    return television.device_authorization().succeeds()


@pytest.fixture
def allowed(alice, television, asked):
    """A device that Alice has allowed everything."""
    alice.browser.enter_user_code(asked.user_code).allow()
    return asked


def row_of(answer) -> DeviceRequest:
    return DeviceRequest.objects.get(digest=digest(answer.device_code))


class TestDeviceAuthorizationRequest:
    """§3.1."""

    def test_it_is_advertised(self, web_app):
        """§4."""
        document = web_app.http.get("/.well-known/openid-configuration").json()
        assert document["device_authorization_endpoint"] == f"{ISSUER}/connect/deviceauthorization"
        assert GrantType.DEVICE_CODE in document["grant_types_supported"]

    def test_a_confidential_client_must_authenticate(self, relying_party):
        box = relying_party(allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE])
        box.device_authorization().succeeds()
        box.secret = "another"
        box.device_authorization().fails_with("invalid_client")

    def test_a_public_client_names_itself(self, television):
        """§3.1: client_id is required of clients that do not authenticate otherwise."""
        url = url_of("device_authorization")
        answer = television.http.post(url, urlencode({"scope": "openid"}), content_type=FORM)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert television.device_authorization(client_id="nobody").members["error"] == "invalid_client"

    def test_only_clients_with_the_grant_type(self, web_app):
        web_app.device_authorization().fails_with("unauthorized_client")

    def test_a_disabled_client_is_none(self, television):
        Client.objects.update(enabled=False)
        television.device_authorization().fails_with("invalid_client")

    @pytest.mark.parametrize("scope", ["openid unknown", "notes.read", "address"])
    def test_a_scope_that_the_client_may_not_ask_for(self, television, api, scope):
        television.device_authorization(scope=scope).fails_with("invalid_scope")

    def test_without_a_scope_there_is_nothing_to_ask_a_person_for(self, television):
        """RFC 6749 §3.3: the server refuses where it has no default."""
        television.device_authorization(scope=None).fails_with("invalid_scope")

    def test_a_resource_that_no_scope_belongs_to(self, television):
        """RFC 8707 §2."""
        television.device_authorization(resource="https://elsewhere.example").fails_with("invalid_target")

    @pytest.mark.parametrize("name", ["request", "request_uri", "authorization_details", "registration"])
    def test_what_is_not_supported_is_not_ignored(self, television, name):
        assert television.device_authorization(**{name: "{}"}).status == 400

    def test_an_unknown_parameter_is_ignored(self, television):
        television.device_authorization(flavour="vanilla").succeeds()

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_only_a_form_is_posted(self, television, method):
        url = url_of("device_authorization")
        refused = getattr(television.http, method)(url)
        assert (refused.status_code, refused["Allow"]) == (405, "POST, OPTIONS")
        body = json.dumps({"client_id": television.client_id, "scope": "openid"})
        assert television.http.post(url, body, content_type="application/json").status_code == 415

    def test_an_error_stores_nothing(self, television, web_app):
        before = stored_rows()
        for refused in (
            web_app.device_authorization(),
            television.device_authorization(scope="unknown"),
            television.device_authorization(resource="https://elsewhere.example"),
            television.device_authorization(client_id="nobody"),
        ):
            assert refused.status >= 400
        assert not DeviceRequest.objects.exists()
        assert stored_rows() == before

    def test_so_many_requests_a_minute_and_no_more(self, television, settings, clock):
        """A public client proves nothing: anybody could fill the table."""
        clock.moment = clock.moment.replace(second=0)
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "device_requests_per_minute": 2}
        for _ in range(2):
            television.device_authorization().succeeds()
        refused = television.device_authorization().fails_with("slow_down", 429)
        assert refused.response["Retry-After"] == "60"
        assert DeviceRequest.objects.count() == 2
        clock.forward(minutes=1)
        television.device_authorization().succeeds()


class TestDeviceAuthorizationResponse:
    """§3.2."""

    def test_it_has_every_member(self, asked):
        assert asked.members.keys() == {
            "device_code",
            "user_code",
            "verification_uri",
            "verification_uri_complete",
            "expires_in",
            "interval",
        }
        assert asked.members["verification_uri"] == f"{ISSUER}/device"
        assert asked.verification_uri_complete == f"{ISSUER}/device?user_code={asked.user_code}"
        assert (asked.members["expires_in"], asked.members["interval"]) == (300, 5)
        assert asked.response["Content-Type"] == "application/json"
        assert asked.response["Cache-Control"] == "no-store"

    def test_the_user_code_is_short_and_of_letters_that_nobody_confuses(self, television):
        """§6.1."""
        drawn = {television.device_authorization().user_code for _ in range(20)}
        assert len(drawn) == 20
        assert all(SHOWN.fullmatch(code) for code in drawn)

    def test_the_device_code_cannot_be_guessed(self, asked):
        """§5.2: 256 bits."""
        assert len(asked.device_code) == 43

    def test_neither_code_is_stored(self, asked):
        """A dump tells neither: one is a SHA-256, and the other, which could be tried out, an HMAC."""
        row = DeviceRequest.objects.get()
        assert row.digest == digest(asked.device_code)
        bare = asked.user_code.replace("-", "")
        assert row.user_code not in {asked.user_code, bare, digest(asked.user_code), digest(bare)}
        assert ServerSecret.objects.get(purpose="user_codes").value

    def test_the_server_decides_how_long_and_how_often(self, television, settings):
        minute, often = timedelta(minutes=1), timedelta(seconds=2)
        chosen = {"device_code_lifetime": minute, "device_polling_interval": often}
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **chosen}
        members = television.device_authorization().members
        assert (members["expires_in"], members["interval"]) == (60, 2)

    def test_a_client_may_have_a_lifetime_of_its_own(self, television):
        television.row.device_code_lifetime = 900
        television.row.save()
        assert television.device_authorization().members["expires_in"] == 900

    def test_a_user_code_is_drawn_again_where_somebody_has_it(self, television, monkeypatch):
        """Unique by the database, not by looking first."""
        letters = chain("B" * 16, repeat("C"))
        monkeypatch.setattr(codes.secrets, "choice", lambda _alphabet: next(letters))
        assert [television.device_authorization().succeeds().user_code for _ in range(2)] == ["BBBB-BBBB", "CCCC-CCCC"]


class TestPolling:
    """§3.4 and §3.5, as far as nobody has decided."""

    def test_pending(self, television, asked):
        television.poll(asked.device_code).fails_with("authorization_pending")

    def test_also_while_somebody_looks_at_the_page(self, alice, television, asked):
        alice.browser.enter_user_code(asked.user_code)
        television.poll(asked.device_code).fails_with("authorization_pending")

    def test_polling_at_the_interval_stays_pending(self, television, asked, clock):
        for _ in range(10):
            television.poll(asked.device_code).fails_with("authorization_pending")
            clock.forward(seconds=5)

    def test_who_polls_too_fast_must_wait_five_seconds_longer_from_then_on(self, television, asked, clock):
        for seconds, error in (
            (0, "authorization_pending"),
            (4, "slow_down"),
            (9, "slow_down"),
            (14, "slow_down"),
            (20, "authorization_pending"),
            (19, "slow_down"),
        ):
            clock.forward(seconds=seconds)
            television.poll(asked.device_code).fails_with(error)
        assert row_of(asked).interval == 25

    def test_how_fast_is_known_to_the_database_and_not_to_a_cache(self, television, asked, settings):
        television.poll(asked.device_code)
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        television.poll(asked.device_code).fails_with("slow_down")

    def test_devices_do_not_slow_each_other_down(self, television, asked):
        other = television.device_authorization()
        for found in (asked, other):
            television.poll(found.device_code).fails_with("authorization_pending")

    def test_a_fast_device_still_gets_its_tokens_at_once(self, alice, television, asked):
        """§3.5: slow_down is a variant of pending."""
        for error in ("authorization_pending", "slow_down", "slow_down"):
            television.poll(asked.device_code).fails_with(error)
        alice.browser.enter_user_code(asked.user_code).allow()
        television.poll(asked.device_code).succeeds()

    def test_expired(self, television, asked, clock):
        clock.forward(minutes=5)
        for _ in range(2):
            television.poll(asked.device_code).fails_with("expired_token")

    def test_allowed_too_long_ago(self, television, allowed, clock):
        clock.forward(minutes=5)
        television.poll(allowed.device_code).fails_with("expired_token")
        assert not RefreshToken.objects.exists()

    def test_refused(self, alice, television, asked):
        alice.browser.enter_user_code(asked.user_code).deny()
        for _ in range(2):
            television.poll(asked.device_code).fails_with("access_denied")
        assert not Grant.objects.exists()

    @pytest.mark.parametrize("device_code", ["x", "x" * 43, "ä"])
    def test_unknown(self, television, asked, device_code):
        television.poll(device_code).fails_with("invalid_grant")

    def test_the_user_code_is_no_device_code(self, television, allowed):
        television.poll(allowed.user_code).fails_with("invalid_grant")

    def test_missing(self, television):
        television.poll(None).fails_with("invalid_request")

    def test_only_clients_with_the_grant_type_poll(self, web_app, allowed):
        web_app.poll(allowed.device_code).fails_with("unauthorized_client")

    def test_another_client_takes_nothing_away(self, television, relying_party, allowed):
        other = relying_party(allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE])
        other.poll(allowed.device_code).fails_with("invalid_grant")
        television.poll(allowed.device_code).succeeds()

    def test_a_changed_registration_is_read_anew_without_a_second_poll(self, television, asked):
        """A refusal has the registration read again; waiting is none."""
        television.poll(asked.device_code).fails_with("authorization_pending")
        row_of(asked)
        DeviceRequest.objects.update(last_polled=None)
        Client.objects.update(name="Renamed on another worker")
        television.poll(asked.device_code).fails_with("authorization_pending")

    def test_waiting_is_nothing_that_staff_have_to_read(self, television, asked):
        for error in ("authorization_pending", "slow_down"):
            television.poll(asked.device_code).fails_with(error)
        assert not Event.objects.filter(type="request_refused").exists()
        television.poll("unknown").fails_with("invalid_grant")
        assert Event.objects.filter(type="request_refused", code="invalid_grant").exists()


class TestTokens:
    """§3.5: what a device gets in the end."""

    def test_everything_that_was_allowed(self, alice, television, allowed):
        tokens = television.poll(allowed.device_code).succeeds()
        session = UserSession.objects.get(user=alice.user)
        assert tokens.members["scope"] == "openid profile email offline_access"
        assert tokens.id_token["aud"] == television.client_id
        assert tokens.id_token["sid"] == session.sid
        assert tokens.id_token["auth_time"] == int(session.auth_time.timestamp())
        assert tokens.id_token["amr"] == tokens.access_token_claims["amr"] == ["pwd"]
        assert television.userinfo(tokens.access_token).json()["email"] == "alice@example.com"
        television.refresh(tokens.refresh_token).succeeds()

    def test_the_grant_says_where_it_comes_from(self, alice, television, allowed):
        television.poll(allowed.device_code).succeeds()
        grant, session = Grant.objects.get(), UserSession.objects.get(user=alice.user)
        assert (grant.kind, grant.user, grant.session, grant.sid) == (
            GrantType.DEVICE_CODE,
            alice.user,
            session,
            session.sid,
        )
        assert (grant.acr, grant.amr, grant.auth_time) == (session.acr, session.amr, session.auth_time)
        assert row_of(allowed).grant == grant
        assert SessionClient.objects.get(session=session).client == television.row

    def test_less_where_the_user_left_something_out(self, alice, television, asked):
        alice.browser.enter_user_code(asked.user_code).allow("profile")
        tokens = television.poll(asked.device_code).succeeds()
        assert tokens.members["scope"] == "openid profile"
        assert not tokens.refresh_token
        assert "email" not in television.userinfo(tokens.access_token).json()

    def test_no_refresh_token_unless_asked_for(self, alice, television):
        asked = television.device_authorization(scope="openid")
        alice.browser.enter_user_code(asked.user_code).allow()
        assert not television.poll(asked.device_code).succeeds().refresh_token

    def test_no_id_token_without_openid(self, alice, relying_party, api):
        box = relying_party(scopes="notes.read", allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE])
        asked = box.device_authorization()
        alice.browser.enter_user_code(asked.user_code).allow()
        tokens = box.poll(asked.device_code).succeeds()
        assert "id_token" not in tokens.members
        assert tokens.access_token_claims["aud"] == "https://api.example"

    def test_resources(self, alice, relying_party, api):
        """RFC 8707 §2: asked for with the codes, and no other one at the token endpoint."""
        box = relying_party(
            scopes="openid notes.read", allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE]
        )
        asked = box.device_authorization(resource=api.name).succeeds()
        alice.browser.enter_user_code(asked.user_code).allow()
        box.poll(asked.device_code, resource="https://elsewhere.example").fails_with("invalid_target")
        assert box.poll(asked.device_code, resource=api.name).succeeds().access_token_claims["aud"] == api.name

    def test_they_outlive_the_session_unless_coordinated(self, alice, television, allowed):
        tokens = television.poll(allowed.device_code).succeeds()
        alice.browser.sign_out()
        television.refresh(tokens.refresh_token).succeeds()


class TestSingleUse:
    """As an authorization code (RFC 6749 §4.1.2): what the first use got is given away by the second."""

    def test_a_second_use_revokes_what_the_first_one_got(self, television, allowed):
        tokens = television.poll(allowed.device_code).succeeds()
        television.poll(allowed.device_code).fails_with("invalid_grant")
        television.refresh(tokens.refresh_token).fails_with("invalid_grant")
        assert television.userinfo(tokens.access_token).status_code == 401
        event = Event.objects.get(type="device_code_replayed")
        assert (event.client, event.clause) == (television.client_id, "RFC 8628 §3.5")

    def test_also_when_the_code_has_expired_since(self, television, allowed, clock):
        tokens = television.poll(allowed.device_code).succeeds()
        clock.forward(minutes=10)
        television.poll(allowed.device_code).fails_with("invalid_grant")
        television.refresh(tokens.refresh_token).fails_with("invalid_grant")

    def test_receivers_hear_of_it(self, alice, television, allowed):
        heard = []
        signals.device_code_replayed.connect(lambda **said: heard.append(said), weak=False, dispatch_uid="test")
        for _ in range(2):
            television.poll(allowed.device_code)
        signals.device_code_replayed.disconnect(dispatch_uid="test")
        assert [said["grant_id"] for said in heard] == [Grant.objects.get().pk]

    def test_another_client_cannot_end_it(self, television, relying_party, allowed):
        tokens = television.poll(allowed.device_code).succeeds()
        other = relying_party(allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE])
        other.poll(allowed.device_code).fails_with("invalid_grant")
        television.refresh(tokens.refresh_token).succeeds()


class TestSinceThen:
    """Nothing may have happened between the decision and the poll that takes its worth away."""

    def refused(self, television, allowed, error="invalid_grant"):
        television.poll(allowed.device_code).fails_with(error)
        assert not RefreshToken.objects.exists()
        assert row_of(allowed).consumed_at is None

    def test_the_user_was_deactivated(self, alice, television, allowed):
        alice.user.is_active = False
        alice.user.save()
        self.refused(television, allowed)

    def test_the_user_was_deleted(self, alice, television, allowed):
        alice.user.delete()
        television.poll(allowed.device_code).fails_with("invalid_grant")

    def test_the_password_was_changed(self, alice, television, allowed):
        """Whoever had got in, and allowed a device, keeps nothing."""
        alice.user.set_password("another one")
        alice.user.save()
        self.refused(television, allowed)

    def test_the_user_has_signed_out(self, alice, television, allowed):
        alice.browser.sign_out()
        self.refused(television, allowed)

    def test_the_grant_was_revoked(self, television, allowed):
        Grant.objects.get().revoke("revoked_by_staff")
        self.refused(television, allowed)

    def test_the_client_was_disabled_on_another_worker(self, television, allowed):
        Client.objects.filter(pk=television.row.pk).update(enabled=False)
        self.refused(television, allowed, "invalid_client")

    def test_the_client_is_for_others_now(self, television, allowed):
        television.row.allowed_groups.add(Group.objects.create(name="Staff"))
        self.refused(television, allowed)

    def test_a_scope_was_taken_from_the_client(self, television, allowed):
        television.row.identity_resources.remove(television.row.identity_resources.get(name="email"))
        self.refused(television, allowed, "invalid_scope")


class TestPermissions:
    def test_a_scope_needs_a_permission_of_the_user(self, alice, relying_party, api):
        content_type = ContentType.objects.get_for_model(type(alice.user))
        permission = Permission.objects.create(codename="read_notes", name="Read notes", content_type=content_type)
        ApiScope.objects.filter(name="notes.read").update(requires_permission="auth.read_notes")
        box = relying_party(
            scopes="openid notes.read", allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE]
        )
        granted = []
        for _ in range(2):
            asked = box.device_authorization().succeeds()
            alice.browser.enter_user_code(asked.user_code).allow()
            granted.append(box.poll(asked.device_code).succeeds().members["scope"])
            alice.user.user_permissions.add(permission)
        assert granted == ["openid", "openid notes.read"]


class TestBruteForce:
    """§5.1: the user code is short, so nobody gets many guesses."""

    @pytest.fixture(autouse=True)
    def at_the_start_of_a_window(self, clock):
        clock.moment = clock.moment.replace(minute=0, second=0)

    def guess(self, somebody, times=5, **extra):
        for _ in range(times):
            page = somebody.browser.enter_user_code("BBBB-BBBB")
            assert page.shows("This code is unknown or has expired.")
        return page

    def test_five_wrong_codes_lock(self, alice, asked, clock):
        self.guess(alice)
        clock.forward(seconds=30)
        page = alice.browser.enter_user_code(asked.user_code)
        assert (page.status, page.response["Retry-After"]) == (429, "270")
        assert page.shows("Too many attempts. Wait 270 seconds, then try again.")
        clock.forward(minutes=5)
        assert alice.browser.enter_user_code(asked.user_code).shows(asked.user_code)

    def test_right_codes_do_not_count(self, alice, television):
        self.guess(alice, times=4)
        for _ in range(6):
            alice.browser.enter_user_code(television.device_authorization().user_code).deny()
        self.guess(alice, times=1)
        assert alice.browser.enter_user_code("BBBB-BBBB").status == 429

    def test_an_account_is_locked_wherever_it_guesses_from(self, alice, asked):
        self.guess(alice)
        alice.browser.http.defaults["REMOTE_ADDR"] = "198.51.100.7"
        assert alice.browser.enter_user_code(asked.user_code).status == 429

    def test_neighbours_of_a_guesser_are_not_locked_out(self, alice, person, asked):
        self.guess(alice)
        for _ in range(30):
            assert alice.browser.enter_user_code("BBBB-BBBB").status == 429
        assert person("bob").sign_in().browser.enter_user_code(asked.user_code).shows(asked.user_code)

    def test_many_accounts_at_one_address_are(self, person, asked):
        for number in range(4):
            self.guess(person(f"guesser{number}").sign_in())
        bob = person("bob").sign_in()
        assert bob.browser.enter_user_code(asked.user_code).status == 429
        bob.browser.http.defaults["REMOTE_ADDR"] = "198.51.100.7"
        assert bob.browser.enter_user_code(asked.user_code).shows(asked.user_code)

    def test_the_limit_is_an_option(self, alice, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "user_code_attempts": 1}
        self.guess(alice, times=1)
        assert alice.browser.enter_user_code("BBBB-BBBB").status == 429

    def test_staff_hear_of_it(self, alice):
        self.guess(alice)
        alice.browser.enter_user_code("BBBB-BBBB")
        events = Event.objects.filter(type="user_code_failed")
        assert sorted(event.code for event in events) == ["rate_limited", *["unknown"] * 5]
        assert {event.user for event in events} == {str(alice.user.pk)}
        assert not any("BBBB" in str(vars(event)) for event in events)

    def test_the_page_of_the_question_tells_a_guesser_nothing(self, alice, person, asked):
        """A code of somebody else's, and one that is none, lead to the same place."""
        bob = person("bob").sign_in()
        alice.browser.enter_user_code(asked.user_code)
        for user_code in (asked.user_code, "BBBB-BBBB"):
            for page in ("device_confirm", "device_done"):
                found = bob.browser.open(f"{url_of(page)}?user_code={user_code}")
                assert found.url.partition("?")[0] == url_of("device")
                assert found.shows("<h1>Connect a device</h1>")


@pytest.mark.parametrize(("scope", "lifetime"), [("openid", 65), ("openid offline_access", 60 * 24 * 30)])
def test_the_grant_lives_as_long_as_what_is_issued_on_it(alice, television, clock, scope, lifetime):
    """In minutes: that of the refresh tokens, or else as long as the code and then the access token."""
    alice.browser.enter_user_code(television.device_authorization(scope=scope).user_code).allow()
    assert Grant.objects.get().expires == clock.now() + timedelta(minutes=lifetime)
