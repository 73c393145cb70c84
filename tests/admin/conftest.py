from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client as HttpClient


@pytest.fixture
def staff(db) -> Callable[..., HttpClient]:
    """Sign staff in with the permissions named: ``staff("view_client")``."""

    def sign_in(*permissions: str, **browser: bool) -> HttpClient:
        user = get_user_model().objects.create_user(f"staff-{'-'.join(permissions)}"[:100], is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=permissions).exclude(content_type__app_label="oauth2_provider")
        )
        assert user.user_permissions.count() == len(permissions)
        http = HttpClient(**browser)
        http.force_login(user)
        return http

    return sign_in


@pytest.fixture
def administrator(db) -> HttpClient:
    """The browser of somebody who may do anything."""
    http = HttpClient()
    http.force_login(get_user_model().objects.create_superuser("root"))
    return http
