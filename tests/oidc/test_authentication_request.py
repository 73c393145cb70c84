"""The authentication request: OpenID Connect Core §3.1.2 and §5.5."""

import json

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.urls import reverse

from identityserver import jose
from identityserver.models import AuthorizationCode, UserSession
from identityserver.testing.relying_party import decoded
from identityserver.vocabulary import Algorithm
from tests.speaking import ISSUER, url_of

pytestmark = pytest.mark.django_db

ACR = "https://refeds.org/profile/mfa"


def id_token_of(browser, client, **changes):
    """An ID token of whoever is signed in, as a hint."""
    return client.redeem(browser.authorize(client, **changes).code).members["id_token"]


def forged(token, **changes):
    """The same claims under a key of somebody else's, with the kid of ours."""
    kid = jose.parse(token).header["kid"]
    key = jose.generate(Algorithm.ES256)
    signer = jose.Signer(kid=kid, algorithm=Algorithm.ES256, private_jwk=key.private_jwk.encode())
    return signer.sign({**decoded(token), **changes}, typ="JWT")


def claims(**members):
    return json.dumps(members)


class TestPromptNone:
    """§3.1.2.1 and §3.1.2.6: no page is shown, whatever would be on it."""

    def test_a_signed_in_user_who_need_not_consent_is_answered(self, alice, web_app):
        assert alice.browser.authorize(web_app, prompt="none").code

    def test_nobody_signed_in(self, person, web_app):
        assert person("bob").browser.authorize(web_app, prompt="none").error == "login_required"

    def test_signed_in_too_long_ago(self, clock, alice, web_app):
        clock.forward(seconds=11)
        assert alice.browser.authorize(web_app, prompt="none", max_age="10").error == "login_required"

    def test_consent_is_missing(self, alice, relying_party):
        client = relying_party(require_consent=True)
        assert alice.browser.authorize(client, prompt="none").error == "consent_required"

    def test_consent_for_one_more_scope_is_missing(self, alice, relying_party):
        client = relying_party(require_consent=True)
        alice.browser.authorize(client, scope="openid").allow()
        assert alice.browser.authorize(client, scope="openid", prompt="none").code
        assert alice.browser.authorize(client, scope="openid email", prompt="none").error == "consent_required"

    def test_an_access_policy_refuses_all_the_same(self, alice, relying_party):
        client = relying_party()
        client.row.allowed_groups.add(Group.objects.create(name="staff"))
        assert alice.browser.authorize(client, prompt="none").error == "access_denied"

    def test_it_excludes_every_other_value(self, alice, web_app):
        for prompt in ("none login", "login none", "none consent"):
            assert alice.browser.authorize(web_app, prompt=prompt).error == "invalid_request"

    @pytest.mark.parametrize("prompt", ["NONE", "sometimes", "login sometimes", "create", "select_account"])
    def test_values_that_are_not_supported_are_refused(self, alice, web_app, prompt):
        """Never silently ignored; discovery lists those that are."""
        assert alice.browser.authorize(web_app, prompt=prompt).error == "invalid_request"


class TestPromptLogin:
    """§3.1.2.1: the End-User is prompted for reauthentication."""

    def test_a_signed_in_user_signs_in_again_once(self, clock, alice, web_app):
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login")
        assert page.shows("Sign in")
        tokens = web_app.redeem(page.sign_in(alice.username, alice.password).code)
        assert tokens.id_token["auth_time"] == int(clock.now().timestamp())

    def test_somebody_who_was_not_signed_in_is_asked_once_as_well(self, clock, person, web_app):
        bob = person("bob")
        page = bob.browser.authorize(web_app, prompt="login")
        clock.forward(seconds=5)
        assert page.sign_in(bob.username, bob.password).code

    def test_the_same_user_keeps_the_session(self, clock, alice, web_app):
        before = decoded(id_token_of(alice.browser, web_app))
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login").sign_in(alice.username, alice.password)
        after = web_app.redeem(page.code).id_token
        assert after["sid"] == before["sid"]
        assert after["auth_time"] == before["auth_time"] + 5

    def test_a_wrong_password_gives_no_code(self, clock, alice, web_app):
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login").sign_in(alice.username, "wrong")
        assert (page.status, page.location) == (200, "")
        assert AuthorizationCode.objects.count() == 0

    def test_going_straight_to_the_end_asks_again(self, clock, alice, web_app):
        """A request cannot be resumed past the page that it is waiting for."""
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login")
        resumed = alice.browser.open(f"{url_of('resume')}?request={page.fields['request']}")
        assert resumed.url == page.url
        assert AuthorizationCode.objects.count() == 0

    def test_each_request_asks_anew(self, clock, alice, web_app):
        for _ in range(2):
            clock.forward(seconds=5)
            page = alice.browser.authorize(web_app, prompt="login")
            assert page.sign_in(alice.username, alice.password).code

    def test_another_person_may_sign_in_instead(self, clock, alice, person, web_app):
        bob = person("bob")
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login").submit(switch="yes")
        tokens = web_app.redeem(page.sign_in(bob.username, bob.password).code)
        assert web_app.userinfo(tokens.access_token).json()["preferred_username"] == "bob"

    def test_cancelling_tells_the_client_so(self, clock, alice, web_app):
        clock.forward(seconds=5)
        assert alice.browser.authorize(web_app, prompt="login").submit(cancel="yes").error == "access_denied"

    def test_login_and_consent_together_ask_both(self, clock, alice, web_app):
        clock.forward(seconds=5)
        page = alice.browser.authorize(web_app, prompt="login consent").sign_in(alice.username, alice.password)
        assert "/consent" in page.url
        assert page.allow().code


class TestMaxAge:
    """§3.1.2.1: max_age, and what the client has registered."""

    @pytest.mark.parametrize("max_age", ["0", "10"])
    def test_a_session_older_than_that_signs_in_again_once(self, clock, alice, web_app, max_age):
        clock.forward(seconds=10)
        page = alice.browser.authorize(web_app, max_age=max_age)
        assert page.shows("Sign in")
        clock.forward(seconds=30)
        tokens = web_app.redeem(page.sign_in(alice.username, alice.password).code)
        assert tokens.id_token["auth_time"] == int(clock.now().timestamp())

    def test_a_younger_session_is_good(self, clock, alice, web_app):
        clock.forward(seconds=9)
        assert alice.browser.authorize(web_app, max_age="10").code

    @pytest.mark.parametrize("max_age", ["abc", "-1", "1.5", "1e3", "٣", "9" * 20, " 1"])
    def test_what_is_no_number_of_seconds_is_refused(self, alice, web_app, max_age):
        assert alice.browser.authorize(web_app, max_age=max_age).error == "invalid_request"

    def test_zero_means_prompt_login(self, alice, web_app):
        """§3.1.2.1: max_age=0 is equivalent to prompt=login, however fresh the session is."""
        url = web_app.authorization_url(max_age="0")
        assert alice.browser.open(url).shows("Sign in")
        assert alice.browser.authorize(web_app, max_age="0", prompt="none").error == "login_required"

    def test_the_client_may_have_registered_one(self, clock, alice, relying_party):
        """Registration §2: default_max_age holds where the request has none."""
        client = relying_party(default_max_age=60)
        clock.forward(seconds=61)
        assert alice.browser.authorize(client, prompt="none").error == "login_required"
        assert alice.browser.authorize(client, prompt="none", max_age="100").code

    def test_the_sso_lifetime_of_a_client_cannot_be_talked_away(self, clock, alice, relying_party):
        client = relying_party(user_sso_lifetime=60)
        clock.forward(seconds=61)
        assert alice.browser.authorize(client, prompt="none", max_age="1000").error == "login_required"
        page = alice.browser.authorize(client)
        assert page.sign_in(alice.username, alice.password).code

    def test_the_id_token_always_says_when(self, clock, alice, relying_party):
        """§2: auth_time is REQUIRED with max_age, or where the client registered require_auth_time."""
        client = relying_party(require_auth_time=True)
        assert decoded(id_token_of(alice.browser, client, max_age="5"))["auth_time"] == int(clock.now().timestamp())


class TestHints:
    """§3.1.2.1: login_hint and id_token_hint."""

    def test_login_hint_fills_in_the_form(self, person, web_app):
        page = person("bob").browser.authorize(web_app, login_hint="bob@example.com")
        assert page.fields["username"] == "bob@example.com"

    def test_login_hint_is_escaped(self, person, web_app):
        hint = '"><script>alert(1)</script>'
        page = person("bob").browser.authorize(web_app, login_hint=hint)
        assert "<script>alert" not in page.text
        assert page.fields["username"] == hint

    def test_the_hint_of_the_user_who_is_signed_in_is_good(self, alice, web_app):
        hint = id_token_of(alice.browser, web_app)
        assert alice.browser.authorize(web_app, id_token_hint=hint, prompt="none").code

    def test_an_expired_hint_still_says_who(self, clock, alice, web_app):
        hint = id_token_of(alice.browser, web_app)
        clock.forward(days=2)
        assert alice.browser.authorize(web_app, id_token_hint=hint, prompt="none").code

    def test_the_hint_of_another_user_is_login_required(self, alice, person, web_app):
        hint = id_token_of(alice.browser, web_app)
        bob = person("bob").sign_in()
        for prompt in ("none", None):
            assert bob.browser.authorize(web_app, id_token_hint=hint, prompt=prompt).error == "login_required"

    def test_the_hint_counts_for_whoever_signs_in(self, alice, person, web_app):
        hint = id_token_of(alice.browser, web_app)
        bob = person("bob")
        page = bob.browser.authorize(web_app, id_token_hint=hint)
        assert page.sign_in(bob.username, bob.password).error == "login_required"

    def test_a_forged_hint_is_an_error(self, alice, person, web_app):
        hint = id_token_of(alice.browser, web_app)
        assert alice.browser.authorize(web_app, id_token_hint=forged(hint)).error == "invalid_request"

    @pytest.mark.parametrize("hint", ["x", "a.b.c", "..", "é.é.é", "x" * 50_000])
    def test_a_hint_that_is_no_token_is_an_error(self, alice, web_app, hint):
        assert alice.browser.authorize(web_app, id_token_hint=hint).error == "invalid_request"

    def test_an_access_token_is_no_hint(self, alice, web_app):
        """RFC 8725 §3.11: one type of token is never taken for another."""
        access_token = web_app.redeem(alice.browser.authorize(web_app).code).access_token
        assert alice.browser.authorize(web_app, id_token_hint=access_token).error == "invalid_request"

    def test_an_unsigned_hint_is_an_error(self, alice, web_app):
        payload = id_token_of(alice.browser, web_app).split(".")[1]
        unsigned = f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."
        assert alice.browser.authorize(web_app, id_token_hint=unsigned).error == "invalid_request"


class TestUiLocales:
    """§3.1.2.1: languages in order of preference, which never make a request fail."""

    def test_the_page_speaks_the_first_language_that_there_is(self, person, web_app):
        page = person("bob").browser.authorize(web_app, ui_locales="tlh de en")
        assert page.response["Content-Language"] == "de"

    @pytest.mark.parametrize("locales", ["tlh", "x y z", "../../etc", "de_", "-"])
    def test_an_unknown_language_is_no_error(self, person, web_app, locales):
        assert person("bob").browser.authorize(web_app, ui_locales=locales).status == 200


class TestClaimsParameter:
    """§5.5."""

    def test_a_claim_may_be_asked_for_in_the_id_token(self, alice, web_app):
        token = id_token_of(alice.browser, web_app, claims=claims(id_token={"email": None}))
        assert decoded(token)["email"] == "alice@example.com"
        assert "name" not in decoded(token)

    def test_a_claim_may_be_essential_or_have_wishes(self, alice, web_app):
        wish = claims(id_token={"email": {"essential": True}, "name": {"values": ["x"]}}, userinfo={"email": None})
        assert decoded(id_token_of(alice.browser, web_app, claims=wish))["email"] == "alice@example.com"

    def test_claims_are_limited_to_what_the_scopes_give(self, alice, web_app):
        """The client may not learn by ``claims`` what the user did not grant by scope."""
        token = id_token_of(alice.browser, web_app, scope="openid", claims=claims(id_token={"email": None}))
        assert "email" not in decoded(token)

    def test_the_server_s_own_claims_cannot_be_asked_into_another_value(self, alice, web_app):
        wish = claims(id_token={"iss": {"value": "https://evil.example"}, "aud": {"value": "other"}, "exp": None})
        assert decoded(id_token_of(alice.browser, web_app, claims=wish))["iss"] == ISSUER

    def test_other_members_and_unknown_claims_are_ignored(self, alice, web_app):
        """§5.5: any other members MUST be ignored if they are not understood."""
        wish = claims(id_token={"shoe_size": None}, verified_claims={}, x=1)
        assert "shoe_size" not in decoded(id_token_of(alice.browser, web_app, claims=wish))

    def test_line_breaks_in_the_json_are_fine(self, alice, web_app):
        assert alice.browser.authorize(web_app, claims='{\r\n\t"userinfo": {\n"email": null\n}\n}').code

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "[]",
            '"x"',
            '{"id_token": []}',
            '{"id_token": {"email": 1}}',
            '{"id_token": {"email": {"essential": "yes"}}}',
            '{"id_token": {"email": {"values": "x"}}}',
            '{"id_token": {}, "id_token": {"email": null}}',
            '{"userinfo": {"email": NaN}}',
            '{"userinfo": ' + '{"a":' * 40 + "null" + "}" * 41,
        ],
    )
    def test_malformed_claims_are_refused(self, alice, web_app, text):
        assert alice.browser.authorize(web_app, claims=text).error == "invalid_request"

    def test_a_sub_of_the_user_who_is_signed_in_is_good(self, alice, web_app):
        """§5.5.1: for ``sub`` a specific value means that only this user will do."""
        sub = decoded(id_token_of(alice.browser, web_app))["sub"]
        wish = claims(id_token={"sub": {"value": sub}})
        assert alice.browser.authorize(web_app, claims=wish, prompt="none").code

    def test_a_sub_of_somebody_else_is_login_required(self, alice, web_app):
        wish = claims(id_token={"sub": {"value": "somebody"}})
        assert alice.browser.authorize(web_app, claims=wish).error == "login_required"


class TestAuthenticationContext:
    """§5.5.1.1, and OpenID Connect Core Unmet Authentication Requirements 1.0."""

    @pytest.fixture
    def strong_backend(self, settings):
        backend = django_settings.AUTHENTICATION_BACKENDS[0]
        worth = {"acr": ACR, "amr": ["mfa"]}
        settings.IDENTITYSERVER = {"issuer": ISSUER, "authentication_contexts": {backend: worth}}

    def test_the_tokens_say_what_the_sign_in_was_worth(self, strong_backend, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code)
        for token in (tokens.id_token, tokens.access_token_claims):
            assert token["acr"] == ACR
            assert set(token["amr"]) == {"mfa", "pwd"}

    def test_without_a_mapping_no_acr_is_made_up(self, alice, web_app):
        token = decoded(id_token_of(alice.browser, web_app, acr_values=ACR))
        assert "acr" not in token
        assert token["amr"] == ["pwd"]

    def test_voluntary_acr_values_that_are_not_met_proceed(self, alice, web_app):
        """§3.1.2.1: acr_values is a voluntary claim."""
        assert alice.browser.authorize(web_app, acr_values=ACR, prompt="none").code

    def test_an_essential_acr_that_is_met_proceeds(self, strong_backend, alice, web_app):
        for wish in ({"value": ACR}, {"values": ["other", ACR]}):
            text = claims(id_token={"acr": {"essential": True, **wish}})
            assert alice.browser.authorize(web_app, claims=text).code

    @pytest.mark.parametrize("prompt", ["none", None])
    def test_an_essential_acr_that_is_not_met_is_an_error(self, alice, web_app, prompt):
        text = claims(id_token={"acr": {"essential": True, "value": ACR}})
        page = alice.browser.authorize(web_app, claims=text, prompt=prompt)
        assert page.error == "unmet_authentication_requirements"


class TestAccessPolicy:
    """RFC 6749 §4.1.2.1: access_denied, after sign-in and before consent."""

    def test_only_members_of_its_groups_may_use_a_client(self, alice, relying_party):
        client, staff = relying_party(require_consent=True), Group.objects.create(name="staff")
        client.row.allowed_groups.add(staff)
        assert alice.browser.authorize(client).error == "access_denied"
        alice.user.groups.add(staff)
        assert alice.browser.authorize(client).allow().code

    def test_who_leaves_the_group_while_consenting_is_refused(self, alice, relying_party):
        client, staff = relying_party(require_consent=True), Group.objects.create(name="staff")
        client.row.allowed_groups.add(staff)
        alice.user.groups.add(staff)
        page = alice.browser.authorize(client)
        alice.user.groups.clear()
        assert page.allow().error == "access_denied"

    def test_a_user_who_was_deactivated_signs_in_in_vain(self, alice, web_app):
        alice.user.is_active = False
        alice.user.save()
        page = alice.browser.authorize(web_app)
        assert page.shows("Sign in")
        assert not page.sign_in(alice.username, alice.password).location

    def test_a_session_that_was_ended_signs_in_again(self, alice, web_app):
        UserSession.objects.get().end("by an administrator")
        assert alice.browser.authorize(web_app, prompt="none").error == "login_required"


class TestLoginPageOfTheHost:
    """The option ``login_url``: any login page of the site counts, but a forced login is always at ours."""

    @pytest.fixture(autouse=True)
    def host_page(self, settings):
        settings.IDENTITYSERVER = {"issuer": ISSUER, "login_url": "admin:login"}

    def test_people_sign_in_there_and_come_back(self, person, web_app):
        bob = person("bob", is_staff=True)
        page = bob.browser.authorize(web_app)
        assert page.url.startswith(reverse("admin:login") + "?next=")
        assert page.submit(username=bob.username, password=bob.password).code

    def test_a_forced_login_is_at_our_page(self, clock, person, web_app):
        bob = person("bob", is_staff=True)
        bob.browser.open(reverse("admin:login")).submit(username=bob.username, password=bob.password)
        clock.forward(seconds=5)
        page = bob.browser.authorize(web_app, prompt="login")
        assert page.url.startswith(url_of("login"))
        assert page.sign_in(bob.username, bob.password).code

    def test_silence_stays_silent(self, person, web_app):
        assert person("bob").browser.authorize(web_app, prompt="none").error == "login_required"
