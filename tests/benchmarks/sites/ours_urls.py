"""The URLs of a site with this provider."""

from django.urls import include, path

urlpatterns = [
    path("", include("identityserver.urls")),
    path("", include("identityserver.well_known_urls")),
]
