"""What every delivery needs of HttpRequest."""
