"""Registering a client: what the presets decide, what ``identityserver_create_client`` prints and refuses."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from identityserver import jose
from identityserver.configuration.presets import PRESETS
from identityserver.models import ApiScope, Client, ClientSecret
from identityserver.vocabulary import Algorithm, GrantType

pytestmark = pytest.mark.django_db

CALLBACK = "https://app.example/callback"
WEB = f"--preset web --name Shop --redirect-uri {CALLBACK}"


def create(arguments: str) -> tuple[Client, dict[str, str]]:
    """The client that the command makes, and the lines of the ``.env`` file it prints."""
    output = StringIO()
    call_command("identityserver_create_client", *arguments.split(), stdout=output)
    lines = [line for line in output.getvalue().splitlines() if line and not line.startswith("#")]
    printed = dict(line.split("=", 1) for line in lines)
    return Client.objects.get(client_id=printed["OIDC_CLIENT_ID"]), printed


def refusal(arguments: str) -> str:
    """What the command says instead of making a client."""
    with pytest.raises(CommandError) as error:
        call_command("identityserver_create_client", *arguments.split())
    assert not Client.objects.exists()
    return str(error.value)


class TestPresets:
    def test_a_web_application_gets_the_code_grant_with_pkce_and_a_secret(self):
        client, printed = create(f"--preset web --name Shop --redirect-uri {CALLBACK}")
        assert client.name == "Shop"
        assert client.allowed_grant_types == ["authorization_code"]
        assert client.response_types == ["code"]
        assert client.token_endpoint_auth_method == "client_secret_basic"
        assert client.require_pkce
        assert client.redirect_uris == [CALLBACK]
        assert client.secrets.get().matches(printed["OIDC_CLIENT_SECRET"])
        assert scopes_of(client) == {"openid", "profile", "email"}

    def test_a_single_page_application_has_no_secret_and_may_call_from_its_origin(self):
        client, printed = create(
            "--preset spa --name Board --redirect-uri https://board.example/ "
            "--redirect-uri https://board.example/silent"
        )
        assert client.is_public
        assert client.require_pkce
        assert client.allowed_cors_origins == ["https://board.example"]
        assert "OIDC_CLIENT_SECRET" not in printed
        assert not ClientSecret.objects.exists()

    def test_a_native_application_may_return_to_loopback_or_its_own_scheme(self):
        """RFC 8252 §7."""
        client, _ = create(
            "--preset native --name Editor --redirect-uri http://127.0.0.1/callback "
            "--redirect-uri com.example.editor:/callback"
        )
        assert client.is_public
        assert client.application_type == "native"
        assert client.allowed_cors_origins == []

    def test_a_machine_has_a_secret_and_no_user(self):
        """RFC 6749 §4.4."""
        ApiScope.objects.create(name="reports")
        client, printed = create("--preset machine --name Nightly --scope reports")
        assert client.allowed_grant_types == ["client_credentials"]
        assert client.response_types == []
        assert scopes_of(client) == {"reports"}
        assert client.secrets.get().matches(printed["OIDC_CLIENT_SECRET"])

    def test_a_device_is_public_and_has_nowhere_to_return_to(self):
        """RFC 8628: people allow it on another device, and it stays connected."""
        client, printed = create("--preset device --name Television")
        assert client.is_public
        assert client.allowed_grant_types == [GrantType.DEVICE_CODE, GrantType.REFRESH_TOKEN]
        assert client.redirect_uris == client.response_types == []
        assert client.allow_offline_access
        assert scopes_of(client) == {"openid", "profile", "email"}
        assert "OIDC_CLIENT_SECRET" not in printed

    @pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
    def test_every_preset_makes_a_client_that_is_valid(self, preset):
        place = f"--redirect-uri {CALLBACK}" if preset.sends_people else ""
        client, _ = create(f"--preset {preset.name} --name Any {place}")
        client.full_clean()


class TestOptions:
    def test_offline_access_brings_refresh_tokens(self):
        client, _ = create(f"{WEB} --scope openid --scope offline_access")
        assert client.allow_offline_access
        assert client.allowed_grant_types == ["authorization_code", "refresh_token"]
        assert scopes_of(client) == {"openid"}

    def test_people_are_asked_for_consent_only_where_told_to(self):
        assert not create(WEB)[0].require_consent
        assert create(f"{WEB} --require-consent")[0].require_consent

    def test_identifier_and_return_address_after_logout_can_be_chosen(self):
        client, printed = create(f"{WEB} --client-id shop --post-logout-redirect-uri https://app.example/bye")
        assert printed["OIDC_CLIENT_ID"] == client.client_id == "shop"
        assert client.post_logout_redirect_uris == ["https://app.example/bye"]

    def test_a_client_with_a_key_of_its_own_gets_no_secret(self, tmp_path):
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": [jose.generate(Algorithm.ES256).public_jwk]}))
        client, printed = create(f"{WEB} --auth-method private_key_jwt --jwks-file {file}")
        assert client.token_endpoint_auth_method == "private_key_jwt"
        assert len(client.jwks["keys"]) == 1
        assert "OIDC_CLIENT_SECRET" not in printed
        assert not ClientSecret.objects.exists()

    def test_or_says_where_its_keys_are(self):
        client, _ = create(f"{WEB} --auth-method private_key_jwt --jwks-uri https://app.example/jwks")
        assert client.jwks_uri == "https://app.example/jwks"

    def test_a_secret_for_macs_can_be_recovered(self):
        client, printed = create(f"{WEB} --auth-method client_secret_jwt")
        assert client.secrets.get().decrypted().decode() == printed["OIDC_CLIENT_SECRET"]

    def test_it_prints_the_issuer_that_the_application_needs(self, settings):
        settings.IDENTITYSERVER = {"issuer": "https://id.example"}
        assert create(WEB)[1]["OIDC_ISSUER"] == "https://id.example"


class TestRefusals:
    """Each refusal names the option to change, and leaves nothing behind."""

    @pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
    def test_a_browser_application_is_given_nothing_to_keep(self, method):
        said = refusal(f"--preset spa --name Shop --redirect-uri https://shop.example/ --auth-method {method}")
        assert "--auth-method: A browser keeps no secret" in said

    def test_no_redirect_uri(self):
        assert refusal("--preset web --name Shop").startswith("--redirect-uri: ")

    @pytest.mark.parametrize(
        "uri",
        ["http://app.example/cb", "https://app.example/#cb", "javascript:alert(1)", "https://*.example/cb"],
    )
    def test_a_redirect_uri_that_cannot_be_trusted(self, uri):
        message = refusal(f"--preset web --name Shop --redirect-uri {uri}")
        assert message.startswith("--redirect-uri: ")
        assert uri in message

    def test_a_post_logout_redirect_uri_that_cannot_be_trusted(self):
        assert refusal(f"{WEB} --post-logout-redirect-uri bye").startswith("--post-logout-redirect-uri: ")

    def test_an_unknown_scope_with_the_nearest_that_exists(self):
        message = refusal(f"{WEB} --scope emial")
        assert message.startswith("--scope: ")
        assert "Did you mean email?" in message

    @pytest.mark.parametrize("preset", ["machine", "device"])
    def test_a_place_to_return_to_where_nobody_is_sent_back(self, preset):
        message = refusal(f"--preset {preset} --name Nightly --redirect-uri {CALLBACK}")
        assert message.startswith("--redirect-uri: ")

    @pytest.mark.parametrize("scope", ["openid", "offline_access"])
    def test_a_machine_that_wants_to_know_a_person(self, scope):
        assert refusal(f"--preset machine --name Nightly --scope {scope}").startswith("--scope: ")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ("--auth-method private_key_jwt", "--jwks-file: private_key_jwt needs a public key"),
            ("--jwks-uri http://app.example/jwks", "--jwks-uri: "),
            ("--jwks-file nowhere.json", "--jwks-file: nowhere.json cannot be read"),
            ("--jwks-file pyproject.toml", "--jwks-file: pyproject.toml cannot be read"),
        ],
    )
    def test_keys_that_cannot_be_used(self, options, said):
        assert refusal(f"{WEB} {options}").startswith(said)

    def test_a_private_key_is_not_taken(self, tmp_path):
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": [json.loads(jose.generate(Algorithm.ES256).private_jwk)]}))
        message = refusal(f"{WEB} --auth-method private_key_jwt --jwks-file {file}")
        assert "is private" in message

    def test_an_identifier_that_is_taken(self):
        create(f"{WEB} --client-id shop")
        with pytest.raises(CommandError, match="--client-id: "):
            create(f"{WEB} --client-id shop")
        assert Client.objects.count() == 1


def scopes_of(client: Client) -> set[str]:
    return {row.name for row in (*client.identity_resources.all(), *client.api_scopes.all())}
