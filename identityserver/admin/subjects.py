"""Subjects, to find out who a ``sub`` is."""

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from identityserver.admin.base import OperationAdmin, named_user
from identityserver.models import Subject


@admin.register(Subject)
class SubjectAdmin(OperationAdmin):
    """The ``sub`` of each user."""

    fields = ["user", "value"]
    list_display = ["value", "user"]
    list_select_related = ["user"]
    search_fields = ["value"]
    search_help_text = gettext_lazy("A user name or a sub, in full.")
    ordering = ["pk"]
    sortable_by = ()

    def matching(self, term: str) -> Q:
        """A user name or a sub."""
        return Q(value=term) | named_user(term)
