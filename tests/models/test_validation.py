"""What may be registered: each rule names the field, and says what to do about it.

Redirect URIs that come with a request are in ``tests/attacks/test_redirect_uris.py``.
"""

import pytest
from django.core.exceptions import ValidationError

from identityserver.clients import find_client
from identityserver.models import ApiResource, ApiScope, Client, IdentityResource

pytestmark = pytest.mark.django_db

REDIRECT = "https://app.example/callback"


def problems(row):
    """The fields that a form would mark."""
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def client(**fields):
    return Client(**{"name": "App", "redirect_uris": [REDIRECT], **fields})


class TestRedirectUris:
    """RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1 and §2.6."""

    @pytest.mark.parametrize(
        "uri",
        [
            REDIRECT,
            "https://app.example",
            "https://app.example:8443/callback?tenant=1",
            "https://xn--bcher-kva.example/callback",
            "https://192.0.2.1/callback",
            "https://[2001:db8::1]/callback",
            "http://localhost:3000/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:8000/callback",
            "com.example.app:/callback",
            "com.example.app://callback",
        ],
    )
    def test_good_ones(self, uri):
        assert problems(client(redirect_uris=[uri])) == {}

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            " ",
            "callback",
            "/callback",
            "//app.example/callback",
            "http://app.example/callback",
            "https://app.example/callback#",
            "https://app.example/callback#x",
            "https://*.example/callback",
            "https://app.example/*",
            "https://user:password@app.example/callback",
            "https://user@app.example/callback",
            "https://app.example:99999/callback",
            "https://[::1/callback",
            "https://app..example/callback",
            "https://-app.example/callback",
            "https:///callback",
            "https:app.example",
            "https://app.example/a b",
            "https://app.example/\\callback",
            "https://app.example/\tcallback",
            "https://app.example/%0d%0aLocation:x",
            "https://app.example/%zz",
            "https://bücher.example/callback",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://app.example/x",
            "about:blank",
            "myapp:/callback",
            "x" * 2001,
        ],
    )
    def test_bad_ones(self, uri):
        assert problems(client(redirect_uris=[uri])).keys() == {"redirect_uris"}
        assert problems(client(post_logout_redirect_uris=[uri])).keys() == {"post_logout_redirect_uris"}

    @pytest.mark.parametrize(
        ("uri", "reason"), [("http://app.example/", "Use https"), ("https://*.example/", "Wildcards are not allowed")]
    )
    def test_the_message_names_the_entry_and_the_reason(self, uri, reason):
        (message,) = problems(client(redirect_uris=[REDIRECT, uri]))["redirect_uris"]
        assert message.startswith(f"{uri}: {reason}")


class TestOrigins:
    """Fetch §3.1: scheme, host and port."""

    @pytest.mark.parametrize("origin", ["https://app.example", "https://app.example:8443", "http://localhost:3000"])
    def test_good_ones(self, origin):
        assert problems(client(allowed_cors_origins=[origin])) == {}

    @pytest.mark.parametrize(
        "origin", ["*", "null", "https://app.example/", "https://APP.example", "http://app.example", "app.example"]
    )
    def test_bad_ones(self, origin):
        assert problems(client(allowed_cors_origins=[origin])).keys() == {"allowed_cors_origins"}


class TestClient:
    """Combinations that cannot work, or would not be safe."""

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"redirect_uris": []}, "redirect_uris"),
            ({"token_endpoint_auth_method": "none", "require_pkce": False}, "require_pkce"),
            (
                {"token_endpoint_auth_method": "none", "allowed_grant_types": ["client_credentials"]},
                "allowed_grant_types",
            ),
            ({"allow_offline_access": True}, "allow_offline_access"),
            ({"allowed_grant_types": ["authorization_code", "refresh_token"]}, "allow_offline_access"),
            ({"claims": ["x"]}, "claims"),
            ({"translations": {"name": "x"}}, "translations"),
            ({"translations": {"name": {"de": 1}}}, "translations"),
            ({"client_id": "a b"}, "client_id"),
            ({"client_id": "é"}, "client_id"),
            ({"client_id": "a\n"}, "client_id"),
            ({"client_id": "x" * 256}, "client_id"),
            ({"name": ""}, "name"),
            ({"logo_uri": "javascript:alert(1)"}, "logo_uri"),
            ({"policy_uri": "data:text/html,x"}, "policy_uri"),
            ({"token_endpoint_auth_method": "plain"}, "token_endpoint_auth_method"),
            ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
            ({"contacts": "a@example.com"}, "contacts"),
            ({"contacts": [1]}, "contacts"),
            ({"contacts": ["a", "a"]}, "contacts"),
            ({"contacts": ["a\x00"]}, "contacts"),
            ({"access_token_lifetime": -1}, "access_token_lifetime"),
            ({"access_token_lifetime": 0}, "access_token_lifetime"),
            ({"consent_lifetime": 0}, "consent_lifetime"),
        ],
    )
    def test_what_is_refused(self, fields, field):
        assert field in problems(client(**fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"client_id": "https://app.example/client"},
            {"token_endpoint_auth_method": "none"},
            {"allowed_grant_types": ["client_credentials"], "redirect_uris": []},
            {"allow_offline_access": True, "allowed_grant_types": ["authorization_code", "refresh_token"]},
            {"translations": {"name": {"de": "Notizbuch"}}},
        ],
    )
    def test_what_is_fine(self, fields):
        assert problems(client(**fields)) == {}

    def test_a_row_that_breaks_a_rule_is_not_served(self):
        """Rows also come by SQL, fixtures and imports: validity is judged on load as well."""
        row = client()
        row.save()
        assert find_client(row.client_id) is not None
        Client.objects.update(redirect_uris=["javascript:alert(1)"])
        assert find_client(row.client_id) is None

    @pytest.mark.parametrize(
        "demand",
        [
            {"require_dpop": True},
            {"require_pushed_authorization_requests": True},
            {"require_signed_request_object": True},
            {"tls_client_certificate_bound_access_tokens": True},
            {"introspection_encrypted_response_alg": "RSA-OAEP-256"},
            {"profile": "fapi2"},
            {"id_token_encrypted_response_alg": "RSA-OAEP"},
            {"enable_local_login": False},
            {"identity_provider_restrictions": ["corp"]},
            {"token_endpoint_auth_method": "tls_client_auth"},
        ],
    )
    def test_a_protection_that_is_not_served_is_not_left_out_silently(self, demand):
        row = client(**demand)
        row.save()
        assert find_client(row.client_id) is None


class TestScopes:
    """RFC 6749 §3.3, and names that are taken."""

    @pytest.mark.parametrize("name", ["notes.read", "https://api.example/read", "a:b", "urn:x:y", "!#[]~"])
    def test_good_names(self, name):
        assert problems(ApiScope(name=name)) == {}

    @pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\\b", "é", "a\n", "x" * 201])
    def test_bad_names(self, name):
        for row in (ApiScope(name=name), IdentityResource(name=name), ApiResource(name=name)):
            assert "name" in problems(row)

    @pytest.mark.parametrize("name", ["openid", "profile", "offline_access"])
    def test_names_that_openid_connect_has_taken(self, name):
        assert "name" in problems(ApiScope(name=name))

    def test_an_identity_resource_has_a_name_of_its_own(self):
        IdentityResource.objects.create(name="staff")
        assert "name" in problems(ApiScope(name="staff"))

    def test_and_so_has_an_api_scope(self):
        ApiScope.objects.create(name="notes")
        assert "name" in problems(IdentityResource(name="notes"))

    def test_offline_access_is_built_in(self):
        assert "name" in problems(IdentityResource(name="offline_access"))

    @pytest.mark.parametrize("permission", ["billing", "billing.", ".view", "billing.view invoice", "a.b.c"])
    def test_a_permission_is_an_app_and_a_codename(self, permission):
        assert "requires_permission" in problems(ApiScope(name="x", requires_permission=permission))

    def test_an_api_can_only_verify_algorithms_that_there_are(self):
        wrong = ApiResource(name="x", allowed_access_token_signing_algorithms=["none"])
        assert "allowed_access_token_signing_algorithms" in problems(wrong)


class TestSeeds:
    """OpenID Connect Core §5.4: the standard identity resources are there from the start."""

    def test_their_claims(self):
        seeded = {row.name: set(row.user_claims) for row in IdentityResource.objects.all()}
        assert seeded.keys() == {"openid", "profile", "email", "phone", "address"}
        assert seeded["openid"] == {"sub"}
        assert seeded["email"] == {"email", "email_verified"}
        assert {"name", "preferred_username", "updated_at", "zoneinfo"} <= seeded["profile"]

    def test_only_openid_is_required(self):
        assert [row.name for row in IdentityResource.objects.filter(required=True)] == ["openid"]
