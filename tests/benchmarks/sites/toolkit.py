"""Settings of a site with django-oauth-toolkit's authorization server."""

import os

from tests.benchmarks.sites.common import *  # noqa: F403  Django's own idiom
from tests.benchmarks.sites.common import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "oauth2_provider"]
ROOT_URLCONF = "tests.benchmarks.sites.toolkit_urls"
LOGIN_URL = "/login/"
OAUTH2_PROVIDER = {
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": os.environ["BENCHMARK_RSA_KEY"],
    "OAUTH2_VALIDATOR_CLASS": "tests.benchmarks.sites.toolkit_validator.Validator",
    "SCOPES": {name: name for name in ("openid", "profile", "email", "offline_access", "introspection", "es256.read")},
    "DEFAULT_SCOPES": ["openid"],
    "REQUEST_APPROVAL_PROMPT": "auto",  # a consent that was given is not asked for again
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 600,
}
