"""The WSGI application, for ``granian --interface wsgi example_project.wsgi:application`` and its like.

The front answers programs; people, and whatever else is asked for, are Django's.
"""

import os

from django.core.wsgi import get_wsgi_application

from identityserver.front import ProtocolFront

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = ProtocolFront(get_wsgi_application())
