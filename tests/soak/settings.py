"""The example site, with the options that a run chose (``SOAK_OPTIONS``, a JSON object)."""

import json
import os

from example_project.settings import *  # noqa: F403  a site of its own
from example_project.settings import IDENTITYSERVER, MIDDLEWARE

MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("whitenoise.")]  # nobody asks for static files
IDENTITYSERVER = {**IDENTITYSERVER, **json.loads(os.environ.get("SOAK_OPTIONS", "{}"))}
LOGGING = {"version": 1, "disable_existing_loggers": True}
