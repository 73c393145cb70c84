"""Settings of the test suite: a site that installs the app and decides nothing it need not decide.

``IDENTITYSERVER_TEST_DATABASE`` names the database: ``sqlite`` (the default), ``postgres`` (a server of the
run's own), or the ``postgresql://`` URL of a server that is there already.
"""

import os

from tests.databases import postgresql, sqlite

match os.environ.get("IDENTITYSERVER_TEST_DATABASE", "sqlite"):
    case "sqlite":
        DATABASES = {"default": sqlite()}
    case "postgres":
        DATABASES = {"default": postgresql()}
    case url:
        DATABASES = {"default": postgresql(url)}

SECRET_KEY = "only-the-tests-know-this-key"
IDENTITYSERVER = {"issuer": "http://testserver"}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "oauth2_provider",
    "rest_framework",
    "identityserver",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "identityserver.web.session.UserSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
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
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The suite makes hundreds of users; a hash that is slow on purpose would be most of its time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
