"""A provider and the APIs that trust it, in one deployment."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.decorators import protected_resource as dot_protected_resource
from oauth2_provider.views import ScopedProtectedResourceView

from tests.resource_server.documented import plain, rest


class NotesPage(ScopedProtectedResourceView):
    required_scopes = ["notes.read"]

    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"notes_of": request.resource_owner.get_username()})


def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.user.get_username()})


class Writable(rest.StatisticsView):
    def post(self, request):
        return self.get(request)


urlpatterns = [
    path("", include("identityserver.urls")),
    path("", include("identityserver.well_known_urls")),
    path("api/notes", rest.NotesView.as_view()),
    path("api/statistics", Writable.as_view()),
    path("api/plain", csrf_exempt(plain.notes)),
    path("api/page", NotesPage.as_view()),
    path("api/dot", dot_protected_resource()(whoami)),
    path("whoami", whoami),
]
