"""OpenID Connect RP-Initiated Logout 1.0."""

from urllib.parse import urlencode

import pytest

from identityserver.models import UserSession
from identityserver.testing import Browser
from identityserver.testing.relying_party import FORM, decoded
from tests.oidc.test_authentication_request import forged
from tests.speaking import failing_database, url_of

pytestmark = pytest.mark.django_db

BACK = "https://app.example/signed-out"


@pytest.fixture
def hint(alice, web_app):
    """The ID token that the client got for Alice."""
    return web_app.redeem(alice.browser.authorize(web_app).code).members["id_token"]


def end_session(browser, **parameters):
    return browser.open(f"{url_of('end_session')}?{urlencode(parameters)}")


def is_signed_in(person, client):
    return person.browser.authorize(client, prompt="none").error == ""


class TestWithAHint:
    """§2: id_token_hint shows that the client had signed in this very user."""

    def test_it_signs_out_and_goes_back_with_the_state(self, alice, web_app, hint):
        page = end_session(alice.browser, id_token_hint=hint, post_logout_redirect_uri=BACK, state="a b&c")
        assert page.status == 303
        assert page.location.startswith(f"{BACK}?")
        assert page.parameters == {"state": "a b&c"}
        assert not is_signed_in(alice, web_app)
        assert UserSession.objects.get().ended_at is not None

    def test_without_an_address_the_last_page_says_so(self, alice, web_app, hint):
        page = end_session(alice.browser, id_token_hint=hint)
        assert page.shows("You are signed out")
        assert not is_signed_in(alice, web_app)

    def test_an_expired_hint_will_do(self, clock, alice, web_app):
        """§4: the OP SHOULD accept ID Tokens when the RP's session is or was recently current."""
        hint = web_app.redeem(alice.browser.authorize(web_app).code).members["id_token"]
        clock.forward(days=1)
        assert end_session(alice.browser, id_token_hint=hint, post_logout_redirect_uri=BACK).location == BACK

    def test_the_client_id_may_be_repeated(self, alice, web_app, hint):
        page = end_session(
            alice.browser, id_token_hint=hint, client_id=web_app.client_id, post_logout_redirect_uri=BACK
        )
        assert page.location == BACK

    def test_but_not_that_of_another_client(self, alice, relying_party, web_app, hint):
        """§2: the OP MUST verify that the client_id matches the one of the ID Token."""
        page = end_session(alice.browser, id_token_hint=hint, client_id=relying_party().client_id)
        assert (page.status, page.location) == (400, "")
        assert page.shows("id_token_hint")
        assert is_signed_in(alice, web_app)

    def test_a_forged_hint_is_an_error_and_signs_nobody_out(self, alice, web_app, hint):
        for wrong in (forged(hint), "x", hint[:-4] + "AAAA"):
            page = end_session(alice.browser, id_token_hint=wrong, post_logout_redirect_uri=BACK)
            assert (page.status, page.location) == (400, "")
            assert page.shows("id_token_hint")
        assert is_signed_in(alice, web_app)

    def test_the_hint_of_another_user_asks_the_person(self, alice, person, web_app, hint):
        bob = person("bob").sign_in()
        page = end_session(bob.browser, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert page.shows("Do you want to sign out")
        assert is_signed_in(bob, web_app)

    def test_the_hint_of_an_earlier_session_asks_the_person(self, alice, web_app, hint):
        alice.browser.sign_out()
        alice.sign_in()
        assert decoded(hint)["sid"] != UserSession.objects.get(ended_at=None).sid
        page = end_session(alice.browser, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert page.shows("Do you want to sign out")
        assert is_signed_in(alice, web_app)

    def test_nobody_signed_in_goes_straight_back(self, web_app, hint):
        page = end_session(Browser(), id_token_hint=hint, post_logout_redirect_uri=BACK, state="s")
        assert page.location == f"{BACK}?state=s"


class TestWithoutAHint:
    """§2, §6: the person decides, or anybody could sign people out."""

    def test_the_person_is_asked_and_goes_back(self, alice, web_app):
        page = end_session(
            alice.browser, client_id=web_app.client_id, post_logout_redirect_uri=BACK, state="s", logout_hint="x"
        )
        assert page.shows("Do you want to sign out")
        assert page.shows("Web app")
        answered = page.submit(logout="yes")
        assert answered.location == f"{BACK}?state=s"
        assert not is_signed_in(alice, web_app)

    def test_who_says_no_stays_and_the_client_is_not_told(self, alice, web_app):
        page = end_session(alice.browser, client_id=web_app.client_id, post_logout_redirect_uri=BACK)
        answered = page.submit(logout="no")
        assert answered.location == ""
        assert answered.shows("still signed in")
        assert is_signed_in(alice, web_app)

    def test_without_any_parameter(self, alice, web_app):
        page = end_session(alice.browser)
        assert page.shows("Do you want to sign out")
        assert page.submit(logout="yes").shows("You are signed out")
        assert not is_signed_in(alice, web_app)

    def test_a_forged_answer_changes_nothing(self, alice, web_app):
        page = end_session(alice.browser, client_id=web_app.client_id)
        fields = {name: value for name, value in page.fields.items() if name != "csrfmiddlewaretoken"}
        assert alice.browser.submit(page.url, {**fields, "logout": "yes"}).status == 403
        assert is_signed_in(alice, web_app)

    def test_the_answer_leads_back_once(self, alice, web_app):
        page = end_session(alice.browser, client_id=web_app.client_id, post_logout_redirect_uri=BACK)
        page.submit(logout="yes")
        alice.sign_in()
        assert alice.browser.open(page.url).submit(logout="yes").location == ""

    def test_the_request_of_one_browser_is_none_of_another(self, alice, person, web_app):
        page = end_session(alice.browser, client_id=web_app.client_id, post_logout_redirect_uri=BACK)
        mallory = person("mallory").sign_in()
        assert mallory.browser.open(page.url).submit(logout="yes").location == ""


class TestAddresses:
    """§3: only exactly registered ones, and only of a client that is known."""

    @pytest.mark.parametrize(
        "uri",
        [
            f"{BACK}/",
            f"{BACK}?x=1",
            BACK.upper(),
            "https://evil.example/",
            "https://app.example/callback",
            "javascript:alert(1)",
            "//evil.example",
        ],
    )
    def test_any_other_is_an_error_and_signs_nobody_out(self, alice, web_app, hint, uri):
        page = end_session(alice.browser, id_token_hint=hint, post_logout_redirect_uri=uri)
        assert (page.status, page.location) == (400, "")
        assert page.shows("post_logout_redirect_uri")
        assert is_signed_in(alice, web_app)

    def test_of_nobody_there_is_none(self, alice):
        """§2: without client_id or hint the OP cannot verify it."""
        page = end_session(alice.browser, post_logout_redirect_uri=BACK)
        assert (page.status, page.location) == (400, "")
        assert page.shows("post_logout_redirect_uri")

    def test_of_an_unknown_client_neither(self, alice):
        page = end_session(alice.browser, client_id="nobody", post_logout_redirect_uri=BACK)
        assert page.status == 400
        assert page.shows("client_id")


class TestForm:
    """§2: OpenID Providers MUST support the use of GET and POST."""

    def test_a_post_asks_the_person(self, alice, web_app, hint):
        """Another site's POST carries no session cookie, so who is signed in is seen on the page that follows."""
        form = {"id_token_hint": hint, "post_logout_redirect_uri": BACK, "state": "s"}
        response = Browser().http.post(url_of("end_session"), urlencode(form), content_type=FORM)
        assert response.status_code == 303
        for name, cookie in response.cookies.items():
            alice.browser.http.cookies[name] = cookie.value
        page = alice.browser.open(response.headers["Location"])
        assert page.shows("Do you want to sign out")
        assert page.submit(logout="yes").location == f"{BACK}?state=s"

    def test_another_media_type_is_415(self, alice):
        assert alice.browser.http.post(url_of("end_session"), {"state": "s"}).status_code == 415

    def test_repeated_parameters_are_refused(self, alice):
        assert alice.browser.open(f"{url_of('end_session')}?state=a&state=b").status == 400


class TestAftermath:
    """What signing out ends, and what a failure leaves."""

    def test_other_browsers_of_the_same_user_stay_signed_in(self, alice, web_app, hint):
        second = type(alice)(alice.user).sign_in()
        end_session(alice.browser, id_token_hint=hint)
        assert is_signed_in(second, web_app)

    def test_a_failing_database_signs_nobody_out_and_says_so(self, alice, web_app, hint):
        with failing_database():
            page = end_session(alice.browser, id_token_hint=hint, post_logout_redirect_uri=BACK)
        assert (page.status, page.location) == (503, "")
        assert page.response["Retry-After"]
        assert is_signed_in(alice, web_app)
