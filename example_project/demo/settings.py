"""Settings of a developer's machine: the example's, with all filled in that the environment leaves out.

They switch DEBUG on, so the servers of the demo listen on the loopback interface only.
"""

import os
from urllib.parse import quote

from example_project.demo.directory import demo_directory, kept_secret

os.environ.setdefault("DEBUG", "True")
os.environ.setdefault("SECRET_KEY", kept_secret("secret_key"))
os.environ.setdefault("ISSUER", "http://localhost:8000")
os.environ.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{quote(str(demo_directory() / 'db.sqlite3'))}")

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "example_project.demo"]
