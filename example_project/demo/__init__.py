"""``python manage.py demo``: the provider and an application that uses it, with nothing to set up."""
