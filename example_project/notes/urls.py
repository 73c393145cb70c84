from django.urls import path

from example_project.notes.views import NotesView

urlpatterns = [path("notes", NotesView.as_view(), name="notes")]
