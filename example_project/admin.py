"""The admin of the example site."""

from django.contrib import admin
from oauth2_provider.models import AccessToken, Application, Grant, IDToken, RefreshToken

# Django OAuth Toolkit's own provider is not mounted: an application registered there would never be served, and its
# pages stand beside the identity server's under the same names.
for _model in (AccessToken, Application, Grant, IDToken, RefreshToken):
    admin.site.unregister(_model)
