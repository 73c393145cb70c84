"""The same site, where machines are answered ahead of Django's resolver and middleware."""

from django.core.wsgi import get_wsgi_application

from identityserver.front import ProtocolFront

application = ProtocolFront(get_wsgi_application())
