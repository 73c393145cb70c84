"""Subject identifiers: opaque, never the primary key (OpenID Connect Core §8)."""

from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver import conf, digests
from identityserver.models.prepared import Parameter, Select


class SubjectManager(models.Manager["Subject"]):
    """Finds or makes the one subject of a user."""

    def of(self, user: Any) -> str:
        """The ``sub`` of ``user``: random and made on first use, or from the option ``subject_source``."""
        found: Subject | None = _find().first(user=user.pk)
        if found is not None:
            return found.value
        source = conf.load("subject_source")
        value = str(source(user)) if source else digests.new_handle()
        self.bulk_create([Subject(user=user, value=value)], ignore_conflicts=True)
        return self.filter(user=user).values_list("value", flat=True).get()


class Subject(models.Model):
    """The value of ``sub`` for one user; an import may set it to keep what clients know."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    value = models.CharField(max_length=255, unique=True)

    objects = SubjectManager()

    class Meta:
        verbose_name = _("subject")
        verbose_name_plural = _("subjects")
        default_permissions: ClassVar = ("view",)

    def __str__(self) -> str:
        return self.value


@cache
def _find() -> Select:
    """Made on first use, when every model is loaded."""
    return Select(Subject.objects.filter(user_id=Parameter("user")))
