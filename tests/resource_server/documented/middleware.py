AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "identityserver.resource_server.backends.AccessTokenBackend",
]
