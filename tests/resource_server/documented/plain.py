from django.http import JsonResponse

from identityserver.resource_server.decorators import protected_resource


@protected_resource(scopes=["notes.read"])
def notes(request):
    return JsonResponse({"asked_by": request.access_token.application.client_id})
