"""The site with django-oauth-toolkit, through Django's handler."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
