"""Initial access tokens: who may let clients register themselves (RFC 7591 §3)."""

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin import shown_once
from identityserver.admin.base import ModelAdmin
from identityserver.admin.secrets import GenerateSecretForm, tell_that_it_was_shown
from identityserver.conf import options
from identityserver.models import InitialAccessToken
from identityserver.vocabulary import RegistrationMode

_FORM = "admin/identityserver/initialaccesstoken/generate.html"
_PAGE = "admin/identityserver/initialaccesstoken/token.html"
_PURPOSE = "initial_access_token"

_MOST_USES = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that is about to be shown; it stays out of every repr, and so of exception reports."""

    value: str = field(repr=False)


class GenerateTokenForm(GenerateSecretForm):
    """What a person may say about a new token."""

    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Whom it is for."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    uses = forms.IntegerField(
        label=gettext_lazy("Uses"),
        min_value=1,
        max_value=_MOST_USES,
        required=False,
        help_text=gettext_lazy("How many clients it may register; blank: without limit."),
    )


@admin.register(InitialAccessToken)
class InitialAccessTokenAdmin(ModelAdmin):
    """Tokens by their first characters; deleting one ends it, and leaves the clients that registered with it."""

    fields = ["description", "prefix", "state", "created", "expires", "uses_left", "last_used"]
    readonly_fields = ["prefix", "state", "created", "expires", "uses_left", "last_used"]
    list_display = ["__str__", "prefix", "state", "expires", "uses_left", "last_used"]
    search_fields = ["description"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: InitialAccessToken) -> str:
        """Whether it lets anybody register anything."""
        if options().registration == RegistrationMode.OFF:
            return _("Of no use: the option registration is off.")
        if token.expires is not None and token.expires <= timezone.now():
            return _("expired")
        return _("used up") if token.uses_left == 0 else _("good")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, or the token that was asked for by it, which is shown once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = GenerateTokenForm(request.POST or None, initial={"ticket": shown_once.new_ticket(_PURPOSE, request)})
        if not form.is_valid():
            return self._page(request, _FORM, title=_("Generate an initial access token"), form=form)
        with transaction.atomic(using=router.db_for_write(InitialAccessToken)):
            if shown_once.used_now(form.cleaned_data["ticket"], _PURPOSE, request):
                return self._issued(request, form)
        tell_that_it_was_shown(request)
        page = reverse("admin:identityserver_initialaccesstoken_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(page)

    def _issued(self, request: HttpRequest, form: GenerateTokenForm) -> HttpResponse:
        given = {name: form.cleaned_data[name] for name in ("description", "expires", "uses")}
        row, value = InitialAccessToken.objects.issue(**given)
        self.log_addition(request, row, [{"added": {}}])
        return self._page(request, _PAGE, title=_("The new token"), original=row, new=NewToken(value=value))

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        return shown_once.page(self.admin_site, request, template, self.opts, **context)
