"""Consent: OpenID Connect Core §3.1.2.4, §11, and RFC 9700 §4.7 for whose consent it is."""

import json

import pytest
from django.contrib.auth.models import Permission

from identityserver import caching
from identityserver.models import ApiScope, AuthorizationCode, Client, Consent, Grant, IdentityResource

pytestmark = pytest.mark.django_db


@pytest.fixture
def asking(relying_party, api):
    """A client that must ask, and that may ask for a lot."""
    return relying_party(scopes="openid profile email notes.read notes.write", require_consent=True)


def consents(page):
    """Whether the page is the consent page."""
    return page.status == 200 and "/account/consent" in page.url


class TestAsking:
    """OpenID Connect Core §3.1.2.4: the authorization server MUST obtain a decision before releasing information."""

    def test_nothing_is_issued_before_the_answer(self, alice, asking):
        page = alice.browser.authorize(asking)
        assert consents(page)
        assert Grant.objects.count() == AuthorizationCode.objects.count() == 0

    def test_allowing_everything(self, alice, asking):
        tokens = asking.redeem(alice.browser.authorize(asking).allow().code).succeeds()
        assert tokens.members["scope"].split() == asking.scope.split()

    def test_refusing_tells_the_client_and_stores_nothing(self, alice, asking):
        page = alice.browser.authorize(asking).deny()
        assert page.error == "access_denied"
        assert page.parameters["state"] == asking.state
        assert Grant.objects.count() == Consent.objects.count() == 0

    def test_a_client_that_need_not_ask_asks_where_it_says_so(self, alice, web_app):
        """§3.1.2.1: prompt=consent."""
        page = alice.browser.authorize(web_app, prompt="consent")
        assert consents(page)
        assert page.allow().code

    def test_prompt_consent_asks_for_everything_again(self, alice, asking):
        alice.browser.authorize(asking).allow()
        page = alice.browser.authorize(asking, prompt="consent")
        assert set(page.fields["scopes"]) == {"profile", "email", "notes.read", "notes.write"}

    def test_the_page_answers_neither_yes_nor_no_by_itself(self, alice, asking):
        page = alice.browser.authorize(asking).submit()
        assert consents(page)
        assert Grant.objects.count() == 0


class TestNarrowing:
    """RFC 6749 §3.3: the scope issued may differ from the one asked for, and the response says so."""

    def test_scopes_that_were_left_out_are_not_granted(self, alice, asking):
        page = alice.browser.authorize(asking).allow("openid", "email", "notes.read")
        tokens = asking.redeem(page.code).succeeds()
        assert tokens.members["scope"] == "openid email notes.read"
        assert tokens.access_token_claims["scope"] == "openid email notes.read"
        assert "name" not in asking.userinfo(tokens.access_token).json()

    def test_what_is_required_cannot_be_left_out(self, alice, asking):
        ApiScope.objects.filter(name="notes.read").update(required=True)
        page = alice.browser.authorize(asking).allow("email")
        assert asking.redeem(page.code).members["scope"] == "openid email notes.read"

    def test_a_scope_that_was_not_asked_for_cannot_be_ticked(self, alice, asking):
        page = alice.browser.authorize(asking, scope="openid").allow("openid", "email", "notes.write")
        assert asking.redeem(page.code).members["scope"] == "openid"

    def test_allowing_nothing_at_all_is_asked_back(self, alice, asking):
        page = alice.browser.authorize(asking, scope="notes.read notes.write").submit(allow="yes", scopes=[])
        assert consents(page)
        assert page.shows("Choose what to allow")

    def test_what_an_api_asks_for_goes_when_its_scope_is_left_out(self, alice, api, asking):
        page = alice.browser.authorize(asking).allow("openid")
        assert asking.redeem(page.code).access_token_claims["aud"] == "http://testserver"


class TestRemembering:
    """Only what is new is asked; how long it is remembered is the client's to say."""

    def test_what_was_allowed_is_not_asked_again(self, alice, asking):
        alice.browser.authorize(asking).allow()
        assert alice.browser.authorize(asking).code
        assert alice.browser.authorize(asking, scope="openid email", prompt="none").code

    def test_only_what_is_new_is_asked(self, alice, asking):
        alice.browser.authorize(asking, scope="openid email").allow()
        page = alice.browser.authorize(asking, scope="openid email notes.read")
        assert page.fields["scopes"] == ["notes.read"]
        assert asking.redeem(page.allow().code).members["scope"] == "openid email notes.read"

    def test_without_the_tick_it_is_asked_again(self, alice, asking):
        page = alice.browser.authorize(asking)
        fields = {name: value for name, value in page.fields.items() if name != "remember"}
        alice.browser.submit(page.url, {**fields, "allow": "yes"})
        assert consents(alice.browser.authorize(asking))
        assert Consent.objects.count() == 0

    def test_a_client_may_forbid_remembering(self, alice, relying_party):
        client = relying_party(require_consent=True, allow_remember_consent=False)
        page = alice.browser.authorize(client)
        assert "remember" not in page.fields
        page.submit(allow="yes", remember="yes")
        assert consents(alice.browser.authorize(client))

    def test_a_remembered_consent_expires(self, clock, alice, relying_party):
        client = relying_party(require_consent=True, consent_lifetime=3600)
        alice.browser.authorize(client).allow()
        clock.forward(seconds=3599)
        assert alice.browser.authorize(client).code
        clock.forward(seconds=1)
        assert consents(alice.browser.authorize(client))

    def test_an_expired_consent_does_not_come_back_with_the_next(self, clock, alice, relying_party):
        client = relying_party(require_consent=True, consent_lifetime=3600)
        alice.browser.authorize(client).allow()
        clock.forward(hours=2)
        alice.browser.authorize(client, scope="openid").allow()
        assert consents(alice.browser.authorize(client))

    def test_what_was_remembered_counts_no_more_once_the_client_may_not_be(self, alice, asking):
        alice.browser.authorize(asking).allow()
        Client.objects.update(allow_remember_consent=False)
        caching.forget()
        assert consents(alice.browser.authorize(asking))
        assert alice.browser.authorize(asking, prompt="none").error == "consent_required"

    def test_a_shorter_lifetime_counts_for_what_is_remembered_already(self, clock, alice, asking):
        alice.browser.authorize(asking).allow()
        Client.objects.update(consent_lifetime=3600)
        caching.forget()
        clock.forward(seconds=3599)
        assert alice.browser.authorize(asking).code
        clock.forward(seconds=1)
        assert consents(alice.browser.authorize(asking))

    @pytest.mark.parametrize("lifetime", [None, 36000])
    def test_a_longer_one_does_not(self, clock, alice, relying_party, lifetime):
        """What was allowed for an hour was allowed for an hour."""
        client = relying_party(require_consent=True, consent_lifetime=3600)
        alice.browser.authorize(client).allow()
        Client.objects.update(consent_lifetime=lifetime)
        caching.forget()
        clock.forward(seconds=3600)
        assert consents(alice.browser.authorize(client))

    @pytest.mark.parametrize("shortened", [False, True])
    def test_allowing_more_does_not_prolong_what_was_allowed(self, clock, alice, relying_party, shortened):
        client = relying_party(require_consent=True, consent_lifetime=None if shortened else 3600)
        alice.browser.authorize(client, scope="openid email").allow()
        Client.objects.update(consent_lifetime=3600)
        caching.forget()
        clock.forward(minutes=50)
        page = alice.browser.authorize(client, scope="openid profile")
        assert page.fields["scopes"] == ["profile"]
        page.allow()
        clock.forward(minutes=10)
        assert consents(alice.browser.authorize(client, scope="openid email"))

    def test_not_even_beside_what_was_allowed(self, clock, alice, relying_party):
        """What is granted is old and new; only the new was shown."""
        client = relying_party(require_consent=True, consent_lifetime=3600)
        alice.browser.authorize(client, scope="openid email").allow()
        clock.forward(minutes=50)
        alice.browser.authorize(client, scope="openid email profile").allow()
        assert alice.browser.authorize(client, scope="openid email profile").code
        clock.forward(minutes=10)
        page = alice.browser.authorize(client, scope="openid email profile")
        assert set(page.fields["scopes"]) == {"email", "profile"}
        page.allow()
        clock.forward(minutes=59)
        assert alice.browser.authorize(client, scope="openid email profile").code

    def test_what_expired_by_a_shorter_lifetime_does_not_come_back_with_the_next(self, clock, alice, asking):
        alice.browser.authorize(asking).allow()
        Client.objects.update(consent_lifetime=3600)
        caching.forget()
        clock.forward(hours=2)
        alice.browser.authorize(asking, scope="openid").allow()
        Client.objects.update(consent_lifetime=None)
        caching.forget()
        assert consents(alice.browser.authorize(asking))

    def test_a_consent_is_remembered_for_one_user_and_one_client(self, alice, person, asking, relying_party):
        alice.browser.authorize(asking).allow()
        other = relying_party(require_consent=True)
        assert consents(person("bob").sign_in().browser.authorize(asking))
        assert consents(alice.browser.authorize(other))

    def test_refusing_later_leaves_what_is_remembered(self, alice, asking):
        alice.browser.authorize(asking, scope="openid email").allow()
        alice.browser.authorize(asking, scope="openid notes.read").deny()
        assert alice.browser.authorize(asking, scope="openid email", prompt="none").code

    def test_claims_that_were_not_covered_are_asked_again(self, alice, asking):
        alice.browser.authorize(asking).allow()
        wish = json.dumps({"id_token": {"email": None}})
        page = alice.browser.authorize(asking, claims=wish)
        assert consents(page)
        page.allow()
        assert alice.browser.authorize(asking, claims=wish).code

    def test_resources_that_were_not_covered_are_asked_again(self, alice, asking):
        alice.browser.authorize(asking).allow()
        page = alice.browser.authorize(asking, resource="https://api.example")
        assert consents(page)
        page.allow()
        assert alice.browser.authorize(asking, resource="https://api.example").code


class TestOfflineAccess:
    """OpenID Connect Core §11: where consent is required, offline_access asks for it each time."""

    def test_it_is_asked_again_and_nothing_else_is(self, alice, relying_party):
        client = relying_party(scopes="openid email offline_access", require_consent=True)
        alice.browser.authorize(client).allow()
        page = alice.browser.authorize(client)
        assert page.fields["scopes"] == ["offline_access"]
        assert client.redeem(page.allow().code).refresh_token

    def test_left_out_it_gives_no_refresh_token(self, alice, relying_party):
        client = relying_party(scopes="openid email offline_access", require_consent=True)
        tokens = client.redeem(alice.browser.authorize(client).allow("openid", "email").code).succeeds()
        assert tokens.refresh_token == ""

    def test_a_client_that_need_not_ask_gets_it_silently(self, alice, relying_party):
        client = relying_party(scopes="openid offline_access")
        assert client.redeem(alice.browser.authorize(client).code).refresh_token


class TestScopesWithAValue:
    """``name:value``: every value is shown and asks again."""

    @pytest.fixture
    def bank(self, relying_party, db):
        ApiScope.objects.create(name="payment", parameterised=True, display_name="Pay a bill")
        return relying_party(scopes="openid payment", require_consent=True)

    def test_the_page_shows_the_value_and_the_token_carries_it(self, alice, bank):
        page = alice.browser.authorize(bank, scope="openid payment:INV-123")
        assert page.shows("INV-123")
        assert bank.redeem(page.allow().code).members["scope"] == "openid payment:INV-123"

    def test_the_same_value_asks_again(self, alice, bank):
        for _ in range(2):
            page = alice.browser.authorize(bank, scope="openid payment:INV-123")
            assert page.fields["scopes"] == ["payment:INV-123"]
            page.allow()

    @pytest.mark.parametrize("scope", ["payment", "payment:", "payments:1", "openid:1"])
    def test_without_a_value_or_with_one_where_none_belongs_it_is_invalid(self, alice, bank, scope):
        assert alice.browser.authorize(bank, scope=scope).error == "invalid_scope"


class TestPermissions:
    """``requires_permission``: a scope is issued only to users who hold the permission."""

    @pytest.fixture
    def client(self, relying_party, api):
        ApiScope.objects.filter(name="notes.write").update(requires_permission="auth.change_group")
        return relying_party(scopes="openid notes.read notes.write offline_access", require_consent=True)

    def test_a_scope_that_the_user_may_not_have_is_neither_shown_nor_issued(self, alice, client):
        page = alice.browser.authorize(client)
        assert "notes.write" not in page.fields["scopes"]
        tokens = client.redeem(page.submit(allow="yes", scopes=["notes.read", "notes.write"]).code)
        assert tokens.members["scope"] == "openid notes.read"

    def test_who_holds_the_permission_gets_it(self, alice, client):
        alice.user.user_permissions.add(Permission.objects.get(codename="change_group"))
        tokens = client.redeem(alice.browser.authorize(client).allow().code)
        assert "notes.write" in tokens.members["scope"]

    def test_who_loses_the_permission_loses_the_scope_at_the_next_refresh(self, alice, client):
        alice.user.user_permissions.add(Permission.objects.get(codename="change_group"))
        tokens = client.redeem(alice.browser.authorize(client).allow().code)
        alice.user.user_permissions.clear()
        assert "notes.write" not in client.refresh(tokens.refresh_token).succeeds().members["scope"]

    def test_with_nothing_left_the_request_is_refused(self, alice, client):
        assert alice.browser.authorize(client, scope="notes.write").error == "access_denied"


class TestWhoseConsent:
    """RFC 9700 §4.7: an approval counts only for the session that saw the page."""

    def test_somebody_who_signs_in_in_another_tab_is_asked_for_themselves(self, alice, person, asking):
        page = alice.browser.authorize(asking)
        bob = person("bob")
        alice.browser.sign_out()
        alice.browser.sign_in(bob.username, bob.password)
        stale = alice.browser.submit(page.url, {**page.fields, "allow": "yes"})
        assert not stale.location
        assert Grant.objects.count() == 0

    def test_the_approval_of_one_session_is_none_of_the_next(self, alice, person, asking):
        """Alice allows, and before the answer is fetched Bob signs in to the same browser."""
        page = alice.browser.authorize(asking)
        answer = alice.browser.http.post(page.url, {**page.fields, "allow": "yes"})
        bob = person("bob")
        alice.browser.sign_out()
        alice.browser.sign_in(bob.username, bob.password)
        resumed = alice.browser.open(answer.headers["Location"])
        assert consents(resumed)
        assert resumed.shows("bob")
        assert Grant.objects.count() == 0

    def test_switching_the_account_leads_back_to_the_request(self, alice, person, asking):
        bob = person("bob")
        page = alice.browser.authorize(asking).submit(switch="yes").sign_in(bob.username, bob.password)
        tokens = asking.redeem(page.allow().code).succeeds()
        assert asking.userinfo(tokens.access_token).json()["preferred_username"] == "bob"

    def test_a_forged_post_allows_nothing(self, alice, asking):
        """Without the page's CSRF token the page is shown anew."""
        page = alice.browser.authorize(asking)
        fields = {name: value for name, value in page.fields.items() if name != "csrfmiddlewaretoken"}
        forged = alice.browser.submit(page.url, {**fields, "allow": "yes"})
        assert (forged.status, forged.location) == (403, "")
        assert Grant.objects.count() == 0


class TestNativeApps:
    """RFC 8252 §8.6: any app can pretend to be a public native client, so it is never silent."""

    @pytest.fixture(params=["http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/callback"])
    def app(self, request, relying_party):
        return relying_party(
            redirect_uris=[request.param], token_endpoint_auth_method="none", application_type="native"
        )

    def test_it_asks_each_time_and_cannot_be_remembered(self, alice, app):
        for _ in range(2):
            page = alice.browser.authorize(app)
            assert consents(page)
            assert "remember" not in page.fields
            app.redeem(page.allow().code).succeeds()

    def test_prompt_none_is_consent_required(self, alice, app):
        alice.browser.authorize(app).allow()
        assert alice.browser.authorize(app, prompt="none").error == "consent_required"

    def test_a_loopback_address_may_differ_by_its_port(self, alice, relying_party):
        """§7.3: the app listens where it finds a free port."""
        app = relying_party(redirect_uris=["http://127.0.0.1/callback"], token_endpoint_auth_method="none")
        there = "http://127.0.0.1:49152/callback"
        page = alice.browser.authorize(app, redirect_uri=there).allow()
        assert page.location.startswith(f"{there}?code=")
        app.redeem(page.code, redirect_uri=there).succeeds()

    @pytest.mark.parametrize(
        "there",
        [
            "http://localhost:49152/callback",
            "http://127.0.0.2:49152/callback",
            "https://127.0.0.1:49152/callback",
            "http://127.0.0.1:49152/other",
            "http://127.0.0.1:99999/callback",
            "http://x@127.0.0.1:49152/callback",
        ],
    )
    def test_and_by_nothing_else(self, alice, relying_party, there):
        app = relying_party(redirect_uris=["http://127.0.0.1/callback"], token_endpoint_auth_method="none")
        assert alice.browser.authorize(app, redirect_uri=there).status == 400

    def test_a_host_name_keeps_its_port(self, alice, relying_party):
        """§8.3: localhost may be anybody's; only the IP literal is this machine for certain."""
        app = relying_party(redirect_uris=["http://localhost:8000/callback"], token_endpoint_auth_method="none")
        assert alice.browser.authorize(app, redirect_uri="http://localhost:8001/callback").status == 400


class TestPage:
    """What a decision needs to see."""

    def test_it_names_the_client_the_account_and_the_values_that_would_be_shared(self, alice, relying_party):
        client = relying_party(require_consent=True, name="Notebook")
        page = alice.browser.authorize(client)
        for text in ("Notebook", "app.example", "alice", "alice@example.com", "Alice Adams"):
            assert page.shows(text)

    def test_texts_of_the_site_and_of_clients_are_escaped(self, alice, relying_party):
        IdentityResource.objects.filter(name="email").update(display_name="<b>mail</b>")
        page = alice.browser.authorize(relying_party(require_consent=True, name="<script>alert(1)</script>"))
        assert "<script>alert" not in page.text
        assert "<b>mail" not in page.text
