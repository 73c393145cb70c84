"""The consent page: OpenID Connect Core §3.1.2.4 and what pages.md promises."""

import pytest

from identityserver.models import ApiScope, Consent, IdentityResource, UserSession
from identityserver.vocabulary import AuthMethod, ClientSource

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(relying_party, api):
    """A client that asks for everything."""
    api.api_scopes.filter(name="notes.read").update(display_name="Read your notes", description="All of them.")
    scopes = "openid profile email notes.read notes.write offline_access"
    return relying_party(scopes=scopes, require_consent=True, name="Notebook")


@pytest.fixture
def page(alice, app):
    return alice.browser.authorize(app)


class TestWhatIsShown:
    def test_it_says_who_asks_whom(self, page):
        assert page.status == 200
        assert page.shows("Allow <bdi>Notebook</bdi> access to your account?")
        assert page.shows("<title>Allow access – Notebook – testserver</title>")
        assert page.shows("app.example")
        assert page.shows("<bdi>alice</bdi>")

    def test_it_has_two_groups(self, page):
        personal, access = page.text.split("Personal information")[1].split("Application access")
        for words in ("Your identity", "Your profile", "Your email address"):
            assert words in personal
        for words in ("Read your notes", "All of them.", "notes.write", "Keep access while you are away"):
            assert words in access

    def test_it_shows_the_values_on_demand(self, page):
        details = page.text.split("<details>", 1)[1]
        assert "Alice Adams" in details
        assert "alice@example.com" in details

    def test_it_shows_nothing_that_is_not_asked_for(self, alice, app):
        page = alice.browser.authorize(app, scope="openid")
        assert "alice@example.com" not in page.text
        assert "Application access" not in page.text

    def test_what_is_required_is_fixed(self, page):
        box = page.text.split('value="openid"')[1].split(">")[0]
        assert "checked" in box
        assert "disabled" in box
        assert page.shows("Required")

    def test_what_is_emphasised_is_said_in_words(self, alice, app):
        assert not alice.browser.authorize(app).shows("Sensitive")
        ApiScope.objects.filter(name="notes.write").update(emphasize=True)
        app.row.save()
        assert alice.browser.authorize(app).shows("Sensitive")

    def test_a_scope_with_a_value_shows_it(self, alice, relying_party):
        ApiScope.objects.create(name="payment", display_name="Pay", parameterised=True)
        shop = relying_party(scopes="openid payment", require_consent=True)
        page = alice.browser.authorize(shop, scope="openid payment:4711")
        assert page.shows("Pay")
        assert page.shows("4711")

    def test_the_words_of_the_site_go_first(self, alice, app):
        IdentityResource.objects.filter(name="profile").update(display_name="Staff record")
        app.row.save()
        page = alice.browser.authorize(app)
        assert page.shows("Staff record")
        assert not page.shows("Your profile")

    @pytest.mark.parametrize("source", [ClientSource.DCR, ClientSource.CIMD])
    def test_a_client_that_registered_itself_is_not_verified(self, alice, app, page, source):
        assert not page.shows("Not verified by")
        app.row.source = source
        app.row.save()
        assert alice.browser.authorize(app).shows("Not verified by testserver")

    def test_it_has_the_links_of_the_client(self, alice, app):
        app.row.policy_uri, app.row.tos_uri = "https://app.example/privacy", "https://app.example/terms"
        app.row.save()
        page = alice.browser.authorize(app)
        assert page.shows('href="https://app.example/privacy"')
        assert page.shows('href="https://app.example/terms"')

    def test_only_the_logo_shown_may_be_loaded(self, alice, app, page):
        assert "img-src 'self';" in page.response["Content-Security-Policy"]
        app.row.logo_uri = "https://cdn.example/logo.svg"
        app.row.save()
        policy = alice.browser.authorize(app).response["Content-Security-Policy"]
        assert "img-src 'self' https://cdn.example;" in policy

    def test_a_person_who_knows_the_client_is_told_so(self, alice, app):
        alice.browser.authorize(app, scope="openid profile").allow()
        page = alice.browser.authorize(app, scope="openid profile email")
        assert page.shows("You have allowed this application some things before.")
        assert page.shows("Your email address")
        assert not page.shows("Your profile")


class TestAllowing:
    def test_everything(self, page, app):
        tokens = app.redeem(page.allow().code).succeeds()
        assert tokens.members["scope"] == app.scope

    def test_a_part(self, page, app):
        tokens = app.redeem(page.allow("profile", "notes.read").code).succeeds()
        assert tokens.members["scope"] == "openid profile notes.read"

    def test_what_is_required_cannot_be_left_out(self, page, app):
        assert app.redeem(page.allow("email").code).succeeds().members["scope"] == "openid email"

    def test_nothing_that_was_not_asked_for(self, alice, app):
        page = alice.browser.authorize(app, scope="openid notes.read")
        page = page.allow("notes.read", "notes.write", "offline_access", "admin")
        assert app.redeem(page.code).succeeds().members["scope"] == "openid notes.read"

    def test_nothing_at_all_is_no_answer(self, alice, app):
        page = alice.browser.authorize(app, scope="notes.read notes.write")
        page = page.submit(allow="yes", scopes=[])
        assert page.shows("Choose what to allow, or deny it all.")
        assert page.shows("<title>Error: Allow access")
        assert page.allow("notes.read").code

    def test_with_what_was_allowed_before(self, alice, app):
        alice.browser.authorize(app, scope="openid profile").allow()
        page = alice.browser.authorize(app, scope="openid profile email").allow("email")
        assert app.redeem(page.code).succeeds().members["scope"] == "openid profile email"

    def test_an_answer_that_is_none_asks_again(self, page):
        assert page.submit(allow="perhaps").shows("access to your account?")
        assert page.submit().shows("access to your account?")


class TestRemembering:
    def test_the_choice_is_remembered(self, alice, app):
        alice.browser.authorize(app, scope="openid email").allow()
        assert alice.browser.authorize(app, scope="openid email").code
        assert Consent.objects.get().scopes == ["email", "openid"]

    def test_unless_the_person_does_not_want_it(self, alice, app):
        page = alice.browser.authorize(app, scope="openid email")
        fields = {name: value for name, value in page.fields.items() if name != "remember"}
        assert alice.browser.submit(page.url, {**fields, "allow": "yes"}).code
        assert not Consent.objects.exists()
        assert alice.browser.authorize(app, scope="openid email").shows("access to your account?")

    def test_what_is_asked_every_time_is_not_promised_to_be_remembered(self, alice, app):
        first = alice.browser.authorize(app, scope="openid offline_access")
        assert first.shows("only for what needs your permission every time")
        first.allow()

        second = alice.browser.authorize(app, scope="openid offline_access")
        assert second.shows("Now it asks for the following.")
        assert "remember" not in second.fields
        assert second.allow().code
        assert alice.browser.authorize(app, scope="openid").code

    def test_or_the_client_is_not_to_be_remembered(self, alice, app):
        app.row.allow_remember_consent = False
        app.row.save()
        page = alice.browser.authorize(app, scope="openid")
        assert "remember" not in page.fields
        assert page.submit(allow="yes", remember="yes").code
        assert not Consent.objects.exists()

    def test_or_any_program_could_pretend_to_be_the_client(self, alice, relying_party):
        """RFC 8252 §8.6."""
        native = relying_party(redirect_uris=["com.example.app:/callback"], token_endpoint_auth_method=AuthMethod.NONE)
        page = alice.browser.authorize(native)
        assert page.shows("the app com.example.app on this device")
        assert "remember" not in page.fields


class TestDenying:
    def test_the_client_hears_of_it(self, page, app):
        """RFC 6749 §4.1.2.1: access_denied."""
        denied = page.deny()
        assert denied.error == "access_denied"
        assert denied.parameters["state"] == app.state
        assert not Consent.objects.exists()

    def test_pressing_enter_grants_nothing(self, page):
        """A browser then presses the first button of the form."""
        form = page.text.rsplit("<form", 1)[1]
        assert form.split('name="allow"')[1].split(">")[0].strip() == 'value="no"'

    def test_both_answers_weigh_the_same(self, page):
        deny, allow = page.text.split('name="allow"')[:2]
        assert deny.rsplit("<button", 1)[1].split() == allow.rsplit("<button", 1)[1].split()


class TestWhoseAnswerItIs:
    """An approval counts only for the user session that saw the page."""

    def test_somebody_else_can_sign_in(self, alice, page, person, app):
        page = page.submit(switch="yes")
        assert page.shows("<h1>Sign in</h1>")
        assert not UserSession.objects.filter(ended_at=None).exists()
        bob = person("bob")
        page = page.sign_in("bob", bob.password)
        assert page.shows("<bdi>bob</bdi>")
        assert app.redeem(page.allow().code).succeeds()

    def test_an_approval_for_somebody_else_does_not_count(self, alice, page, person):
        bob = person("bob")
        elsewhere = alice.browser.sign_in("bob", bob.password)
        token = alice.browser.open("/account/login").fields["csrfmiddlewaretoken"]
        fields = {**page.fields, "allow": "yes", "csrfmiddlewaretoken": token}
        again = alice.browser.submit(page.url, fields)
        assert again.shows("You signed in again after this page was shown.")
        assert again.shows("<bdi>bob</bdi>")
        assert elsewhere.url
        assert again.allow().code

    def test_a_forged_approval_does_not_count(self, page):
        forged = page.submit(allow="yes", csrfmiddlewaretoken="x" * 64)
        assert forged.status == 403
        assert forged.shows("Please try again.")

    def test_it_is_the_answer_of_this_browser(self, page, person, app):
        bob = person("bob").sign_in()
        assert bob.browser.open(page.url).shows("This page is no longer valid")

    def test_who_signed_out_signs_in_first(self, alice, page):
        alice.browser.sign_out()
        assert alice.browser.open(page.url).shows("<h1>Sign in</h1>")

    def test_the_form_cannot_change_the_request(self, page, relying_party, app):
        other = relying_party(redirect_uris=["https://evil.example/"])
        page = page.submit(allow="yes", client_id=other.client_id, redirect_uri=other.redirect_uri, nonce="x")
        assert page.location.startswith(app.redirect_uri)

    def test_an_answered_request_stays_answered(self, alice, page):
        assert page.allow().code
        again = alice.browser.open(page.url)
        assert again.status == 400
        assert again.shows("This page is no longer valid")
