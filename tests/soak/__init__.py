"""Proof under load, as commands and never as tests: a million expired rows, and keys that change while they sign."""
