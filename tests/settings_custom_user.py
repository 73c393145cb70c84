"""The same site with a user model of its own, whose primary key is a UUID."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = ["tests.custom_user", *INSTALLED_APPS]  # noqa: F405
AUTH_USER_MODEL = "custom_user.User"
