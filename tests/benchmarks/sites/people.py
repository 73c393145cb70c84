"""People with a browser each, signed in by Django's own means."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.backends import ModelBackend
from django.test import RequestFactory

from tests.benchmarks.peers.base import PEOPLE


def users() -> list[Any]:
    """As many as there are connections, of whom a site knows name and e-mail address."""
    names = [f"person{number}" for number in range(PEOPLE)]
    return [
        get_user_model()._default_manager.create_user(
            name, email=f"{name}@example.com", first_name=name.title(), last_name="Adams"
        )
        for name in names
    ]


def signed_in(user: Any) -> Any:
    """The Django session of a browser in which ``user`` has just signed in."""
    request = RequestFactory().get("/")
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, user, backend=f"{ModelBackend.__module__}.{ModelBackend.__name__}")
    request.session.save()
    return request.session


def cookie(session: Any) -> str:
    """The Cookie header that brings it."""
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
