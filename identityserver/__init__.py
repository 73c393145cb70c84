"""An OpenID Connect provider and OAuth 2.0 authorization server as an installable Django app."""

__version__ = "0.1.0"
