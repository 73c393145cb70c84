"""The URLs of a site with django-oauth-toolkit's authorization server."""

from django.urls import include, path

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
