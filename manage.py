#!/usr/bin/env python
"""Django's command line for the example site; ``python manage.py demo`` starts it, ready to try.

The settings are those of a developer's machine unless DJANGO_SETTINGS_MODULE names others.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.demo.settings")
    execute_from_command_line(sys.argv)
