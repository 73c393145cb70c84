"""The pages of clients: what can be decided, what cannot, and what a person is told."""

import functools
import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from identityserver.clients import find_client
from identityserver.models import ApiScope, Client, ClientSecret, Consent, Grant, IdentityResource
from identityserver.models.client import new_client_id
from tests.admin.forms import Form, posted

pytestmark = pytest.mark.django_db

ADD = "/admin/identityserver/client/add/"
LIST = "/admin/identityserver/client/"

#: Fields that nothing honours yet, or that `unusable_because` refuses.
UNBUILT = {
    "authorization_details_types": "payment",
    "authorization_encrypted_response_alg": "RSA-OAEP-256",
    "authorization_encrypted_response_enc": "A128GCM",
    "authorization_signed_response_alg": "RS256",
    "back_channel_logout_session_required": "",
    "back_channel_logout_uri": "https://app.example/logout",
    "backchannel_client_notification_endpoint": "https://app.example/ciba",
    "backchannel_token_delivery_mode": "poll",
    "ciba_lifetime": "5",
    "default_acr_values": "x",
    "enable_local_login": "",
    "front_channel_logout_session_required": "",
    "front_channel_logout_uri": "https://app.example/logout",
    "id_token_encrypted_response_alg": "RSA-OAEP-256",
    "id_token_encrypted_response_enc": "A128GCM",
    "identity_provider_restrictions": "google",
    "initiate_login_uri": "https://app.example/login",
    "introspection_encrypted_response_alg": "RSA-OAEP-256",
    "introspection_encrypted_response_enc": "A128GCM",
    "profile": "fapi2-security",
    "pushed_request_lifetime": "5",
    "request_object_encryption_alg": "RSA-OAEP-256",
    "request_object_encryption_enc": "A128GCM",
    "request_object_signing_alg": "RS256",
    "request_uris": "https://app.example/request",
    "require_auth_time": "on",
    "require_dpop": "on",
    "require_pushed_authorization_requests": "on",
    "require_signed_request_object": "on",
    "source": "dcr",
    "tls_client_auth_san_dns": "app.example",
    "tls_client_auth_san_email": "app@app.example",
    "tls_client_auth_san_ip": "192.0.2.1",
    "tls_client_auth_san_uri": "https://app.example/",
    "tls_client_auth_subject_dn": "CN=app",
    "tls_client_certificate_bound_access_tokens": "on",
    "update_access_token_claims_on_refresh": "on",
    "userinfo_encrypted_response_alg": "RSA-OAEP-256",
    "userinfo_encrypted_response_enc": "A128GCM",
}


def page_of(client: Client) -> str:
    return reverse("admin:identityserver_client_change", args=[client.pk])


def said_of_use(response) -> str:
    """What a list of one client, or its page, says of whether it is served: a list has a "Yes" in its filters, too."""
    (said,) = re.findall(r"field-usable.*?>\s*(Yes|No: [^<]*)<", response.content.decode(), re.DOTALL)
    return html.unescape(said)


def web_app(**fields) -> Client:
    client = Client(name="Shop", redirect_uris=["https://app.example/callback"], **fields)
    client.save()
    return client


@functools.cache
def blank_form() -> dict[str, Any]:
    """The fields of the form of a new client: the same in every test, and a page of it costs as much as a test."""
    http = HttpClient()
    http.force_login(get_user_model().objects.create_superuser("who-looks-first"))
    return posted(http.get(ADD))


def new(http, **changes):
    """The answer to the form of a new client, filled in with what it needs and ``changes``."""
    needed = {"client_id": new_client_id(), "name": "Shop", "redirect_uris": "https://app.example/callback"}
    fields = {**blank_form(), **needed, **changes}
    return http.post(ADD, {name: value for name, value in fields.items() if value is not None})


def problems(response) -> dict[str, str]:
    """The messages of a form, by field."""
    assert response.status_code == 200, response
    assert "adminform" in response.context, response.content.decode()[:2000]
    errors = response.context["adminform"].form.errors
    return {field: " ".join(messages) for field, messages in errors.items()}


class TestForm:
    def test_a_client_as_it_is_proposed_needs_only_a_name_and_an_address(self, administrator):
        new(administrator)
        client = Client.objects.get()
        assert client.redirect_uris == ["https://app.example/callback"]
        assert client.allowed_grant_types == ["authorization_code"]
        assert client.response_types == ["code"]
        assert client.access_token_lifetime is None
        assert client.claims == client.translations == client.properties == {}

    def test_lists_are_edited_one_entry_per_line(self, administrator):
        client = web_app()
        page = administrator.get(page_of(client))
        uris = "https://a.example/cb\r\n\r\n  https://b.example/cb  "
        administrator.post(page_of(client), posted(page, redirect_uris=uris))
        client.refresh_from_db()
        assert client.redirect_uris == ["https://a.example/cb", "https://b.example/cb"]
        assert Form(administrator.get(page_of(client)).content.decode()).fields["redirect_uris"] == [
            "https://a.example/cb\nhttps://b.example/cb"
        ]

    def test_saving_without_a_change_changes_nothing(self, administrator):
        client = web_app(
            access_token_lifetime=60, coordinate_lifetime_with_user_session=False, claims={"tenant": "north"}
        )
        client.identity_resources.set(IdentityResource.objects.all())
        before = Client.objects.filter(pk=client.pk).values().get()
        response = administrator.post(page_of(client), posted(administrator.get(page_of(client))))
        assert response.status_code == 302, problems(response)
        after = Client.objects.filter(pk=client.pk).values().get()
        assert {**after, "updated": None} == {**before, "updated": None}
        assert client.identity_resources.count() == 5

    def test_what_does_nothing_today_is_not_shown_and_everything_else_is(self, administrator):
        fields = [*Client._meta.concrete_fields, *Client._meta.many_to_many]
        editable = {field.name for field in fields if field.editable} - {"id", "updated"}
        shown = set(administrator.get(ADD).context["adminform"].form.fields)
        assert shown == editable - UNBUILT.keys()

    def test_nor_is_it_taken(self, administrator):
        new(administrator, **UNBUILT)
        client, proposed = Client.objects.get(), Client()
        for field in UNBUILT:
            assert getattr(client, field) == getattr(proposed, field), field

    def test_every_blank_lifetime_names_the_default_it_stands_for(self, administrator, settings):
        settings.IDENTITYSERVER = {"issuer": "http://testserver", "access_token_lifetime": timedelta(minutes=20)}
        form = administrator.get(ADD).context["adminform"].form
        lifetimes = [name for name in form.fields if name.endswith("_lifetime")]
        assert len(lifetimes) == 8
        for name in lifetimes:
            assert "blank" in form.fields[name].help_text, name
        assert "1200 (0:20:00)" in form.fields["access_token_lifetime"].help_text

    def test_relations_are_searched_and_never_listed(self, administrator):
        ApiScope.objects.create(name="hidden.in.a.search")
        page = administrator.get(ADD).content.decode()
        assert "hidden.in.a.search" not in page
        assert page.count('class="admin-autocomplete"') == 3

    def test_a_scope_is_found_by_its_name(self, administrator):
        ApiScope.objects.create(name="notes.read")
        found = administrator.get(
            "/admin/autocomplete/",
            {"app_label": "identityserver", "model_name": "client", "field_name": "api_scopes", "term": "notes"},
        )
        assert [result["text"] for result in found.json()["results"]] == ["notes.read"]

    def test_the_identifier_stays(self, administrator):
        client = web_app(client_id="shop")
        page = administrator.get(page_of(client))
        assert "client_id" not in Form(page.content.decode()).names
        administrator.post(page_of(client), posted(page, client_id="other"))
        client.refresh_from_db()
        assert client.client_id == "shop"

    def test_a_machine_has_no_response_type(self, administrator):
        new(administrator, allowed_grant_types="client_credentials", redirect_uris="")
        assert Client.objects.get().response_types == []

    def test_a_method_that_is_not_supported_is_not_replaced_unasked(self, administrator):
        client = web_app(token_endpoint_auth_method="tls_client_auth")
        page = administrator.get(page_of(client))
        assert "token_endpoint_auth_method" in problems(administrator.post(page_of(client), posted(page)))

    def test_a_change_counts_at_once(self, administrator, django_capture_on_commit_callbacks):
        client = web_app(token_endpoint_auth_method="none")
        assert find_client(client.client_id).name == "Shop"
        with django_capture_on_commit_callbacks(execute=True):
            administrator.post(page_of(client), posted(administrator.get(page_of(client)), name="Store"))
        assert find_client(client.client_id).name == "Store"


class TestMessages:
    """What is wrong is said at the field that is wrong."""

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"redirect_uris": ""}, "redirect_uris"),
            ({"allowed_grant_types": None}, "allowed_grant_types"),
            ({"allowed_grant_types": "password"}, "allowed_grant_types"),
            ({"allowed_grant_types": "urn:ietf:params:oauth:grant-type:token-exchange"}, "token_exchange_audiences"),
            ({"token_exchange_audiences": "no-such-api"}, "token_exchange_audiences"),
            ({"token_exchange_sources": "no-such-api\x00"}, "token_exchange_sources"),
            (
                {"allowed_grant_types": "client_credentials", "token_endpoint_auth_method": "none"},
                "allowed_grant_types",
            ),
            ({"token_endpoint_auth_method": "none", "require_pkce": None}, "require_pkce"),
            ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
            ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
            ({"jwks": '{"keys": []}'}, "jwks"),
            ({"jwks_uri": "http://app.example/jwks"}, "jwks_uri"),
            (
                {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256"},
                "token_endpoint_auth_signing_alg",
            ),
            ({"allow_offline_access": "on"}, "allow_offline_access"),
            ({"claims": "[]"}, "claims"),
            ({"translations": '{"name": "Laden"}'}, "translations"),
            ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ],
    )
    def test_what_cannot_work(self, administrator, changes, field):
        assert field in problems(new(administrator, **changes))
        assert not Client.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[
                ("redirect_uris", uri)
                for uri in (
                    "javascript:alert(1)",
                    "JaVaScRiPt:alert(1)",
                    "data:text/html,x",
                    "vbscript:x",
                    "file:///etc/passwd",
                    "http://app.example/cb",
                    "https://*.example/cb",
                    "https://app.example/#x",
                    "https://user@app.example/",
                    "https://app.example:99999/",
                    "https://[::1/",
                    "https://app.example/\x00",
                    "https://app.example/%00",
                    "https://app.example\\@evil.example/",
                    "https://app.example/\u202e",
                    "https://app.example/" + "x" * 3000,
                    "//app.example/",
                    "callback",
                    "https://app.example/cb\nhttps://app.example/cb",
                )
            ],
            ("post_logout_redirect_uris", "javascript:alert(1)"),
            ("allowed_cors_origins", "https://app.example/"),
            ("allowed_cors_origins", "*"),
            ("contacts", "a\x00b"),
            ("name", "a\x00b"),
            ("name", "x" * 201),
            ("description", "a\x00b"),
            ("client_id", "a\x00b"),
            ("client_id", "two words"),
            ("client_id", "ä"),
            ("client_id", "x" * 256),
            ("client_uri", "javascript:alert(1)"),
            ("logo_uri", "data:image/svg+xml,x"),
            ("logo_uri", "https://app.example/" + "x" * 500),
            ("policy_uri", "https://app.example/\x00"),
            ("tos_uri", "https://[::1/"),
            ("client_claims_prefix", "a\x00"),
            *[
                (field, value)
                for field in ("claims", "properties", "translations")
                for value in (
                    '{"a": "\\u0000"}',
                    '{"\\u0000": 1}',
                    '{"a": "\\ud800"}',
                    '{"a": NaN}',
                    '{"a": -Infinity}',
                    '{"a": 1e999}',
                    '{"a": ' + "9" * 5000 + "}",
                    '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
                    '{"a": ' + "[" * 11 + "]" * 11 + "}",
                    '{"a": "' + "x" * 20_000 + '"}',
                    "{",
                    "\x00",
                )
            ],
            *[
                (field, value)
                for field in ("access_token_lifetime", "default_max_age", "consent_lifetime")
                for value in ("-1", "99999999999", "9" * 400, "1.5", "abc", "1\x00")
            ],
            ("access_token_lifetime", "0"),
            *[("api_scopes", value) for value in ("abc", "1\x00", "9" * 30, "-1", "99999999999")],
            *[("allowed_groups", value) for value in ("abc", "9" * 30)],
        ],
        ids=lambda value: ascii(value)[:40],
    )
    def test_hostile_input(self, administrator, field, value):
        """No value reaches the database that it cannot hold (PostgreSQL knows no NUL) or a browser should not see."""
        response = new(administrator, **{field: value})
        assert field in problems(response)
        assert not Client.objects.exists()

    def test_an_identifier_that_is_taken(self, administrator):
        web_app(client_id="shop")
        assert "client_id" in problems(new(administrator, client_id="shop"))


class TestList:
    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            (
                {"token_endpoint_auth_method": "none"},
                "No: It may ask for nothing: choose identity resources or API scopes.",
            ),
            ({"enabled": False}, "No: It is disabled."),
            ({}, "No: It has no secret, or none that has not expired."),
            (
                {"token_endpoint_auth_method": "none", "require_dpop": True},
                "No: This server does not support what the registration asks for: require_dpop.",
            ),
            (
                {"token_endpoint_auth_method": "none", "require_pkce": False},
                "No: require_pkce: A public client needs PKCE (RFC 9700 §2.1.1).",
            ),
        ],
    )
    def test_it_says_whether_a_client_is_served_and_why_not(self, administrator, fields, reason):
        client = web_app(**fields)
        for page in (LIST, page_of(client)):
            assert said_of_use(administrator.get(page)) == reason

    @pytest.mark.parametrize("scopes", ["identity_resources", "api_scopes"])
    def test_one_that_may_ask_for_something_is_served(self, administrator, scopes):
        client = web_app(token_endpoint_auth_method="none")
        ApiScope.objects.create(name="notes.read")
        related = getattr(client, scopes)
        related.add(related.model.objects.first())
        for page in (LIST, page_of(client)):
            assert said_of_use(administrator.get(page)) == "Yes"

    def test_an_expired_secret_is_none(self, administrator):
        client = web_app()
        client.identity_resources.add(IdentityResource.objects.get(name="openid"))
        ClientSecret.generate(client, expires=timezone.now() + timedelta(minutes=1))
        assert said_of_use(administrator.get(LIST)) == "Yes"
        client.secrets.update(expires=timezone.now() - timedelta(minutes=1))
        assert said_of_use(administrator.get(LIST)) == "No: It has no secret, or none that has not expired."

    def test_it_is_searched_and_filtered(self, administrator):
        web_app(client_id="alpha")
        web_app(client_id="beta", enabled=False)
        assert "beta" not in administrator.get(LIST, {"q": "alp"}).content.decode()
        assert "alpha" not in administrator.get(LIST, {"enabled__exact": "0"}).content.decode()

    def test_more_clients_cost_no_more_queries(self, administrator, django_assert_max_num_queries):
        for _ in range(20):
            ClientSecret.generate(web_app())
        with django_assert_max_num_queries(9):
            administrator.get(LIST)


class TestDeletion:
    def test_what_goes_with_a_client_is_counted_and_goes(self, administrator, alice):
        client = web_app()
        ClientSecret.generate(client)
        Consent.objects.create(user=alice.user, client=client)
        for _ in range(3):
            Grant.objects.create(client=client, user=alice.user, kind="x", expires=timezone.now())
        url = reverse("admin:identityserver_client_delete", args=[client.pk])
        assert "Grants: 3" in administrator.get(url).content.decode()
        administrator.post(url, {"post": "yes"})
        assert not Client.objects.exists()
        assert not Grant.objects.exists()

    def test_by_the_action_too(self, administrator):
        client = web_app()
        chosen = {"action": "delete_selected", "_selected_action": [client.pk], "post": "yes"}
        administrator.post(LIST, chosen)
        assert not Client.objects.exists()


class TestPermissions:
    def test_staff_without_permission_see_nothing(self, staff):
        client, http = web_app(), staff()
        for url in (LIST, ADD, page_of(client)):
            assert http.get(url).status_code == 403

    def test_staff_who_may_look_change_nothing(self, staff):
        client, http = web_app(), staff("view_client")
        page = http.get(page_of(client))
        assert page.status_code == 200
        assert "name" not in Form(page.content.decode()).names
        assert http.post(page_of(client), {"name": "Other"}).status_code == 403
        assert http.get(ADD).status_code == 403
        http.post(LIST, {"action": "delete_selected", "_selected_action": [client.pk], "post": "yes"})
        assert Client.objects.filter(name="Shop").exists()


class TestResponseTypes:
    """What puts tokens into the browser is a choice of its own; a code follows from its grant type."""

    def test_the_hybrid_flow_is_offered(self, administrator):
        new(administrator, response_types=["code id_token"])
        assert Client.objects.get().response_types == ["code", "code id_token"]

    def test_what_is_not_served_is_not(self, administrator):
        page = new(administrator, response_types=["token"])
        assert "Select a valid choice" in page.content.decode()

    def test_a_choice_is_shown_and_can_be_taken_back(self, administrator):
        client = web_app(response_types=["code", "code id_token"])
        page = administrator.get(page_of(client))
        assert page.context["adminform"].form.initial["response_types"] == ["code id_token"]
        administrator.post(page_of(client), posted(page, response_types=[]))
        client.refresh_from_db()
        assert client.response_types == ["code"]

    def test_pairwise_needs_a_sector_that_is_certain(self, administrator):
        page = new(administrator, subject_type="pairwise", redirect_uris="https://a.example/\nhttps://b.example/")
        assert "Pairwise subjects need it" in page.content.decode()

    def test_a_sector_document_that_cannot_be_had_confirms_nothing(self, administrator):
        page = new(administrator, subject_type="pairwise", sector_identifier_uri="https://sector.invalid/uris.json")
        assert "cannot be fetched" in page.content.decode()
