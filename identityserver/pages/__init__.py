"""Delivery to people: the hosted pages, a file for each, with its view, form and URL."""
