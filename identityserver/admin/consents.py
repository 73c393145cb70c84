"""Consents: what users have allowed clients. Deleting one withdraws it, and what was issued on it ends."""

from typing import Any

from django.contrib import admin
from django.db import models, router, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from identityserver.admin.base import OperationAdmin, named_client, named_user
from identityserver.models import Consent, Grant

WITHDRAWN_BY_STAFF = "consent_withdrawn_by_staff"


@admin.register(Consent)
class ConsentAdmin(OperationAdmin):
    """To look at and to withdraw."""

    fields = ["user", "client", "scopes", "claims", "resources", "created", "expires"]
    list_display = ["user", "client", "allowed_scopes", "created", "expires"]
    list_select_related = ["user", "client"]
    search_fields = ["pk"]
    search_help_text = gettext_lazy("A user name or a client ID, in full.")
    ordering = ["-pk"]
    sortable_by = ()

    @admin.display(description=gettext_lazy("scopes"))
    def allowed_scopes(self, consent: Consent) -> str:
        """The scopes in one line."""
        return " ".join(consent.scopes)

    def may_delete(self, request: HttpRequest) -> bool:
        """Whoever may delete consents may withdraw them."""
        return request.user.has_perm("identityserver.delete_consent")

    def delete_model(self, request: HttpRequest, obj: Consent) -> None:
        """Withdraw one."""
        _withdraw([obj])

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Withdraw those selected."""
        _withdraw(list(queryset))

    def matching(self, term: str) -> Q:
        """A user name or a client_id."""
        return named_user(term) | named_client(term)


def _withdraw(consents: list[Consent]) -> None:
    """All or none: a consent that is gone must leave no grant behind."""
    with transaction.atomic(using=router.db_for_write(Consent)):
        for consent in consents:
            consent.delete()
            for grant in Grant.objects.filter(user=consent.user_id, client=consent.client_id, revoked_at=None):
                grant.revoke(WITHDRAWN_BY_STAFF)
