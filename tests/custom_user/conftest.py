from django.conf import settings

if settings.AUTH_USER_MODEL != "custom_user.User":
    collect_ignore_glob = ["test_*.py"]  # their own settings, tests.settings_custom_user, run them
