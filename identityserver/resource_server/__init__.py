"""APIs that are protected with django-oauth-toolkit's classes and accept our tokens (RFC 6750, RFC 9068 §4)."""
