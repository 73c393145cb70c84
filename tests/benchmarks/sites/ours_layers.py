"""The site through Django's handler, measured by layer."""

from django.core.wsgi import get_wsgi_application

from tests.benchmarks.sites.layers import layered

application = layered(get_wsgi_application())
