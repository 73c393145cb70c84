"""A Django site that signs people in with mozilla-django-oidc: ``python -m tests.journeys.mozilla_site``.

A process of its own, since it is another site with other settings, users and cookies. The environment says who
the provider is; the address to open is the first line it prints.
"""

import os
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, JsonResponse
from django.urls import include, path


def who(request: HttpRequest) -> JsonResponse:
    """Who is signed in, as this site knows them."""
    user = request.user
    return JsonResponse({"username": user.get_username(), "email": getattr(user, "email", "")})


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing of requests."""


def configure(provider: str, directory: Path) -> None:
    settings.configure(
        SECRET_KEY="of-the-relying-party",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="__main__",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "db.sqlite3"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "mozilla_django_oidc",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
        USE_TZ=True,
        SESSION_COOKIE_NAME="relying_party",
        LOGIN_REDIRECT_URL="/",
        LOGIN_REDIRECT_URL_FAILURE="/failed",
        OIDC_RP_CLIENT_ID=os.environ["CLIENT_ID"],
        OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
        OIDC_RP_SIGN_ALGO=os.environ["SIGN_ALGO"],
        OIDC_RP_SCOPES="openid email profile",
        OIDC_USE_PKCE=True,
        OIDC_OP_JWKS_ENDPOINT=f"{provider}/.well-known/openid-configuration/jwks",
        OIDC_OP_AUTHORIZATION_ENDPOINT=f"{provider}/connect/authorize",
        OIDC_OP_TOKEN_ENDPOINT=f"{provider}/connect/token",
        OIDC_OP_USER_ENDPOINT=f"{provider}/connect/userinfo",
    )
    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    from django.core.wsgi import get_wsgi_application

    configure(os.environ["PROVIDER"], Path(os.environ["DIRECTORY"]))
    urlpatterns = [path("", who), path("oidc/", include("mozilla_django_oidc.urls"))]
    with make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application(), handler_class=Quiet) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
