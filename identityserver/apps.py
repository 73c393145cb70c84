"""The app: signals are connected and standard rows seeded; settings are never touched."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class IdentityServerConfig(AppConfig):
    """OpenID Connect provider and OAuth 2.0 authorization server."""

    name = "identityserver"
    verbose_name = _("Identity server")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect checks, receivers and seeds, which need the models loaded."""
        from identityserver import checks  # noqa: F401  registers the system checks
        from identityserver.models.resources import seed_identity_resources
        from identityserver.web import receivers  # noqa: F401  connects the receivers

        post_migrate.connect(seed_identity_resources, sender=self, dispatch_uid="identityserver.seed")
