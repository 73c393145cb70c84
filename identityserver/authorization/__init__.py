"""The authorization request: read it, decide what is next, answer it (RFC 6749 §4.1, OpenID Connect Core §3.1)."""
