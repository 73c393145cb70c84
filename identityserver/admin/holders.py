"""Pages of what authenticates by secrets: clients, and APIs that ask about tokens."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin import secrets
from identityserver.admin.base import ModelAdmin, ReadOnlyInline


class SecretInline(ReadOnlyInline):
    """Secrets by their first characters; deleting one revokes it at once."""

    fields = ["description", "created", "expires", "last_used"]
    readonly_fields = ["description", "created", "expires", "last_used"]
    can_delete = True
    verbose_name_plural = gettext_lazy("Secrets (delete one to revoke it)")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A secret is part of its holder."""
        return request.user.has_perm(f"identityserver.change_{self.parent_model._meta.model_name}")


class SecretHolderAdmin(ModelAdmin):
    """From the page of a holder one more secret is generated, and shown once."""

    def takes_secrets(self, holder: Any) -> bool:
        """Whether it authenticates by a secret."""
        return True

    def get_urls(self) -> list[URLPattern]:
        """The page that generates a secret comes before Django's, whose last takes any address."""
        view = self.admin_site.admin_view(self.secret_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_secret"
        return [path("<path:object_id>/secret/", view, name=name), *super().get_urls()]

    def secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Generate a secret and show it once."""
        holder = self.get_object(request, unquote(object_id))
        if holder is None:
            raise Http404
        if not self.has_change_permission(request, holder):
            raise PermissionDenied
        if not self.takes_secrets(holder):
            messages.error(request, _("This client does not authenticate by a secret."))
            return self._to_holder(holder)
        shown = secrets.generate_page(self, request, holder)
        if shown is None:
            secrets.tell_that_it_was_shown(request)
        return shown or self._to_holder(holder)

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """What is not there yet has no secrets."""
        return list(super().get_inlines(request, obj)) if obj is not None else []

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The page says whether a secret can be generated from it."""
        holder = kwargs.get("obj")
        context["takes_secrets"] = (
            holder is not None and self.takes_secrets(holder) and self.has_change_permission(request, holder)
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def _to_holder(self, holder: Any) -> HttpResponse:
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=[holder.pk], current_app=self.admin_site.name))
