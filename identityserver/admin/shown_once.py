"""What is made by a post and shown in the answer to it, and nowhere else: secrets and tokens.

Reloading that answer posts again. A ticket in the form, good for one use, makes the second post a refusal,
so what is shown need not wait in a session for the page after a redirect.
"""

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.core import signing
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from identityserver.models import UsedIdentifier

_TICKET_LIFETIME = timedelta(hours=1)


def page(site: AdminSite, request: HttpRequest, template: str, opts: Any, **context: Any) -> HttpResponse:
    """A page of the admin about a model with these ``opts``, which nobody keeps."""
    request.current_app = site.name  # as the views of Django’s admin do
    response = TemplateResponse(request, template, {**site.each_context(request), "opts": opts, **context})
    add_never_cache_headers(response)  # no-store among them
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "same-origin"  # with no-referrer Chromium's posts fail Django's CSRF check
    return response


def new_ticket(purpose: str, request: HttpRequest, about: models.Model | None = None) -> str:
    """A ticket for one post of this person, about this row where there is one."""
    return signing.dumps([*_holder(request, about), secrets.token_urlsafe(16)], salt=purpose)


def used_now(ticket: str, purpose: str, request: HttpRequest, about: models.Model | None = None) -> bool:
    """Whether the ticket is this person's for this row, fresh, and used for the first time."""
    try:
        *holder, nonce = signing.loads(ticket, salt=purpose, max_age=_TICKET_LIFETIME)
    except signing.BadSignature:
        return False
    if holder != _holder(request, about):
        return False
    return UsedIdentifier.objects.accept(purpose, " ".join(holder), nonce, timezone.now() + _TICKET_LIFETIME)


def _holder(request: HttpRequest, about: models.Model | None) -> list[str]:
    return [str(request.user.pk), str(about.pk) if about is not None else ""]
