from django.apps import AppConfig


class RelyingPartyConfig(AppConfig):
    name = "example_project.relying_party"
    label = "relying_party"
