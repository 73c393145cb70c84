"""System checks: each finds what it is for, and is silent where all is well."""

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.db import ProgrammingError, connection
from django.http import HttpResponse
from django.urls import include, path
from oauth2_provider.views import TokenView

from identityserver import well_known_urls
from identityserver.models import Client
from identityserver.tokens.keys import signer
from tests.speaking import failing_database

pytestmark = pytest.mark.django_db

MIDDLEWARE = "identityserver.web.session.UserSessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
ISSUER = "https://id.example"


def found(*, deploy=False, databases=("default",)):
    """The ids of our findings."""
    messages = run_checks(databases=databases, include_deployment_checks=deploy)
    return {message.id.partition(".")[2] for message in messages if (message.id or "").startswith("identityserver.")}


@pytest.fixture(autouse=True)
def a_site_where_all_is_well(settings):
    settings.IDENTITYSERVER = {"issuer": ISSUER, "key_encryption_keys": ["a secret of its own"]}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
    settings.OAUTH2_PROVIDER = {
        "OAUTH2_VALIDATOR_CLASS": "identityserver.resource_server.validators.ResourceServerValidator"
    }


@pytest.fixture
def uninstall(monkeypatch):
    """Let an app seem not to be there; one that really is not would take this test's tables along."""

    def pretend(missing):
        is_installed = apps.is_installed
        monkeypatch.setattr(apps, "is_installed", lambda name: name != missing and is_installed(name))

    return pretend


def urls(*patterns):
    """A URLconf of these patterns."""
    return type("urlconf", (), {"urlpatterns": list(patterns)})


def test_where_all_is_well_nothing_is_found():
    assert found(deploy=True) == set()


class TestOptions:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"isuer": "x"},
            {"issuer": 1},
            {"claims_source": "nowhere.nothing"},
            {"subject_source": "nowhere.nothing"},
            {"key_protector": "nowhere.nothing"},
            {"event_sinks": ["nowhere.nothing"]},
            {"claim_functions": {"x": "nowhere.nothing"}},
        ],
    )
    def test_e001_an_unknown_name_a_wrong_type_or_a_path_that_leads_nowhere(self, settings, wrong):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, **wrong}
        assert "E001" in found(deploy=True)

    @pytest.mark.parametrize("option", ["access_token_signing_algorithm", "id_token_signing_algorithm"])
    @pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "RS1"])
    def test_e002_an_algorithm_that_is_not_supported(self, settings, option, algorithm):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, option: algorithm}
        assert "E002" in found()


class TestIssuer:
    def test_e003_none_is_set(self, settings):
        settings.IDENTITYSERVER = {}
        assert "E003" in found()
        settings.DEBUG = True
        assert "E003" not in found()

    @pytest.mark.parametrize(
        "issuer", ["id.example", "https://", f"{ISSUER}/", f"{ISSUER}?x=1", f"{ISSUER}#x", "https://id.example:99999"]
    )
    def test_e004_it_is_no_plain_address(self, settings, issuer):
        """RFC 8414 §2: no query, no fragment."""
        settings.IDENTITYSERVER = {"issuer": issuer}
        assert "E004" in found()

    def test_e005_it_is_not_https(self, settings):
        settings.IDENTITYSERVER = {"issuer": "http://id.example"}
        assert "E005" in found()
        settings.DEBUG = True
        assert "E005" not in found()

    @pytest.mark.parametrize("issuer", ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"])
    def test_http_will_do_on_this_machine(self, settings, issuer):
        settings.IDENTITYSERVER = {"issuer": issuer}
        assert "E005" not in found()


class TestUrls:
    def test_e006_they_are_not_included(self, settings):
        settings.ROOT_URLCONF = urls()
        assert "E006" in found()

    @pytest.mark.parametrize(("issuer", "prefix"), [(ISSUER, "id/"), (f"{ISSUER}/id", ""), (f"{ISSUER}/id", "oidc/")])
    def test_e007_they_are_elsewhere_than_the_issuer_says(self, settings, issuer, prefix):
        settings.IDENTITYSERVER = {"issuer": issuer}
        settings.ROOT_URLCONF = urls(path(prefix, include("identityserver.urls")))
        assert "E007" in found()

    @pytest.mark.parametrize(("issuer", "prefix"), [(ISSUER, ""), (f"{ISSUER}/id", "id/")])
    def test_they_are_where_the_issuer_says(self, settings, issuer, prefix):
        settings.IDENTITYSERVER = {"issuer": issuer}
        settings.ROOT_URLCONF = urls(path(prefix, include("identityserver.urls")))
        assert not {"E006", "E007"} & found()

    def test_a_prefix_that_the_issuer_lacks_needs_the_metadata_at_the_root(self, settings):
        patterns = path("id/", include("identityserver.urls")), path("", include(well_known_urls.urlpatterns))
        settings.ROOT_URLCONF = urls(*patterns)
        assert "E007" not in found()


class TestDjangoOAuthToolkit:
    def test_e008_its_own_endpoints_are_mounted_beside_ours(self, settings):
        ours = path("", include("identityserver.urls"))
        settings.ROOT_URLCONF = urls(ours, path("o/", include("oauth2_provider.urls")))
        assert "E008" in found()

    def test_e008_so_is_a_subclass_of_them(self, settings):
        class Own(TokenView):
            pass

        settings.ROOT_URLCONF = urls(path("", include("identityserver.urls")), path("o/token", Own.as_view()))
        assert "E008" in found()

    def test_views_of_the_host_are_nobody_s_business(self, settings):
        def token(request):
            return HttpResponse()

        settings.ROOT_URLCONF = urls(path("", include("identityserver.urls")), path("token", token))
        assert "E008" not in found()

    def test_e015_its_backend_takes_access_tokens_for_passwords(self, settings):
        settings.AUTHENTICATION_BACKENDS = ["oauth2_provider.backends.OAuth2Backend"]
        assert "E015" in found()

    def test_e016_our_validator_is_named_and_it_is_not_installed(self, uninstall):
        uninstall("oauth2_provider")
        assert "E016" in found()

    def test_w004_it_does_not_accept_our_tokens(self, settings):
        settings.OAUTH2_PROVIDER = {}
        assert "W004" in found()


class TestHost:
    @pytest.mark.parametrize("app", ["django.contrib.sessions", "django.contrib.auth", "django.contrib.contenttypes"])
    def test_e009_an_app_is_missing(self, uninstall, app):
        uninstall(app)
        assert "E009" in found()

    def test_e010_the_middleware_is_missing(self, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]
        assert "E010" in found()

    def test_e011_the_middleware_comes_too_early(self, settings):
        settings.MIDDLEWARE = [MIDDLEWARE, *(name for name in settings.MIDDLEWARE if name != MIDDLEWARE)]
        assert "E011" in found()

    def test_e011_or_what_it_follows_is_not_there(self, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != AUTHENTICATION]
        assert "E011" in found()

    def test_e012_times_have_no_zone(self, settings):
        settings.USE_TZ = False
        assert "E012" in found()

    def test_e013_users_are_in_another_database(self, settings):
        settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
        assert "E013" in found(databases=())


class Elsewhere:
    """A host's router that keeps our tables apart from the users'."""

    def db_for_write(self, model, **hints):
        return "other" if model is Client else None


class TestDatabase:
    @pytest.mark.parametrize("given", [{}, {"transaction_mode": "IMMEDIATE", "timeout": 1}, {"timeout": 20}])
    def test_w001_sqlite_gives_up_early(self, monkeypatch, given):
        monkeypatch.setattr(connection, "vendor", "sqlite")
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", given)
        assert "W001" in found()

    def test_sqlite_waits(self, monkeypatch):
        monkeypatch.setattr(connection, "vendor", "sqlite")
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"transaction_mode": "IMMEDIATE", "timeout": 20})
        assert "W001" not in found()

    def test_e014_a_key_cannot_be_decrypted(self, settings):
        signer("ES256")
        assert "E014" not in found()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": ["another"]}
        assert "E014" in found()

    def test_nor_a_secret_that_must_be_recovered(self, settings, relying_party):
        client = relying_party(token_endpoint_auth_method="client_secret_jwt")
        assert "E014" not in found()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "key_encryption_keys": ["another"]}
        said = " ".join(message.msg for message in run_checks(databases=["default"]))
        assert f"of the client {client.client_id} cannot be decrypted" in said

    def test_before_the_first_migration_nothing_is_said(self):
        """``check`` runs before ``migrate``: a table that is not there is no finding."""
        with failing_database(ProgrammingError):
            assert found() == set()


class TestDeployment:
    """``check --deploy``."""

    def test_w002_keys_are_sealed_under_secret_key(self, settings):
        settings.IDENTITYSERVER = {"issuer": ISSUER}
        assert "W002" in found(deploy=True)
        assert "W002" not in found()

    @pytest.mark.parametrize(
        "policy",
        [
            {"SECURE_CSP": {"form-action": ["'self'"]}},
            {"CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"form-action": ["'self'"]}}},
        ],
    )
    def test_w003_the_site_has_a_form_action(self, settings, policy):
        for name, value in policy.items():
            setattr(settings, name, value)
        assert "W003" in found(deploy=True)

    @pytest.mark.parametrize("policy", [{}, {"SECURE_CSP": {"default-src": ["'self'"]}}])
    def test_another_policy_is_fine(self, settings, policy):
        for name, value in policy.items():
            setattr(settings, name, value)
        assert "W003" not in found(deploy=True)

    @pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
    def test_w005_attempts_are_counted_in_each_process_apart(self, settings, backend):
        settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
        assert "W005" in found(deploy=True)
        assert "W005" not in found()
