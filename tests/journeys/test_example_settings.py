"""The example's settings, which people copy: what the environment must say, and what is safe without saying."""

import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.journeys.demo_process import a_users_environment

PRODUCTION = {
    "SECRET_KEY": "a-long-random-text-that-nobody-else-knows-0123456789-abcdefghij",
    "ISSUER": "https://id.example.com",
    "ALLOWED_HOSTS": "id.example.com",
    "KEY_ENCRYPTION_KEYS": "another-long-random-text-that-nobody-else-knows-0123456789",
}
Settings = Callable[..., Mapping[str, Any]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Reads the settings in an environment of their own."""

    def read(**environment: str) -> Mapping[str, Any]:
        for name in ("DEBUG", "DATABASE_URL", "DATABASE_POOL_SIZE", "CACHE_URL", *PRODUCTION):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_module("example_project.settings")

    return read


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ISSUER"])
def test_what_only_the_site_can_know_must_be_given(read: Settings, missing: str):
    with pytest.raises(ImproperlyConfigured, match=missing):
        read(**{name: value for name, value in PRODUCTION.items() if name != missing})


def test_production_is_the_default(read: Settings):
    settings = read(**PRODUCTION)
    assert settings["DEBUG"] is False
    assert settings["SECURE_SSL_REDIRECT"]
    assert settings["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert "SECURE_PROXY_SSL_HEADER" not in settings  # it is trusted only where a proxy is known to set it
    assert settings["PASSWORD_HASHERS"][0].endswith("Argon2PasswordHasher")


def test_sqlite_waits_for_its_lock_and_writes_ahead(read: Settings):
    database = read(**PRODUCTION)["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] >= 5
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


def test_nobody_waits_long_for_postgresql(read: Settings):
    database = read(**PRODUCTION, DATABASE_URL="postgresql://me:p%40ss@db.example/site")["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["NAME"], database["USER"], database["PASSWORD"]) == ("site", "me", "p@ss")
    assert database["CONN_HEALTH_CHECKS"]
    assert database["CONN_MAX_AGE"] == 60
    assert database["OPTIONS"]["connect_timeout"] <= 3
    assert "statement_timeout=2500" in database["OPTIONS"]["options"]
    assert "pool" not in database["OPTIONS"]


def test_a_pool_keeps_the_connections_where_one_is_asked_for(read: Settings):
    environment = {"DATABASE_URL": "postgresql://db.example/site", "DATABASE_POOL_SIZE": "4"}
    database = read(**PRODUCTION, **environment)["DATABASES"]["default"]
    assert database["OPTIONS"]["pool"] == {"min_size": 1, "max_size": 4, "timeout": 2}
    assert database["CONN_MAX_AGE"] == 0  # Django refuses a pool with persistent connections


def test_the_url_may_say_it_otherwise(read: Settings):
    url = "postgresql://db.example/site?connect_timeout=1&sslmode=verify-full"
    options = read(**PRODUCTION, DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    assert options["connect_timeout"] == 1
    assert options["sslmode"] == "verify-full"


def test_the_checks_for_deployment_find_only_what_the_owner_of_the_domain_decides():
    """``security.W005`` and ``W021``: whether HSTS also binds every subdomain."""
    shared = {"CACHE_URL": "dbcache://cache"}  # the default counts attempts in each process, which a check says
    environment = PRODUCTION | shared | {"DJANGO_SETTINGS_MODULE": "example_project.settings"}
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=a_users_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {line.split()[1].strip(":()") for line in checked.stderr.splitlines() if line.startswith("?: (")}
    assert found == {"security.W005", "security.W021"}, checked.stderr
