"""Settings of the application. It has no database: what it knows about a person is in the session."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent

env = environ.Env()

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.str("SECRET_KEY")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])

# What `manage.py identityserver_create_client` printed, and the API to call.
OIDC_ISSUER: str = env.str("OIDC_ISSUER")
OIDC_CLIENT_ID: str = env.str("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET: str = env.str("OIDC_CLIENT_SECRET")
NOTES_API: str = env.str("NOTES_API")

INSTALLED_APPS = [
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "example_project.relying_party",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.relying_party.middleware.page_headers",
    "example_project.relying_party.traffic.record_traffic",
]
ROOT_URLCONF = "example_project.relying_party.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.contrib.messages.context_processors.messages"]},
    },
]

# Tokens stay on the server: files hold the sessions, and the browser only their key.
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH: str = env.str("SESSION_DIRECTORY")
Path(SESSION_FILE_PATH).mkdir(mode=0o700, parents=True, exist_ok=True)
SESSION_COOKIE_NAME = "field_notes_session"
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_NAME = "field_notes_csrf"
CSRF_COOKIE_SECURE = not DEBUG
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

STATIC_URL = "static/"
USE_TZ = True
