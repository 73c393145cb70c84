"""The user's password in the hands of the client, where the site opts in: RFC 6749 §4.3."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Group, Permission

from identityserver.models import ApiScope, Client, Event, Grant, ReferenceToken, UserSession
from identityserver.testing.fixtures import PASSWORD
from tests.speaking import ISSUER, basic_header, stored_rows, token_request, without_reference

pytestmark = pytest.mark.django_db

WRONG = "not the password"


@pytest.fixture(autouse=True)
def turned_on(settings):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "optional_grant_types": ["password"]}


@pytest.fixture
def legacy(relying_party, api):
    """Software that asks for passwords and cannot be changed yet."""
    return asking(relying_party)


def asking(relying_party, scopes="openid profile offline_access notes.read", **fields):
    refresh = ["refresh_token"] if "offline_access" in scopes else []
    return relying_party(
        **{"scopes": scopes, "allowed_grant_types": ["password", *refresh], "redirect_uris": [], **fields}
    )


@pytest.fixture
def bob(person):
    return person("bob", email="bob@example.com").user


def ask(client, username="bob", password=PASSWORD, **more):
    return client.token(grant_type="password", username=username, password=password, **more)


class TestResponse:
    """§4.3.3."""

    def test_an_access_token_for_every_api_scope(self, legacy, bob):
        response = ask(legacy).succeeds()
        assert response.members.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert response.members["scope"] == "notes.read"

    def test_with_openid_an_id_token(self, clock, legacy, bob):
        response = ask(legacy, scope="openid profile").succeeds()
        claims = response.id_token
        assert claims["auth_time"] == int(clock.now().timestamp())
        assert claims["amr"] == ["pwd"]
        assert (claims["aud"], claims["sub"]) == (legacy.client_id, response.access_token_claims["sub"])
        assert not {"sid", "nonce"} & claims.keys()
        assert legacy.userinfo(response.access_token).json()["preferred_username"] == "bob"

    def test_with_offline_access_a_refresh_token(self, legacy, bob):
        response = ask(legacy, scope="openid offline_access").succeeds()
        refreshed = legacy.refresh(response.refresh_token).succeeds()
        assert refreshed.id_token["auth_time"] == response.id_token["auth_time"]
        assert not ask(legacy, scope="openid").succeeds().refresh_token

    def test_it_is_in_no_user_session(self, legacy, bob):
        ask(legacy, scope="openid").succeeds()
        grant = Grant.objects.get()
        assert (grant.kind, grant.user, grant.session, grant.sid, grant.amr) == ("password", bob, None, "", ["pwd"])
        assert not UserSession.objects.exists()

    def test_the_backends_worth_is_told(self, settings, legacy, bob):
        worth = {"django.contrib.auth.backends.ModelBackend": {"acr": "low", "amr": ["user"]}}
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "authentication_contexts": worth}
        claims = ask(legacy, scope="openid").id_token
        assert (claims["acr"], claims["amr"]) == ("low", ["user", "pwd"])

    def test_a_client_may_get_reference_tokens(self, relying_party, api, bob):
        client = asking(relying_party, access_token_type="reference")
        ask(client).succeeds()
        assert ReferenceToken.objects.get().grant == Grant.objects.get()


class TestOptIn:
    """RFC 9700 §2.4: it MUST NOT be used by anything new."""

    def test_it_is_off_unless_the_site_turns_it_on(self, settings, legacy, bob, client):
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        ask(legacy).fails_with("unsupported_grant_type")
        assert "password" not in client.get("/.well-known/openid-configuration").json()["grant_types_supported"]

    def test_a_refresh_token_from_before_goes_on(self, settings, legacy, bob):
        token = ask(legacy, scope="openid offline_access").refresh_token
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        legacy.refresh(token).succeeds()

    def test_the_client_needs_the_grant_type(self, web_app, bob):
        ask(web_app).fails_with("unauthorized_client")

    @pytest.mark.parametrize("source", ["dcr", "cimd"])
    def test_never_for_public_software_that_anybody_may_have_registered(self, relying_party, api, bob, source):
        with pytest.raises(Exception, match="No password is given to software"):
            asking(relying_party, token_endpoint_auth_method="none", source=source)
        client = asking(relying_party, token_endpoint_auth_method="none")
        ask(client).succeeds()
        Client.objects.filter(pk=client.row.pk).update(source=source)
        client.row.refresh_from_db()
        ask(client).fails_with("invalid_client")

    def test_the_client_authenticates_first(self, legacy, bob):
        fields = {"grant_type": "password", "username": "bob", "password": PASSWORD}
        token_request(fields, basic_header(f"{legacy.client_id}:wrong")).fails_with("invalid_client")
        assert not Grant.objects.exists()


class TestRefusal:
    """§4.3.2, §5.2: whatever is wrong reads the same."""

    def test_all_alike(self, legacy, bob, person):
        gone = person("gone").user
        type(gone).objects.filter(pk=gone.pk).update(is_active=False)
        unusable = get_user_model().objects.create_user("unusable")
        assert not unusable.has_usable_password()
        refusals = [
            ask(legacy, "bob", WRONG),
            ask(legacy, "nobody"),
            ask(legacy, "gone"),
            ask(legacy, "unusable"),
            ask(legacy, "BOB"),
            ask(legacy, "bob@example.com"),
            ask(legacy, "bob", f"{PASSWORD} "),
        ]
        said = {str(without_reference(refusal.fails_with("invalid_grant").members)) for refusal in refusals}
        assert len(said) == 1

    def test_an_inactive_user_whom_the_backend_lets_in(self, settings, legacy, bob):
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
        type(bob).objects.update(is_active=False)
        ask(legacy).fails_with("invalid_grant")

    def test_an_unknown_user_costs_the_same_work(self, monkeypatch, legacy, bob):
        """A password is hashed for whoever is asked for."""
        hashed = []
        encode = MD5PasswordHasher.encode
        monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *given: hashed.append(1) or encode(*given))
        work = []
        for username in ("bob", "nobody"):
            hashed.clear()
            ask(legacy, username, WRONG)
            work.append(len(hashed))
        assert work == [1, 1]

    def test_nothing_is_written(self, legacy, bob):
        before = stored_rows()
        ask(legacy, password=WRONG)
        ask(legacy, scope="unknown")
        assert stored_rows() == before

    @pytest.mark.parametrize("missing", ["username", "password"])
    def test_both_are_needed(self, legacy, bob, missing):
        ask(legacy, **{missing: None}).fails_with("invalid_request")

    @pytest.mark.parametrize("name", ["username", "password"])
    @pytest.mark.parametrize("value", ["bo\0b", "b\r\nob", "b" * 2001])
    def test_what_no_form_would_send_is_refused(self, legacy, name, value):
        ask(legacy, **{name: value}).fails_with("invalid_request")

    def test_an_access_token_is_no_password(self, settings, legacy, alice, web_app):
        """A backend that reads the Authorization header must not let its user in."""
        backends = ["django.contrib.auth.backends.ModelBackend"]
        settings.AUTHENTICATION_BACKENDS = [*backends, "identityserver.resource_server.backends.AccessTokenBackend"]
        token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        Client.objects.filter(pk=legacy.row.pk).update(token_endpoint_auth_method="client_secret_post")
        fields = {"client_id": legacy.client_id, "client_secret": legacy.secret, "grant_type": "password"}
        header = {"Authorization": f"Bearer {token}"}
        answer = token_request({**fields, "username": "alice", "password": WRONG}, header)
        assert "access_token" not in answer.members


class TestScope:
    @pytest.mark.parametrize("scope", ["unknown", "email", "notes.read notes.write"])
    def test_what_the_client_may_not_have_is_refused(self, legacy, bob, scope):
        ask(legacy, scope=scope).fails_with("invalid_scope")

    def test_the_user_must_hold_the_permission(self, legacy, bob):
        ApiScope.objects.filter(name="notes.read").update(requires_permission="auth.change_group")
        ask(legacy).fails_with("invalid_scope")
        assert ask(legacy, scope="openid notes.read").succeeds().members["scope"] == "openid"
        bob.user_permissions.add(Permission.objects.get(codename="change_group"))
        assert ask(legacy).succeeds().members["scope"] == "notes.read"

    def test_resource_indicators(self, legacy, bob):
        claims = ask(legacy, resource="https://api.example").succeeds().access_token_claims
        assert claims["aud"] == "https://api.example"
        ask(legacy, resource="https://other.example").fails_with("invalid_target")

    def test_only_those_who_may_use_the_client(self, legacy, bob):
        group = Group.objects.create(name="staff")
        legacy.row.allowed_groups.set([group])
        ask(legacy).fails_with("invalid_grant")
        bob.groups.add(group)
        ask(legacy).succeeds()


class TestEnd:
    @pytest.mark.parametrize("how", ["password", "deactivation"])
    def test_a_new_password_or_deactivation_ends_it(self, legacy, bob, how):
        token = ask(legacy, scope="openid offline_access").refresh_token
        if how == "password":
            bob.set_password("another password")
        else:
            bob.is_active = False
        bob.save()
        legacy.refresh(token).fails_with("invalid_grant")


class TestLimits:
    """§4.3.2: the server MUST protect the endpoint against brute force attacks."""

    @pytest.fixture(autouse=True)
    def strict(self, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "login_attempts_per_minute": 3}

    def test_after_some_failures_there_is_a_wait(self, clock, legacy, bob):
        for _ in range(3):
            ask(legacy, password=WRONG).fails_with("invalid_grant")
        response = ask(legacy).fails_with("slow_down", 429)
        assert 0 < int(response.response["Retry-After"]) <= 60
        clock.forward(minutes=1)
        ask(legacy).succeeds()

    def test_success_does_not_count(self, clock, legacy, bob):
        for _ in range(5):
            ask(legacy).succeeds()

    def test_one_address_may_not_try_many_names(self, clock, legacy, person, bob):
        for number in range(12):
            ask(legacy, f"user{number}", WRONG).fails_with("invalid_grant")
        ask(legacy).fails_with("slow_down", 429)

    def test_it_is_the_same_count_as_on_the_login_page(self, clock, legacy, person):
        """Or there would be twice as many attempts."""
        carol = person("carol")
        for _ in range(3):
            ask(legacy, "carol", WRONG)
        assert carol.browser.sign_in("carol", PASSWORD).status == 429


class TestEvents:
    def test_staff_see_a_failure_and_neither_password_nor_what_may_be_one(self, legacy, bob):
        ask(legacy, "bob", "secret-canary")
        ask(legacy, "name-canary", "secret-canary")
        failures = Event.objects.filter(type="login_failed")
        assert {event.user for event in failures} == {str(bob.pk), ""}
        assert Event.objects.filter(type="request_refused").count() == 2
        assert "canary" not in " ".join(str(vars(event)) for event in Event.objects.all())
