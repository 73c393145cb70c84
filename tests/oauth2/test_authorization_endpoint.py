"""The authorization endpoint: RFC 6749 §3.1 and §4.1, RFC 9207, RFC 9700 §2.1."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client as HttpClient

from identityserver.models import AuthorizationCode, AuthorizationRequest, Event, Grant
from identityserver.testing import Browser
from identityserver.testing.relying_party import FORM
from tests.speaking import ISSUER, stored_rows, url_of

pytestmark = pytest.mark.django_db


def fragment_of(location):
    return dict(parse_qsl(urlsplit(location).fragment))


class TestRequest:
    """RFC 6749 §3.1, §4.1.1."""

    def test_a_signed_in_user_who_need_not_consent_sees_no_page(self, alice, web_app):
        page = alice.browser.authorize(web_app)
        assert page.status == 303
        assert page.location.startswith("https://app.example/callback?code=")

    def test_somebody_who_is_not_signed_in_signs_in_and_goes_on(self, person, web_app):
        bob = person("bob")
        page = bob.browser.authorize(web_app)
        assert page.shows("Sign in")
        code = page.sign_in(bob.username, bob.password).code
        web_app.redeem(code).succeeds()

    def test_it_may_come_as_a_form(self, alice, web_app):
        """§3.1: the authorization server MAY support POST; OpenID Connect Core §3.1.2.1: it MUST."""
        body = urlencode(web_app.authorization_parameters())
        response = alice.browser.http.post(url_of("authorization"), body, content_type=FORM)
        assert response.status_code == 303
        page = alice.browser.open(response.headers["Location"])
        web_app.redeem(page.code).succeeds()

    def test_a_cross_site_form_finds_the_session_although_it_carries_no_cookie(self, alice, web_app):
        """The browser leaves Lax cookies out of a cross-site POST, but not out of the redirect that follows."""
        body = urlencode(web_app.authorization_parameters(prompt="none"))
        without_cookies = HttpClient(enforce_csrf_checks=True)
        response = without_cookies.post(url_of("authorization"), body, content_type=FORM)
        for name, cookie in without_cookies.cookies.items():
            alice.browser.http.cookies[name] = cookie.value
        assert alice.browser.open(response.headers["Location"]).code

    def test_a_form_of_another_media_type_is_415(self, alice, web_app):
        response = alice.browser.http.post(url_of("authorization"), web_app.authorization_parameters())
        assert response.status_code == 415
        assert stored_rows()["AuthorizationRequest"] == 0

    def test_another_method_is_405_and_names_those_that_work(self, web_app):
        response = web_app.http.put(web_app.authorization_url())
        assert response.status_code == 405
        assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))

    def test_unknown_parameters_are_ignored(self, alice, web_app):
        """§3.1: the authorization server MUST ignore unrecognized request parameters."""
        assert alice.browser.authorize(web_app, flavour="vanilla", display="popup").code

    def test_a_parameter_without_a_value_counts_as_omitted(self, alice, web_app):
        """§3.1: parameters sent without a value MUST be treated as if they were omitted."""
        assert alice.browser.authorize(web_app, max_age="", prompt="", response_mode="", login_hint="").code

    def test_a_repeated_parameter_is_refused(self, alice, web_app):
        """§3.1: parameters MUST NOT be included more than once."""
        page = alice.browser.open(web_app.authorization_url() + "&scope=openid")
        assert page.status == 400
        assert page.shows("scope")

    def test_without_response_type_the_request_is_invalid(self, alice, web_app):
        assert alice.browser.authorize(web_app, response_type=None).error == "invalid_request"

    @pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "none", "CODE", "code code"])
    def test_a_response_type_that_nobody_may_use_is_unsupported(self, alice, web_app, response_type):
        """§4.1.2.1: unsupported_response_type."""
        assert alice.browser.authorize(web_app, response_type=response_type).error == "unsupported_response_type"

    def test_a_client_without_the_grant_may_not_ask_for_a_code(self, alice, relying_party):
        """§4.1.2.1: unauthorized_client."""
        machine = relying_party(allowed_grant_types=["client_credentials"])
        assert alice.browser.authorize(machine).error == "unauthorized_client"

    @pytest.mark.parametrize("scope", [None, "unknown", "openid unknown", "openid phone", "openid offline_access"])
    def test_a_scope_that_is_missing_unknown_or_not_allowed_is_refused(self, alice, web_app, scope):
        """§4.1.2.1: invalid_scope; nothing is granted silently in its place."""
        assert alice.browser.authorize(web_app, scope=scope).error == "invalid_scope"

    @pytest.mark.parametrize(
        ("parameter", "error"),
        [
            ("request", "request_not_supported"),
            ("request_uri", "request_uri_not_supported"),
            ("registration", "registration_not_supported"),
            ("authorization_details", "invalid_authorization_details"),
            ("dpop_jkt", "invalid_request"),
        ],
    )
    def test_what_is_not_supported_is_refused_by_its_own_error(self, alice, web_app, parameter, error):
        """OpenID Connect Core §3.1.2.6, §6; RFC 9396 §5: never silently ignored."""
        assert alice.browser.authorize(web_app, **{parameter: "[]"}).error == error

    def test_a_request_that_is_refused_leaves_nothing_behind(self, alice, web_app):
        before = stored_rows()
        alice.browser.authorize(web_app, scope="unknown")
        alice.browser.authorize(web_app, redirect_uri="https://evil.example/")
        assert stored_rows() == before


class TestClientAndRedirectUri:
    """RFC 6749 §3.1.2.4, §4.1.2.1; RFC 9700 §2.1: before both are trusted, no redirect."""

    @pytest.mark.parametrize("client_id", [None, "unknown", "x" * 255])
    def test_an_unknown_client_gets_a_page_and_no_redirect(self, alice, web_app, client_id):
        page = alice.browser.authorize(web_app, client_id=client_id)
        assert (page.status, page.location) == (400, "")
        assert page.shows("client_id")

    def test_a_disabled_client_is_as_unknown_as_one_that_never_was(self, alice, relying_party):
        page = alice.browser.authorize(relying_party(enabled=False))
        assert (page.status, page.location) == (400, "")
        assert page.shows("client_id")

    @pytest.mark.parametrize(
        "redirect_uri",
        ["https://app.example/callback/", "https://app.example/callback?x", "https://evil.example/", "x"],
    )
    def test_a_redirect_uri_matches_whole_or_not_at_all(self, alice, web_app, redirect_uri):
        """RFC 9700 §2.1; the person sees which parameter is at fault. More in ``tests/attacks``."""
        page = alice.browser.authorize(web_app, redirect_uri=redirect_uri)
        assert (page.status, page.location) == (400, "")
        assert page.shows("redirect_uri")

    def test_openid_connect_needs_the_redirect_uri_even_where_only_one_is_registered(self, alice, web_app):
        """OpenID Connect Core §3.1.2.1: redirect_uri is REQUIRED."""
        page = alice.browser.authorize(web_app, redirect_uri=None)
        assert (page.status, page.location) == (400, "")
        assert page.shows("redirect_uri")

    def test_plain_oauth_may_leave_out_the_only_one(self, alice, api, relying_party):
        """RFC 6749 §3.1.2.3; then the token request may leave it out, too (§4.1.3)."""
        client = relying_party(scopes="notes.read")
        page = alice.browser.authorize(client, redirect_uri=None)
        assert page.location.startswith("https://app.example/callback?")
        client.redeem(page.code, redirect_uri=None).succeeds()

    def test_with_several_registered_one_must_be_named(self, alice, api, relying_party):
        uris = ["https://app.example/a", "https://app.example/b"]
        client = relying_party(scopes="notes.read", redirect_uris=uris)
        assert alice.browser.authorize(client, redirect_uri=None).status == 400
        assert alice.browser.authorize(client, redirect_uri=uris[1]).location.startswith(f"{uris[1]}?")

    def test_the_query_of_a_registered_uri_is_kept(self, alice, relying_party):
        """§3.1.2: the endpoint URI MAY include a query, which MUST be retained."""
        client = relying_party(redirect_uris=["https://app.example/callback?tenant=7"])
        page = alice.browser.authorize(client)
        assert page.parameters["tenant"] == "7"
        client.redeem(page.code).succeeds()

    def test_custom_schemes_are_redirected_to(self, alice, relying_party):
        """RFC 8252 §7.1."""
        app = relying_party(
            redirect_uris=["com.example.app:/callback"],
            token_endpoint_auth_method="none",
            application_type="native",
        )
        page = alice.browser.authorize(app).allow()
        assert page.location.startswith("com.example.app:/callback?code=")

    def test_a_client_that_demands_what_is_not_served_is_refused_and_staff_learn_why(self, alice, web_app):
        """A protection that a registration asks for is never quietly left out."""
        type(web_app.row).objects.update(require_dpop=True)
        assert alice.browser.authorize(web_app).status == 400
        assert "require_dpop" in Event.objects.get(type="client_unusable").detail


class TestResponse:
    """RFC 6749 §4.1.2, RFC 9207 §2."""

    def test_the_code_has_128_bits_and_lives_for_a_minute(self, clock, alice, web_app):
        """§4.1.2, §10.10; kept as a digest only."""
        code = alice.browser.authorize(web_app).code
        row = AuthorizationCode.objects.get()
        assert len(code) >= 22
        assert (row.expires - clock.now()).total_seconds() == 60
        assert code not in row.digest

    @pytest.mark.parametrize("state", ["a b+c%&=#?/é\u2028", "x" * 4000, '{"a":"<script>"}', " "])
    def test_the_state_comes_back_as_it_was_sent(self, alice, web_app, state):
        assert alice.browser.authorize(web_app, state=state).parameters["state"] == state

    def test_without_a_state_none_comes_back(self, alice, web_app):
        assert "state" not in alice.browser.authorize(web_app, state=None).parameters

    def test_a_state_that_is_too_long_is_refused_and_never_cut(self, alice, web_app):
        page = alice.browser.authorize(web_app, state="x" * 4001)
        assert (page.status, page.location) == (400, "")
        assert page.shows("state")

    def test_the_issuer_is_in_every_response(self, alice, web_app):
        assert alice.browser.authorize(web_app).parameters["iss"] == ISSUER

    @pytest.mark.parametrize(
        "changes",
        [
            {"scope": "unknown"},
            {"response_type": "token"},
            {"code_challenge": None},
            {"prompt": "none", "max_age": "-1"},
            {"response_mode": "smoke_signals"},
            {"request": "x"},
        ],
    )
    def test_the_issuer_and_the_state_are_in_every_error(self, alice, web_app, changes):
        """RFC 9207 §2: in error responses, too."""
        page = alice.browser.authorize(web_app, **changes)
        assert page.error
        assert page.parameters["iss"] == ISSUER
        assert page.parameters["state"] == web_app.state
        assert "code" not in page.parameters

    def test_an_error_says_what_to_fix_and_staff_find_it_by_its_reference(self, alice, web_app):
        description = alice.browser.authorize(web_app, scope="openid unknown").parameters["error_description"]
        reference = description.partition("(reference ")[2].rstrip(")")
        event = Event.objects.get(reference=reference)
        assert (event.client, event.code) == (web_app.client_id, "invalid_scope")
        assert event.clause
        assert event.remedy

    def test_every_redirect_is_303_and_kept_by_nobody(self, alice, web_app, relying_party):
        """RFC 9700 §4.12: never 307; and no cache keeps a code."""
        for client in (web_app, relying_party(require_consent=True)):
            response = alice.browser.http.get(client.authorization_url())
            assert response.status_code == 303
            assert "no-store" in response["Cache-Control"]
            assert response["Referrer-Policy"] == "no-referrer"

    def test_a_code_is_never_given_to_scripts_of_other_origins(self, alice, relying_party):
        """Rule of the Fetch standard: this endpoint is for navigation only, even for registered origins."""
        client = relying_party(allowed_cors_origins=["https://app.example"])
        headers = {"Origin": "https://app.example"}
        for response in (
            alice.browser.http.get(client.authorization_url(), headers=headers),
            alice.browser.http.options(url_of("authorization"), headers=headers),
        ):
            assert not [name for name in response.headers if name.startswith("Access-Control")]


class TestResponseModes:
    """OAuth 2.0 Multiple Response Type Encoding Practices §2.1, Form Post Response Mode."""

    def test_query_is_the_default_for_a_code(self, alice, web_app):
        for mode in (None, "query"):
            assert "code=" in urlsplit(alice.browser.authorize(web_app, response_mode=mode).location).query

    def test_fragment(self, alice, web_app):
        location = alice.browser.authorize(web_app, response_mode="fragment").location
        assert urlsplit(location).query == ""
        assert fragment_of(location).keys() == {"code", "state", "iss"}

    def test_form_post_posts_what_the_redirect_would_carry(self, alice, web_app):
        page = alice.browser.authorize(web_app, response_mode="form_post")
        assert page.status == 200
        assert 'action="https://app.example/callback"' in page.text
        assert page.fields.keys() == {"code", "state", "iss"}
        web_app.redeem(page.code).succeeds()

    def test_form_post_is_kept_by_nobody_and_runs_no_inline_script(self, alice, web_app):
        """Form Post Response Mode §2; the page works without JavaScript, by its button."""
        page = alice.browser.authorize(web_app, response_mode="form_post")
        assert "no-store" in page.response["Cache-Control"]
        assert "unsafe-inline" not in page.response["Content-Security-Policy"]
        assert "form-action" not in page.response["Content-Security-Policy"]
        assert "<button" in page.text

    def test_form_post_escapes_what_the_client_sent(self, alice, web_app):
        state = '"><script>alert(1)</script>'
        page = alice.browser.authorize(web_app, response_mode="form_post", state=state)
        assert "<script>alert" not in page.text
        assert page.parameters["state"] == state

    @pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
    def test_errors_use_the_same_mode(self, alice, web_app, mode):
        page = alice.browser.authorize(web_app, response_mode=mode, scope="unknown")
        assert page.error == "invalid_scope"
        assert (fragment_of(page.location) != {}) == (mode == "fragment")
        assert (page.status == 200) == (mode == "form_post")

    @pytest.mark.parametrize("mode", ["smoke_signals", "QUERY", "jwt", "query.jwt"])
    def test_an_unknown_mode_is_invalid_and_told_in_the_default_one(self, alice, web_app, mode):
        page = alice.browser.authorize(web_app, response_mode=mode)
        assert page.error == "invalid_request"
        assert "error=" in urlsplit(page.location).query

    def test_the_mode_holds_after_the_pages_as_well(self, person, relying_party):
        client = relying_party(require_consent=True)
        bob = person("bob")
        page = bob.browser.authorize(client, response_mode="form_post").sign_in(bob.username, bob.password).allow()
        client.redeem(page.code).succeeds()


class TestPkce:
    """RFC 7636, RFC 9700 §2.1.1."""

    def test_a_request_without_a_challenge_is_refused(self, alice, web_app):
        page = alice.browser.authorize(web_app, code_challenge=None, code_challenge_method=None)
        assert page.error == "invalid_request"
        assert "code_challenge" in page.parameters["error_description"]

    @pytest.mark.parametrize("method", ["plain", "s256", "S512", None])
    def test_only_s256_is_good_enough(self, alice, web_app, method):
        """§4.3: without a method it would be plain, which protects nothing."""
        assert alice.browser.authorize(web_app, code_challenge_method=method).error == "invalid_request"

    @pytest.mark.parametrize("challenge", ["x", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "/"])
    def test_a_malformed_challenge_is_refused(self, alice, web_app, challenge):
        assert alice.browser.authorize(web_app, code_challenge=challenge).error == "invalid_request"

    def test_an_exempt_client_may_do_without(self, alice, relying_party):
        client = relying_party(require_pkce=False)
        code = alice.browser.authorize(client, code_challenge=None, code_challenge_method=None).code
        client.redeem(code, code_verifier=None).succeeds()

    def test_an_exempt_client_that_sends_a_challenge_is_held_to_it(self, alice, relying_party):
        client = relying_party(require_pkce=False)
        code = alice.browser.authorize(client).code
        client.redeem(code, code_verifier=None).fails_with("invalid_grant")
        client.redeem(code).succeeds()

    def test_a_method_without_a_challenge_is_a_mistake(self, alice, relying_party):
        client = relying_party(require_pkce=False)
        assert alice.browser.authorize(client, code_challenge=None).error == "invalid_request"


class TestPendingRequests:
    """RFC 9700 §4.7: a request that waits for a person belongs to the browser that made it."""

    def test_several_tabs_do_not_disturb_each_other(self, person, relying_party):
        bob = person("bob")
        first, second = (relying_party(require_consent=True, name=name) for name in ("First", "Second"))
        first_tab, second_tab = bob.browser.authorize(first), bob.browser.authorize(second)
        second_consent = second_tab.sign_in(bob.username, bob.password)
        first_consent = bob.browser.open(first_tab.url)
        assert first_consent.shows("First")
        first.redeem(first_consent.allow().code).succeeds()
        second.redeem(second_consent.allow().code).succeeds()

    def test_the_handle_is_worthless_in_another_browser(self, person, relying_party):
        client = relying_party(require_consent=True)
        page = person("bob").browser.authorize(client)
        mallory = person("mallory").sign_in()
        for name in ("login", "consent", "resume"):
            handle = page.url.partition("?")[2]
            stolen = mallory.browser.open(f"{url_of(name)}?{handle}")
            assert (stolen.status, stolen.location) == (400, "")
        assert AuthorizationCode.objects.count() == 0

    def test_another_browser_cannot_allow_either(self, person, relying_party):
        client = relying_party(require_consent=True)
        bob, mallory = person("bob").sign_in(), person("mallory").sign_in()
        page = bob.browser.authorize(client)
        own = mallory.browser.authorize(client)
        fields = {**own.fields, "request": page.fields["request"], "allow": "yes"}
        assert mallory.browser.submit(page.url, fields).status == 400
        assert AuthorizationRequest.objects.exclude(approved_sid="").count() == 0

    def test_an_answered_request_gets_a_page_with_a_way_on(self, alice, relying_party):
        client = relying_party(require_consent=True, name="Notebook")
        page = alice.browser.authorize(client)
        page.allow()
        again = page.allow()
        assert (again.status, again.location) == (400, "")
        assert again.shows("start again")
        assert again.shows("Return to Notebook")
        assert AuthorizationCode.objects.count() == 1

    def test_an_expired_request_gets_a_page_with_a_way_on(self, clock, alice, relying_party):
        client = relying_party(require_consent=True, name="Notebook")
        page = alice.browser.authorize(client)
        clock.forward(minutes=61)
        late = page.allow()
        assert (late.status, late.location) == (400, "")
        assert late.shows("start again")
        assert late.shows("Return to Notebook")

    def test_a_bookmarked_login_page_is_no_dead_end(self, person, web_app):
        bob = person("bob")
        url = bob.browser.authorize(web_app).url
        page = Browser().open(url)
        assert page.status == 400
        assert page.shows("start")

    @pytest.mark.parametrize("handle", ["", "x", "x" * 43, "%00" * 43, "\N{SNOWMAN}"])
    def test_a_handle_that_is_none_gets_the_same_page(self, person, web_app, handle):
        page = person("bob").browser.open(f"{url_of('resume')}?{urlencode({'request': handle})}")
        assert (page.status, page.location) == (400, "")

    def test_a_request_whose_client_is_disabled_meanwhile_is_over(self, alice, relying_party):
        client = relying_party(require_consent=True)
        page = alice.browser.authorize(client)
        client.row.enabled = False
        client.row.save()
        assert page.allow().status == 400
        assert AuthorizationCode.objects.count() == 0

    def test_the_forms_carry_only_the_handle(self, alice, relying_party, web_app):
        """Changing client, URI, scope, nonce or challenge in a form has no effect."""
        client = relying_party(require_consent=True, scopes="openid email")
        page = alice.browser.authorize(client, scope="openid")
        smuggled = {
            "client_id": web_app.client_id,
            "redirect_uri": "https://evil.example/",
            "scope": "openid email",
            "nonce": "other",
            "code_challenge": "x" * 43,
            "state": "other",
        }
        answer = page.submit(allow="yes", scopes=["openid", "email"], **smuggled)
        assert answer.location.startswith(client.redirect_uri)
        assert answer.parameters["state"] == client.state
        tokens = client.redeem(answer.code).succeeds()
        assert tokens.members["scope"] == "openid"
        assert tokens.id_token["nonce"] == client.nonce

    def test_the_stored_request_keeps_neither_handle_nor_cookie(self, person, web_app):
        page = person("bob").browser.authorize(web_app)
        row = AuthorizationRequest.objects.get()
        secrets = [page.fields["request"], *(cookie.value for cookie in page.browser.http.cookies.values())]
        assert not {row.digest, row.binding} & set(secrets)

    def test_the_binding_cookie_is_out_of_reach_for_scripts_and_other_sites(self, alice, relying_party):
        alice.browser.authorize(relying_party(require_consent=True))
        name = next(name for name in alice.browser.http.cookies if name.startswith("identityserver_"))
        cookie = alice.browser.http.cookies[name]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    def test_a_browser_never_collects_more_cookies_than_a_server_takes(self, alice, relying_party):
        client = relying_party(require_consent=True)
        for _ in range(24):
            alice.browser.http.get(client.authorization_url())
        page = alice.browser.authorize(client)
        kept = [cookie for cookie in alice.browser.http.cookies.values() if cookie.value]
        assert sum(len(cookie.key) + len(cookie.value) for cookie in kept) < 4000
        client.redeem(page.allow().code).succeeds()


class TestHead:
    """RFC 9110 §9.3.2 wants HEAD to be safe, and answering these requests is not."""

    @pytest.mark.parametrize("path", ["/connect/authorize", "/connect/authorize/resume", "/connect/endsession"])
    def test_who_only_looks_changes_nothing(self, alice, web_app, path):
        response = alice.browser.http.head(path, web_app.authorization_parameters())
        assert response.status_code == 405
        assert "HEAD" not in response["Allow"]
        assert not Grant.objects.exists()
