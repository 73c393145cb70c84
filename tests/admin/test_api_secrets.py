"""The secrets of an API, from the admin to its first question about a token (RFC 7662 §2.1)."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from identityserver.models import ApiResource, ApiSecret
from tests.admin.forms import posted
from tests.admin.test_secrets import shown_in
from tests.speaking import AskingApi

pytestmark = pytest.mark.django_db


def page_of(api) -> str:
    return reverse("admin:identityserver_apiresource_change", args=[api.pk])


def generate(http, api, **fields):
    url = reverse("admin:identityserver_apiresource_secret", args=[api.pk])
    return http.post(url, posted(http.get(url), **fields))


class TestGeneration:
    def test_from_the_page_of_the_api_to_introspection(self, administrator, alice, relying_party, api):
        app = relying_party(scopes="openid notes.read", access_token_type="reference")
        token = app.redeem(alice.browser.authorize(app).code).access_token
        assert "Generate a secret" in administrator.get(page_of(api)).content.decode()
        response = generate(administrator, api, description="production")
        assert "no-store" in response["Cache-Control"]
        asking = AskingApi(api)
        ApiSecret.objects.exclude(description="production").delete()
        assert asking.introspect(token, secret=shown_in(response)).json()["active"] is True

    def test_the_page_has_what_the_api_needs(self, administrator, api):
        response = generate(administrator, api)
        lines = f"OIDC_API_NAME={api.name}\nOIDC_API_SECRET={shown_in(response)}"
        assert lines in response.content.decode()

    def test_it_is_shown_once(self, administrator, api):
        url = reverse("admin:identityserver_apiresource_secret", args=[api.pk])
        form = posted(administrator.get(url))
        first, again = administrator.post(url, form), administrator.post(url, form)
        assert shown_in(first)
        assert (again.status_code, again["Location"]) == (302, page_of(api))
        assert ApiSecret.objects.count() == 1
        secret = shown_in(first)
        for page in (administrator.get(page_of(api)), administrator.get(url)):
            assert secret not in page.content.decode()
        assert secret not in str(list(LogEntry.objects.values()))

    def test_a_ticket_for_a_client_of_the_same_number_is_none(self, administrator, web_app):
        url = reverse("admin:identityserver_client_secret", args=[web_app.row.pk])
        form = posted(administrator.get(url))
        api = ApiResource.objects.create(pk=web_app.row.pk, name="notes")
        administrator.post(reverse("admin:identityserver_apiresource_secret", args=[api.pk]), form)
        assert not ApiSecret.objects.exists()

    def test_looking_makes_none_and_an_api_has_none_at_first(self, administrator, api):
        administrator.get(reverse("admin:identityserver_apiresource_secret", args=[api.pk]))
        administrator.get(page_of(api))
        assert not ApiSecret.objects.exists()


class TestRevocation:
    def test_deleting_one_revokes_it_at_once(self, administrator, api):
        asking = AskingApi(api)
        assert asking.introspect("x").status_code == 200
        page = administrator.get(page_of(api))
        assert ApiSecret.objects.get().prefix in page.content.decode()
        form = posted(page, **{"secrets-0-DELETE": "on"})
        assert administrator.post(page_of(api), form).status_code == 302
        assert asking.introspect("x").status_code == 401


class TestPermissions:
    def test_who_may_change_the_api_may_generate(self, staff, api):
        http = staff("view_apiresource", "change_apiresource")
        assert shown_in(generate(http, api))

    def test_who_may_only_look_may_not(self, staff, api):
        http = staff("view_apiresource")
        assert "Generate a secret" not in http.get(page_of(api)).content.decode()
        url = reverse("admin:identityserver_apiresource_secret", args=[api.pk])
        assert http.get(url).status_code == http.post(url).status_code == 403
        assert not ApiSecret.objects.exists()
