"""Signing keys: their states, and what may be done to them after a page that says what follows.

The key ring makes and deletes them. No private half is on any page.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import display_for_value
from django.db import models
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.base import ModelAdmin
from identityserver.models import SigningKey
from identityserver.tokens import rotation
from identityserver.vocabulary import Algorithm

_CONFIRM = "admin/identityserver/signingkey/confirm.html"


@admin.register(SigningKey)
class SigningKeyAdmin(ModelAdmin):
    """Announced, signing, retired and published, deleted or revoked, each with its date."""

    fields = [
        "kid",
        "algorithm",
        "state",
        "announced_at",
        "activates_at",
        "retires_at",
        "published_until",
        "longest_lifetime",
        "revoked_at",
        "deleted_at",
        "public_jwk",
    ]
    list_display = ["kid", "algorithm", "state", "activates_at", "retires_at", "published_until"]
    search_fields = ["kid"]
    actions = ["rotate", "rotate_soon", "retire", "revoke"]

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: SigningKey) -> str:
        """Where the key is in its life."""
        return str(key.state_at(timezone.now()).label)

    @admin.display(description=gettext_lazy("published until"))
    def published_until(self, key: SigningKey) -> str:
        """When no live token can need it any more, or when it was taken out; written as the other moments are."""
        return str(display_for_value(key.revoked_at or key.deleted_at or key.needed_until, "-"))

    @admin.action(description=gettext_lazy("Announce the next key of the algorithm now"), permissions=["withdraw"])
    def rotate(self, request: HttpRequest, keys: models.QuerySet[SigningKey]) -> TemplateResponse | None:
        """The next key takes over after the usual time."""
        effect = [
            _("A new key is published now, and signs in place of these as soon as it has been announced long enough."),
            _("Tokens that were signed before stay good."),
        ]
        return self._rotate(request, keys, "rotate", _("Rotate"), effect, soon=False)

    @admin.action(
        description=gettext_lazy("Have the next key of the algorithm take over at once"), permissions=["withdraw"]
    )
    def rotate_soon(self, request: HttpRequest, keys: models.QuerySet[SigningKey]) -> TemplateResponse | None:
        """The next key takes over as soon as everybody has it who keeps the key set no longer than they are told to."""
        effect = [
            _("The next key signs in place of these in %d seconds, when caches of the key set have run out.")
            % rotation.propagation().total_seconds(),
            _("Software that keeps the key set for longer must fetch it again when it meets the new key."),
            _("Tokens that were signed before stay good."),
        ]
        return self._rotate(request, keys, "rotate_soon", _("Rotate now"), effect, soon=True)

    @admin.action(description=gettext_lazy("Stop signing with the selected key"), permissions=["withdraw"])
    def retire(self, request: HttpRequest, keys: models.QuerySet[SigningKey]) -> TemplateResponse | None:
        """It stays published; another key signs from now on, announced or not."""
        chosen = list(keys)
        effect = [
            _("It signs no more, and another key takes its place now, although not everybody knows that one yet."),
            _("Tokens that were signed before stay good."),
        ]
        if not self._is_confirmed(request):
            return self._asked(request, chosen, "retire", _("Retire"), effect)
        for key in chosen:
            if rotation.retire(key):
                self.log_change(request, key, _("Retired the key."))
                self.message_user(request, _("%s signs no more.") % key, messages.SUCCESS)
            else:
                self.message_user(request, _("%s does not sign.") % key, messages.WARNING)
        return None

    @admin.action(description=gettext_lazy("Revoke the selected key: it is compromised"), permissions=["withdraw"])
    def revoke(self, request: HttpRequest, keys: models.QuerySet[SigningKey]) -> TemplateResponse | None:
        """Nothing that it signed is good any more; asked for twice, since it cannot be undone."""
        chosen = list(keys[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Revoke one key at a time."), messages.WARNING)
            return None
        (key,), beginning = chosen, chosen[0].kid[:8]
        typed = request.POST.get("beginning", "").strip()
        if not self._is_confirmed(request) or typed != beginning:
            effect, wrong = rotation.effect_of_revoking(key), self._is_confirmed(request)
            return self._asked(request, chosen, "revoke", _("Revoke"), effect, beginning=beginning, wrong=wrong)
        if rotation.revoke(key):
            self.log_change(request, key, _("Revoked the key."))
            self.message_user(request, _("%s is revoked.") % key, messages.SUCCESS)
        return None

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        """Whoever may change keys may do all of this, and nothing else."""
        return request.user.has_perm("identityserver.change_signingkey")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The key ring makes keys."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a key."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A live token may need it."""
        return False

    def _rotate(
        self,
        request: HttpRequest,
        keys: models.QuerySet[SigningKey],
        action: str,
        title: str,
        effect: list[str],
        *,
        soon: bool,
    ) -> TemplateResponse | None:
        if not self._is_confirmed(request):
            return self._asked(request, list(keys), action, title, effect)
        for algorithm in sorted({key.algorithm for key in keys}):
            coming = rotation.rotate(Algorithm(algorithm), soon=soon)
            self.log_change(request, coming, _("Has it take over."))
            said = _("%(key)s signs from %(moment)s on.") % {
                "key": coming,
                "moment": f"{coming.activates_at:%F %T} UTC",
            }
            self.message_user(request, said, messages.SUCCESS)
        return None

    def _is_confirmed(self, request: HttpRequest) -> bool:
        return request.POST.get("confirmed") == "yes"

    def _asked(
        self, request: HttpRequest, keys: Sequence[SigningKey], action: str, title: str, effect: list[str], **more: Any
    ) -> TemplateResponse:
        """The page that says what follows and asks."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "effect": effect,
            "keys": keys,
            "action": action,
            "checkbox": ACTION_CHECKBOX_NAME,
            **more,
        }
        return TemplateResponse(request, _CONFIRM, context)
