"""Signing keys, to look at: the key ring makes and retires them. No private half is on any page."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.base import ModelAdmin
from identityserver.models import SigningKey


@admin.register(SigningKey)
class SigningKeyAdmin(ModelAdmin):
    """Announced, then active, then retired, each with its date."""

    fields = [
        "kid",
        "algorithm",
        "state",
        "announced_at",
        "activates_at",
        "retires_at",
        "deleted_at",
        "public_jwk",
    ]
    list_display = ["kid", "algorithm", "state", "announced_at", "activates_at", "retires_at"]
    list_filter = ["algorithm"]
    search_fields = ["kid"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: SigningKey) -> str:
        """Where the key is in its life."""
        now = timezone.now()
        if key.deleted_at is not None:
            return _("deleted")
        if key.signs_at(now):
            return _("active")
        return _("announced") if now < key.activates_at else _("retired")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The key ring makes keys."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a key."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A live token may need it."""
        return False
