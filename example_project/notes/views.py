"""The protected API, written with the classes of Django OAuth Toolkit as any API may be.

That the tokens are the provider's is decided in the settings alone, by ``OAUTH2_PROVIDER``.
"""

from typing import Any

from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework import serializers
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import IsAuthenticated

from example_project.notes.models import Note


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["text", "created"]
        read_only_fields = ["created"]


class NotesView(ListCreateAPIView):
    """``GET`` lists the notes of the token's user (scope notes.read), ``POST`` adds one (notes.write)."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope, IsAuthenticated]  # a token of a machine has no user, and so no notes
    serializer_class = NoteSerializer

    @property
    def required_scopes(self) -> list[str]:
        return ["notes.write"] if self.request.method == "POST" else ["notes.read"]

    def get_queryset(self) -> Any:
        return Note.objects.filter(author=self.request.user)

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        serializer.save(author=self.request.user)
