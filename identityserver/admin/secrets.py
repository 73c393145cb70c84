"""A new secret of a client or an API: made by a post, shown in the answer to it and nowhere else."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin import shown_once
from identityserver.admin.base import ModelAdmin
from identityserver.configuration.environment import api_environment_file, environment_file
from identityserver.models import ApiResource, ApiSecret, Client, ClientSecret

_FORM = "admin/identityserver/client/generate_secret.html"
_PAGE = "admin/identityserver/client/secret.html"
_PURPOSE = "generate_secret"
_LONGEST_LIFE = timedelta(days=3653)


Holder = Client | ApiResource


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """A secret that is about to be shown; it stays out of every repr, and so of exception reports."""

    holder: Holder
    value: str = field(repr=False)

    @property
    def identifier(self) -> str:
        """What the holder says that it is."""
        return self.holder.client_id if isinstance(self.holder, Client) else self.holder.name

    @property
    def environment(self) -> str:
        """The lines of a ``.env`` file."""
        if isinstance(self.holder, Client):
            return environment_file(self.holder, self.value)
        return api_environment_file(self.holder, self.value)


class GenerateSecretForm(forms.Form):
    """What a person may say about a new secret."""

    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Where it will be used, such as “production since May”."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    expires = forms.DateTimeField(
        label=gettext_lazy("Expires"),
        required=False,
        help_text=gettext_lazy("Blank: never."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    ticket = forms.CharField(widget=forms.HiddenInput, max_length=500)

    def clean_expires(self) -> datetime | None:
        """A moment to come, and one that databases in every time zone can hold."""
        expires: datetime | None = self.cleaned_data["expires"]
        now = timezone.now()
        if expires is not None and not now < expires <= now + _LONGEST_LIFE:
            raise ValidationError(_("Choose a time within the next ten years, or none."))
        return expires


def generate_page(model_admin: ModelAdmin, request: HttpRequest, holder: Holder) -> HttpResponse | None:
    """The form, or the secret that was asked for by it; ``None`` where that secret has been shown before."""
    purpose = f"{_PURPOSE} {holder._meta.model_name}"
    form = GenerateSecretForm(request.POST or None, initial={"ticket": shown_once.new_ticket(purpose, request, holder)})
    if not form.is_valid():
        return _page(model_admin, request, _FORM, holder, title=_("Generate a secret"), form=form)
    with transaction.atomic(using=router.db_for_write(ClientSecret)):
        if not shown_once.used_now(form.cleaned_data["ticket"], purpose, request, holder):
            return None
        given = {name: form.cleaned_data[name] for name in ("description", "expires")}
        return new_secret_page(model_admin, request, holder, **given)


def new_secret_page(
    model_admin: ModelAdmin, request: HttpRequest, holder: Holder, *, description: str = "", expires: Any = None
) -> HttpResponse:
    """Generate a secret and show it."""
    row, value = _generated(holder, description=description, expires=expires)
    model_admin.log_change(request, holder, [{"added": {"name": str(row._meta.verbose_name), "object": str(row)}}])
    new = NewSecret(holder=holder, value=value)
    return _page(model_admin, request, _PAGE, holder, title=_("The new secret"), new=new)


def _generated(holder: Holder, **given: Any) -> tuple[ClientSecret | ApiSecret, str]:
    if isinstance(holder, Client):
        return ClientSecret.generate(holder, recoverable=holder.keeps_secrets_recoverable, **given)
    return ApiSecret.generate(holder, **given)


def tell_that_it_was_shown(request: HttpRequest) -> None:
    """What a person reads who reloads the page of a secret."""
    said = _("A secret is shown only once, and this page has done so or is too old. You can generate another.")
    messages.warning(request, said)


def _page(model_admin: ModelAdmin, request: HttpRequest, template: str, holder: Holder, **context: Any) -> HttpResponse:
    return shown_once.page(model_admin.admin_site, request, template, holder._meta, original=holder, **context)
