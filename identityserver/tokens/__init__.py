"""Making and reading tokens."""
