"""Addresses of the example site: its home page, the admin, the API, and the provider's two lines."""

from django.contrib import admin
from django.urls import include, path

from example_project.views import favicon, home

urlpatterns = [
    path("", home, name="home"),
    path("favicon.ico", favicon),
    path("admin/", admin.site.urls),
    path("api/", include("example_project.notes.urls")),
    path("", include("identityserver.urls")),
    path("", include("identityserver.well_known_urls")),
]
