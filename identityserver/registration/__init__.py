"""FLOW: clients that register themselves, and manage that (RFC 7591, RFC 7592)."""
