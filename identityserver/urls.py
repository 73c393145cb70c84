"""Everything under the prefix that the host chooses: ``path("", include("identityserver.urls"))``."""

from django.urls import include, path

from identityserver.endpoints import ENDPOINTS

app_name = "identityserver"

urlpatterns = [
    *(path(endpoint.path, endpoint.as_view(), name=endpoint.name) for endpoint in ENDPOINTS),
    path("", include("identityserver.pages.urls")),
]
