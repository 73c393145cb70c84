"""Setting up clients and resources, the same way from the command line and from the admin."""
