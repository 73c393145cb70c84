from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView


class NotesView(APIView):
    """Notes of a person: the token needs the scope, and a user."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope, IsAuthenticated]
    required_scopes = ["notes.read"]

    def get(self, request):
        return Response({"notes_of": request.user.get_username()})


class StatisticsView(APIView):
    """Nobody's in particular: an application may ask in its own name."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["notes.read"]

    def get(self, request):
        return Response({"asked_by": request.auth.application.client_id})
