"""The pages of the device flow: RFC 8628 §3.3, §5.4 to §5.6, and what pages.md promises."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import Group

from identityserver.digests import digest
from identityserver.models import Consent, DeviceRequest, Event, Grant, UserSession
from identityserver.testing import Browser
from identityserver.vocabulary import ClientSource, GrantType
from tests.speaking import url_of

pytestmark = pytest.mark.django_db

UNKNOWN = "This code is unknown or has expired. Check it, or start again on your device."


@pytest.fixture
def asked(television, clock):
    """A device that waits."""
    return television.device_authorization().succeeds()


@pytest.fixture
def question(alice, asked):
    """The page on which Alice is asked."""
    return alice.browser.enter_user_code(asked.user_code)


def row_of(answer) -> DeviceRequest:
    return DeviceRequest.objects.get(digest=digest(answer.device_code))


class TestTypingTheCode:
    def test_the_page_asks_for_it(self, alice):
        page = alice.browser.open("/device")
        assert page.status == 200
        assert page.shows("<title>Connect a device – testserver</title>")
        assert page.fields["user_code"] == ""
        assert page.shows("<bdi>alice</bdi>")

    @pytest.mark.parametrize(
        "typed",
        [
            "{0}-{1}",
            "{0}{1}",
            "{0} {1}",
            " {0} – {1} ",
            "{0}_{1}.",
            "\N{ZERO WIDTH SPACE}{0}\N{NON-BREAKING HYPHEN}{1}\N{NO-BREAK SPACE}",
        ],
    )
    @pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
    def test_dashes_blanks_and_case_are_forgiven(self, alice, asked, typed, case):
        first, second = case(asked.user_code).split("-")
        assert alice.browser.enter_user_code(typed.format(first, second)).shows(asked.user_code)

    def test_so_is_the_width_that_japanese_keyboards_type(self, alice, asked):
        wide = "".join(chr(ord(letter) + 0xFEE0) for letter in asked.user_code)
        assert alice.browser.enter_user_code(wide).shows(asked.user_code)

    @pytest.mark.parametrize(
        "typed", ["BBBB-BBBB", "BBBB", "AEIO-UAEI", "1234-5678", "B" * 5000, "<script>", "\x00", "ß"]
    )
    def test_a_code_that_is_none(self, alice, asked, typed):
        page = alice.browser.enter_user_code(typed)
        assert page.status == 200
        assert page.shows(UNKNOWN)
        assert page.shows("<title>Error: Connect a device – testserver</title>")
        assert "<script>" not in page.text

    @pytest.mark.parametrize("typed", ["", "   "])
    def test_nothing(self, alice, typed):
        assert alice.browser.enter_user_code(typed).shows("Enter the code that your device shows.")

    def test_an_expired_code_is_unknown(self, alice, asked, clock):
        clock.forward(minutes=5)
        assert alice.browser.enter_user_code(asked.user_code).shows(UNKNOWN)

    def test_so_is_one_that_was_used(self, alice, asked, question):
        question.allow()
        assert alice.browser.enter_user_code(asked.user_code).shows(UNKNOWN)

    def test_so_is_one_whose_client_was_disabled_or_changed(self, alice, television):
        for changes in ({"allowed_grant_types": ["refresh_token"]}, {"enabled": False}):
            asked = television.device_authorization().succeeds()
            former = {name: getattr(television.row, name) for name in changes}
            for values, words in ((changes, UNKNOWN), (former, "to your account?")):
                vars(television.row).update(values)
                television.row.save()
                assert alice.browser.enter_user_code(asked.user_code).shows(words)

    def test_so_is_one_that_somebody_else_has_claimed(self, person, asked, question):
        """§5.4: the same words as for a code that is none."""
        bob = person("bob").sign_in()
        assert bob.browser.enter_user_code(asked.user_code).shows(UNKNOWN)
        assert question.allow().shows("Your device is connected")

    def test_the_same_person_may_go_on_elsewhere(self, alice, asked, question):
        """Begun on the computer, finished on the phone: then the computer has nothing to decide any more."""
        phone = Browser()
        phone.sign_in(alice.username, alice.password)
        page = phone.enter_user_code(asked.user_code)
        assert question.allow().shows(UNKNOWN)
        assert page.allow().shows("Your device is connected")
        assert UserSession.objects.get(sid=Grant.objects.get().sid).created >= row_of(asked).created


class TestTheLink:
    """§3.3.1: a link or QR code with the code in it."""

    def test_the_code_is_filled_in_and_nothing_else_happens(self, alice, asked):
        page = alice.browser.open(asked.verification_uri_complete)
        assert page.fields["user_code"] == asked.user_code
        assert page.shows("Check that this is the code that your device shows.")
        assert row_of(asked).user is None

    def test_it_is_confirmed_all_the_same(self, alice, television, asked):
        """§5.4: somebody may have sent the link."""
        page = alice.browser.open(asked.verification_uri_complete).submit()
        assert page.shows("Only continue if you started this on your own device")
        television.poll(asked.device_code).fails_with("authorization_pending")

    @pytest.mark.parametrize("code", ["%3Cscript%3E", "%00", "%FF", "x" * 3000, "a&user_code=b"])
    def test_a_link_that_somebody_has_made_up(self, alice, code):
        page = alice.browser.open(f"/device?user_code={code}")
        assert page.status in {200, 400}
        assert "<script>" not in page.text


class TestSigningIn:
    def test_who_is_not_signed_in_does_so_first_and_comes_back_with_the_code(self, person, asked):
        bob = person("bob")
        login = bob.browser.open(asked.verification_uri_complete)
        assert login.shows("<h1>Sign in</h1>")
        page = login.sign_in(bob.username, bob.password)
        assert page.url.partition("?")[0] == url_of("device")
        assert page.fields["user_code"] == asked.user_code

    def test_also_where_the_session_ends_in_between(self, alice, asked):
        page = alice.browser.open("/device")
        UserSession.objects.get().end("signed_out")
        login = page.submit(user_code=asked.user_code)
        assert login.shows("<h1>Sign in</h1>")
        assert login.sign_in(alice.username, alice.password).fields["user_code"] == asked.user_code

    def test_and_on_the_page_of_the_question(self, alice, asked, question):
        UserSession.objects.get().end("signed_out")
        login = question.allow()
        assert login.shows("<h1>Sign in</h1>")
        assert not Grant.objects.exists()
        assert login.sign_in(alice.username, alice.password).fields["user_code"] == asked.user_code

    def test_a_login_page_of_the_site(self, settings, asked):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "login_url": "/hosts/login?theme=dark"}
        answer = Browser().http.get(asked.verification_uri_complete)
        assert (answer.status_code, urlsplit(answer["Location"]).path) == (303, "/hosts/login")
        parameters = dict(parse_qsl(urlsplit(answer["Location"]).query))
        assert parameters == {"theme": "dark", "next": f"/device?user_code={asked.user_code}"}

    @pytest.mark.parametrize("field", ["user_sso_lifetime", "default_max_age"])
    def test_a_client_that_wants_people_to_have_signed_in_recently(self, alice, television, clock, field):
        setattr(television.row, field, 600)
        television.row.save()
        clock.forward(minutes=11)
        asked = television.device_authorization()
        login = alice.browser.enter_user_code(asked.user_code)
        assert login.shows("<h1>Sign in</h1>")
        page = login.sign_in(alice.username, alice.password)
        assert page.shows("Connect <bdi>Television</bdi> to your account?")
        page.allow()
        tokens = television.poll(asked.device_code).succeeds()
        assert tokens.id_token["auth_time"] == int(clock.now().timestamp())

    def test_that_cannot_be_skipped_by_answering(self, alice, television, asked, question, clock):
        television.row.user_sso_lifetime = 0
        television.row.save()
        UserSession.objects.update(auth_time=clock.now() - timedelta(minutes=1))
        assert question.allow().shows("<h1>Sign in</h1>")
        assert not Grant.objects.exists()

    def test_somebody_else_may_sign_in(self, alice, person, television, asked, question):
        bob = person("bob")
        login = question.submit(switch="yes")
        assert login.shows("<h1>Sign in</h1>")
        page = login.sign_in(bob.username, bob.password)
        assert page.submit().allow().shows("Your device is connected")
        assert Grant.objects.get().user == bob.user


class TestTheQuestion:
    def test_it_says_what_asks_and_from_where(self, alice, television, clock):
        television.http.defaults["REMOTE_ADDR"] = "203.0.113.9"
        television.row.client_uri = "https://television.example/"
        television.row.save()
        asked = television.device_authorization()
        clock.forward(minutes=3)
        page = alice.browser.enter_user_code(asked.user_code)
        assert page.status == 200
        assert page.shows("<title>Connect a device – Television – testserver</title>")
        assert page.shows("Connect <bdi>Television</bdi> to your account?")
        assert page.shows(f'aria-labelledby="shown-code">{asked.user_code}</p>')
        assert page.shows("203.0.113.9")
        assert page.shows("3\N{NO-BREAK SPACE}minutes ago")
        assert page.shows("television.example")
        assert page.shows("<bdi>alice</bdi>")

    def test_it_warns_of_codes_that_somebody_has_sent(self, question):
        """§5.4."""
        assert question.shows("Only continue if you started this on your own device")

    def test_it_says_what_is_asked_for(self, question):
        for words in ("Your identity", "Your profile", "alice@example.com", "Keep access while you are away"):
            assert question.shows(words)

    @pytest.mark.parametrize("source", [ClientSource.DCR, ClientSource.CIMD])
    def test_a_client_that_nobody_has_looked_at(self, alice, television, source):
        """What it says of itself is no place that it comes from."""
        television.row.source, television.row.client_uri = source.value, "https://bank.example/"
        television.row.save()
        page = alice.browser.enter_user_code(television.device_authorization().user_code)
        assert page.shows("Not verified by testserver")
        assert not page.shows("bank.example")

    def test_what_was_allowed_before_is_asked_again(self, alice, television, asked, question):
        """§5.4: only a look at the code tells whose device it is."""
        question.allow()
        Consent.objects.create(user=alice.user, client=television.row, scopes=television.scope.split())
        again = television.device_authorization()
        assert alice.browser.enter_user_code(again.user_code).shows("Your profile")
        television.poll(again.device_code).fails_with("authorization_pending")

    def test_and_nothing_is_remembered(self, question):
        assert "remember" not in question.fields
        question.submit(allow="yes", remember="yes")
        assert not Consent.objects.exists()

    def test_refusing_and_allowing_are_equal_and_refusing_comes_first(self, question):
        deny, allow = question.text.index('value="no"'), question.text.index('value="yes">Allow')
        assert deny < allow
        assert 'class="button primary"' not in question.text

    def test_what_is_required_cannot_be_left_out(self, television, asked, question):
        question.submit(allow="yes", scopes=["email"])
        assert Grant.objects.get().scopes == ["openid", "email"]

    def test_nothing_at_all_is_no_permission(self, alice, relying_party, api, clock):
        box = relying_party(
            scopes="notes.read", allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE.value]
        )
        page = alice.browser.enter_user_code(box.device_authorization().user_code).submit(allow="yes", scopes=[])
        assert page.shows("Choose what to allow, or deny it all.")
        assert not Grant.objects.exists()

    @pytest.mark.parametrize("answer", [{}, {"allow": "perhaps"}])
    def test_no_answer_is_asked_again(self, question, answer):
        assert question.submit(**answer).shows("to your account?")

    def test_it_can_be_loaded_again(self, alice, question):
        assert alice.browser.open(question.url).shows("to your account?")

    def test_what_happened_is_known_to_staff(self, alice, television, question, asked):
        question.allow("email")
        alice.browser.enter_user_code(television.device_authorization().user_code).deny()
        granted, denied = (Event.objects.get(type=f"consent_{kind}") for kind in ("granted", "denied"))
        assert (granted.client, granted.detail) == (television.client_id, "openid email")
        assert (denied.client, denied.user) == (television.client_id, str(alice.user.pk))


class TestTheEnd:
    def test_allowed(self, question):
        page = question.allow()
        assert page.url.partition("?")[0] == url_of("device_done")
        assert page.shows("<title>Device connected – Television – testserver</title>")
        assert page.shows("Go back to your device")

    def test_refused(self, question):
        page = question.deny()
        assert page.shows("<title>Device refused – Television – testserver</title>")
        assert page.shows("The device gets nothing.")

    def test_a_second_answer_changes_nothing(self, television, asked, question):
        question.deny()
        assert question.allow().shows("The device gets nothing.")
        television.poll(asked.device_code).fails_with("access_denied")

    def test_going_back_shows_how_it_ended(self, alice, question):
        question.allow()
        assert alice.browser.open(question.url).shows("Your device is connected")

    def test_too_late(self, question, clock):
        clock.forward(minutes=6)
        page = question.allow()
        assert page.shows(UNKNOWN)
        assert "user_code" in page.fields
        assert not Grant.objects.exists()

    def test_too_late_to_look(self, alice, question, clock):
        clock.forward(minutes=6)
        assert alice.browser.open(question.url).shows("<h1>Connect a device</h1>")

    def test_the_last_page_without_a_code_is_the_first(self, alice):
        for page in ("device_done", "device_confirm"):
            assert alice.browser.open(url_of(page)).shows("<h1>Connect a device</h1>")


class TestWhoMayUseTheClient:
    @pytest.fixture
    def for_staff(self, television):
        group = Group.objects.create(name="Staff")
        television.row.allowed_groups.add(group)
        return group

    def test_others_are_told_and_can_switch(self, for_staff, question):
        assert question.shows("This account may not use <bdi>Television</bdi>")
        assert not question.shows('value="yes">Allow')
        assert not question.shows("Your profile")
        assert question.submit(switch="yes").shows("<h1>Sign in</h1>")

    def test_others_cannot_allow_it(self, for_staff, television, asked, question):
        question.submit(allow="yes", scopes=["openid", "email"])
        assert not Grant.objects.exists()
        question.deny()
        television.poll(asked.device_code).fails_with("access_denied")

    def test_members_can(self, for_staff, alice, television, asked):
        alice.user.groups.add(for_staff)
        alice.browser.enter_user_code(asked.user_code).allow()
        television.poll(asked.device_code).succeeds()


class TestAttacks:
    def test_the_form_cannot_change_what_is_asked_for(self, alice, television, web_app, asked, question):
        page = question.submit(
            allow="yes",
            scopes=["openid", "profile", "address", "notes.write", "admin"],
            scope="address",
            client_id=web_app.client_id,
            request="x" * 43,
            device_code="x",
            user=alice.user.pk + 1,
            expires="2099-01-01",
        )
        assert page.shows("Your device is connected")
        grant = Grant.objects.get()
        assert (grant.client, grant.scopes, grant.user) == (television.row, ["openid", "profile"], alice.user)

    def test_another_session_cannot_approve_what_this_one_has_claimed(self, person, television, asked, question):
        bob = person("bob").sign_in()
        page = bob.browser.submit(url_of("device_confirm"), {**question.fields, "allow": "yes"})
        assert page.shows("<h1>Connect a device</h1>")
        token = bob.browser.open("/device").fields["csrfmiddlewaretoken"]
        stolen = {**question.fields, "csrfmiddlewaretoken": token, "allow": "yes"}
        assert bob.browser.submit(url_of("device_confirm"), stolen).shows(UNKNOWN)
        assert not Grant.objects.exists()

    def test_nor_one_of_the_same_user(self, alice, asked, question):
        other = Browser()
        other.sign_in(alice.username, alice.password)
        token = other.open("/device").fields["csrfmiddlewaretoken"]
        answer = {"csrfmiddlewaretoken": token, "user_code": asked.user_code, "allow": "yes"}
        assert other.submit(url_of("device_confirm"), answer).shows(UNKNOWN)
        assert not Grant.objects.exists()

    def test_a_code_that_was_not_typed_here_cannot_be_answered(self, alice, asked):
        """A forged form could not name what the person has not claimed, either."""
        token = alice.browser.open("/device").fields["csrfmiddlewaretoken"]
        answer = {"csrfmiddlewaretoken": token, "user_code": asked.user_code, "allow": "yes"}
        assert alice.browser.submit(url_of("device_confirm"), answer).shows(UNKNOWN)
        assert not Grant.objects.exists()

    def test_a_forged_post_types_nothing(self, alice, asked):
        page = alice.browser.submit(url_of("device"), {"user_code": asked.user_code})
        assert page.status == 403
        assert row_of(asked).user is None

    @pytest.mark.parametrize("answer", [{"allow": "yes"}, {"allow": "no"}, {"switch": "yes"}])
    def test_a_forged_post_decides_nothing(self, alice, asked, question, answer):
        page = alice.browser.submit(question.url, {"user_code": asked.user_code, **answer})
        assert page.status == 403
        assert page.shows("to your account?")
        assert row_of(asked).is_waiting

    def test_a_link_decides_nothing(self, alice, asked, question):
        alice.browser.open(f"{question.url}&allow=yes&scopes=openid&switch=yes")
        assert row_of(asked).is_waiting
        assert row_of(asked).user == alice.user

    @pytest.mark.parametrize("name", ["device", "device_confirm", "device_done"])
    def test_headers(self, alice, asked, question, name):
        if name == "device_done":
            question.deny()
        page = alice.browser.open(f"{url_of(name)}?user_code={asked.user_code}")
        assert "frame-ancestors 'none'" in page.response["Content-Security-Policy"]
        assert "default-src 'none'" in page.response["Content-Security-Policy"]
        assert page.response["X-Frame-Options"] == "DENY"
        assert page.response["Referrer-Policy"] == "same-origin"
        assert "no-store" in page.response["Cache-Control"]

    @pytest.mark.parametrize("name", ["device", "device_confirm", "device_done"])
    @pytest.mark.parametrize("method", ["put", "delete", "patch"])
    def test_other_methods(self, alice, name, method):
        assert getattr(alice.browser.http, method)(url_of(name)).status_code == 405

    def test_whoever_signs_in_next_in_this_browser_has_claimed_nothing(self, person, alice, asked, question):
        bob = person("bob")
        alice.browser.sign_out()
        alice.browser.sign_in(bob.username, bob.password)
        assert alice.browser.open(question.url).shows("<h1>Connect a device</h1>")
        assert question.allow().shows("<h1>Connect a device</h1>")
        assert not Grant.objects.exists()

    def test_disabling_the_client_ends_what_waits(self, television, question):
        television.row.enabled = False
        television.row.save()
        assert question.allow().shows(UNKNOWN)
        assert not Grant.objects.exists()

    def test_a_scope_taken_from_the_client_is_not_granted(self, television, question):
        television.row.identity_resources.remove(television.row.identity_resources.get(name="email"))
        question.allow()
        assert not Grant.objects.exists()


def test_requests_that_were_begun_elsewhere_are_told_apart(alice, television, relying_party):
    """Two devices in two tabs."""
    other = relying_party(name="Printer", allowed_grant_types=["authorization_code", GrantType.DEVICE_CODE.value])
    asked = [device.device_authorization() for device in (television, other)]
    pages = [alice.browser.enter_user_code(found.user_code) for found in asked]
    assert pages[1].shows("Printer")
    pages[0].allow()
    pages[1].deny()
    television.poll(asked[0].device_code).succeeds()
    other.poll(asked[1].device_code).fails_with("access_denied")
