"""The API that the provider's tokens open: everybody's own notes."""
