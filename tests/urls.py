from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("identityserver.urls")),
    path("", include("identityserver.well_known_urls")),
    path("admin/", admin.site.urls),
]
