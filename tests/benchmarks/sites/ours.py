"""Settings of a site with this provider."""

from tests.benchmarks.sites.common import *  # noqa: F403  Django's own idiom
from tests.benchmarks.sites.common import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "identityserver"]
_after = MIDDLEWARE.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
MIDDLEWARE = [*MIDDLEWARE[:_after], "identityserver.web.session.UserSessionMiddleware", *MIDDLEWARE[_after:]]
ROOT_URLCONF = "tests.benchmarks.sites.ours_urls"
IDENTITYSERVER = {"issuer": "https://id.example"}
