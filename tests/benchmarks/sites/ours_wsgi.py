"""The site as every Django site is served: through Django's handler."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
