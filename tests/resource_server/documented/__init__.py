"""What ``docs/how-to/protect-an-api.md`` shows, as it is there."""
