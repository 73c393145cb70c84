"""A new client secret: made by a post, shown in the answer to it and nowhere else.

Reloading that answer posts again. A ticket in the form, good for one use, makes the second post a refusal,
so the secret need not wait in a session for the page after a redirect.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.base import ModelAdmin
from identityserver.configuration.environment import environment_file
from identityserver.models import Client, ClientSecret, UsedIdentifier

_FORM = "admin/identityserver/client/generate_secret.html"
_PAGE = "admin/identityserver/client/secret.html"
_PURPOSE = "generate_secret"
_TICKET_LIFETIME = timedelta(hours=1)
_LONGEST_LIFE = timedelta(days=3653)


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """A secret that is about to be shown; it stays out of every repr, and so of exception reports."""

    client: Client
    value: str = field(repr=False)

    @property
    def environment(self) -> str:
        """The lines of a ``.env`` file."""
        return environment_file(self.client, self.value)


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


def generate_page(model_admin: ModelAdmin, request: HttpRequest, client: Client) -> HttpResponse | None:
    """The form, or the secret that was asked for by it; ``None`` where that secret has been shown before."""
    form = GenerateSecretForm(request.POST or None, initial={"ticket": _new_ticket(request, client)})
    if not form.is_valid():
        return _page(model_admin.admin_site, request, _FORM, client, title=_("Generate a secret"), form=form)
    with transaction.atomic(using=router.db_for_write(ClientSecret)):
        if not _used_now(form.cleaned_data["ticket"], request, client):
            return None
        given = {name: form.cleaned_data[name] for name in ("description", "expires")}
        return new_secret_page(model_admin, request, client, **given)


def new_secret_page(
    model_admin: ModelAdmin, request: HttpRequest, client: Client, *, description: str = "", expires: Any = None
) -> HttpResponse:
    """Generate a secret and show it."""
    recoverable = client.keeps_secrets_recoverable
    row, value = ClientSecret.generate(client, description=description, expires=expires, recoverable=recoverable)
    model_admin.log_change(request, client, [{"added": {"name": _("client secret"), "object": str(row)}}])
    new = NewSecret(client=client, value=value)
    return _page(model_admin.admin_site, request, _PAGE, client, title=_("The new secret"), new=new)


def tell_that_it_was_shown(request: HttpRequest) -> None:
    """What a person reads who reloads the page of a secret."""
    said = _("A secret is shown only once, and this page has done so or is too old. You can generate another.")
    messages.warning(request, said)


def _page(site: AdminSite, request: HttpRequest, template: str, client: Client, **context: Any) -> HttpResponse:
    request.current_app = site.name  # as the views of Django’s admin do
    shared = {**site.each_context(request), "opts": Client._meta, "original": client}
    response = TemplateResponse(request, template, {**shared, **context})
    add_never_cache_headers(response)  # no-store among them
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "same-origin"  # with no-referrer Chromium's posts fail Django's CSRF check
    return response


def _new_ticket(request: HttpRequest, client: Client) -> str:
    return signing.dumps([*_holder(request, client), secrets.token_urlsafe(16)], salt=_PURPOSE)


def _used_now(ticket: str, request: HttpRequest, client: Client) -> bool:
    """Whether the ticket is this person's for this client, fresh, and used for the first time."""
    try:
        *holder, nonce = signing.loads(ticket, salt=_PURPOSE, max_age=_TICKET_LIFETIME)
    except signing.BadSignature:
        return False
    expires = timezone.now() + _TICKET_LIFETIME
    return holder == _holder(request, client) and UsedIdentifier.objects.accept(
        _PURPOSE, client.client_id, nonce, expires
    )


def _holder(request: HttpRequest, client: Client) -> list[str]:
    return [str(request.user.pk), str(client.pk)]
