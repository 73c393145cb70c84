"""Settings of the example site, read from the environment (or a ``.env`` file beside ``manage.py``).

Required: ``SECRET_KEY``, ``ISSUER`` and ``ALLOWED_HOSTS``. The rest has a default that is safe in production.
``example_project.demo.settings`` fills them in for a developer's machine.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "oauth2_provider",  # Django OAuth Toolkit: its classes protect the API of ``example_project.notes``
    "rest_framework",
    "identityserver",
    "example_project",
    "example_project.notes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "identityserver.web.session.UserSessionMiddleware",  # signs out whose session has ended elsewhere
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- The identity provider ----------------------------------------------------------------------------------

IDENTITYSERVER = {
    "issuer": env.str("ISSUER"),
    "site_name": env.str("SITE_NAME", default="Example Identity"),
    "logo_url": "/static/example_project/logo.svg",
    "resource_server_audiences": ["notes"],  # the API below accepts tokens that were issued for it, and no others
    "trusted_proxy_count": env.int("TRUSTED_PROXY_COUNT", default=0),
}
if key_encryption_keys := env.list("KEY_ENCRYPTION_KEYS", default=[]):
    IDENTITYSERVER["key_encryption_keys"] = key_encryption_keys

# Django OAuth Toolkit's classes accept the provider's tokens through these two.
OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "identityserver.resource_server.validators.ResourceServerValidator",
    "OAUTH2_SERVER_CLASS": "identityserver.resource_server.server.ResourceServer",
    "ERROR_RESPONSE_WITH_SCOPES": True,  # a refusal names the scope that the token lacks
}
# Its checks W001 to W010 judge its own authorization server, which is not mounted here (identityserver.E008).
SILENCED_SYSTEM_CHECKS = [f"oauth2_provider.W{number:03}" for number in range(1, 11)]

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}

# --- Storage ------------------------------------------------------------------------------------------------


def database() -> dict[str, Any]:
    """The database of ``DATABASE_URL`` (else SQLite), with limits on how long anybody may wait for it."""
    configured: dict[str, Any] = env.db_url("DATABASE_URL", default=f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}")
    given = configured.get("OPTIONS", {})
    if configured["ENGINE"].endswith("sqlite3"):
        return {**configured, "OPTIONS": {**SQLITE_OPTIONS, **given}}
    return {**configured, **postgresql_connections(), "OPTIONS": {**postgresql_options(), **given}}


# A writer takes its lock when its transaction begins: taken later, two of them can deadlock. The write-ahead
# log lets readers and the writer work side by side.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 5,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL",
}


def postgresql_options() -> dict[str, Any]:
    """Limits that let a request fail within three seconds, with a 503, where the database does not answer."""
    statement, lock = env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=2500), 2000
    options: dict[str, Any] = {
        "connect_timeout": env.int("DATABASE_CONNECT_TIMEOUT", default=2),
        "tcp_user_timeout": 3000,
        "options": f"-c statement_timeout={statement} -c lock_timeout={lock} "
        "-c idle_in_transaction_session_timeout=10000",
    }
    if size := env.int("DATABASE_POOL_SIZE", default=0):
        options["pool"] = {"min_size": 1, "max_size": size, "timeout": 2}
    return options


def postgresql_connections() -> dict[str, Any]:
    """One checked connection per thread; or, with ``DATABASE_POOL_SIZE``, a pool that the threads share."""
    pooled = env.int("DATABASE_POOL_SIZE", default=0) > 0
    return {"CONN_MAX_AGE": 0 if pooled else 60, "CONN_HEALTH_CHECKS": True}


DATABASES = {"default": database()}
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People -------------------------------------------------------------------------------------------------

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "identityserver:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# --- Static files -------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Transport ----------------------------------------------------------------------------------------------

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would hide the session from requests that come from a client's site
CSRF_COOKIE_HTTPONLY = True
if not DEBUG:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
    SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"
if env.bool("TLS_TERMINATED_BY_PROXY", default=False):  # only where the proxy always sets or removes this header
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
