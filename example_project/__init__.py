"""A Django site that is an identity provider, with an API it protects and an application to try it with."""
