"""Issuers whose assertions are good for tokens of ours (RFC 7523 §2.1)."""

from functools import cached_property
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from identityserver.key_sets import KeySet, key_set_problem
from identityserver.models.client import key_address_problem
from identityserver.models.fields import StringListField
from identityserver.models.resources import ApiScope
from identityserver.vocabulary import Algorithm


class TrustedIssuer(models.Model):
    """Who may vouch for users, by which keys, and for what at most."""

    class SubjectMapping(models.TextChoices):
        SUBJECT = "subject", _("Our own subject identifier")
        USERNAME = "username", _("User name")
        EMAIL = "email", _("E-mail address")

    issuer = models.CharField(max_length=500, unique=True, help_text=_("Exactly as in the assertion's iss."))
    name = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    jwks = models.JSONField(_("JWKS"), null=True, blank=True)
    jwks_uri = models.CharField(_("JWKS URI"), max_length=500, blank=True)
    algorithms = StringListField(help_text=_("Signing algorithms that are accepted, one per line."))
    subject_mapping = models.CharField(
        max_length=10, choices=SubjectMapping, default=SubjectMapping.SUBJECT, help_text=_("Which user sub means.")
    )
    api_scopes = models.ManyToManyField(
        ApiScope, blank=True, related_name="+", help_text=_("What its assertions are good for; none by default.")
    )

    class Meta:
        ordering: ClassVar = ["issuer"]
        verbose_name = _("trusted issuer")
        verbose_name_plural = _("trusted issuers")

    def __str__(self) -> str:
        return self.name or self.issuer

    def clean(self) -> None:
        """Its keys are public, in one place, and of algorithms that we can verify."""
        super().clean()
        problems: dict[str, Any] = {}
        if (self.jwks is None) == (not self.jwks_uri):
            problems["jwks"] = _("Enter the issuer's keys, or the address where it publishes them.")
        elif problem := key_set_problem(self.jwks) if self.jwks is not None else "":
            problems["jwks"] = problem
        elif problem := key_address_problem(self.jwks_uri) if self.jwks_uri else "":
            problems["jwks_uri"] = problem
        if not self.algorithms or set(self.algorithms) - set(Algorithm):
            problems["algorithms"] = _("Choose from: %s.") % ", ".join(Algorithm)
        if not self.issuer.isprintable():
            problems["issuer"] = _("Enter it without control characters.")
        if problems:
            raise ValidationError(problems)

    @cached_property
    def registered_keys(self) -> KeySet:
        """The keys that were entered here, read once for a row that is shared."""
        return KeySet.of(self.jwks or {"keys": []})

    @cached_property
    def scope_names(self) -> frozenset[str]:
        """The API scopes that its assertions are good for."""
        return frozenset(scope.name for scope in self.api_scopes.all())
