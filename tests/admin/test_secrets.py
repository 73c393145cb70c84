"""A client's secrets: made by us, shown once, kept nowhere."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from identityserver.client_authentication import client_secret
from identityserver.models import Client, ClientSecret
from tests.admin.forms import posted
from tests.admin.test_clients import ADD, new, page_of, web_app

pytestmark = pytest.mark.django_db

SECRET = re.compile(r'id="new_secret"[^>]*value="([^"]{43,64})"', re.DOTALL)


def generate_page_of(client: Client) -> str:
    return reverse("admin:identityserver_client_secret", args=[client.pk])


def shown_in(response) -> str:
    """The secret on the page, or ``""``."""
    found = SECRET.search(response.content.decode())
    return found[1] if found else ""


@pytest.fixture
def client_row(db) -> Client:
    return web_app(client_id="shop")


def generate(http, client: Client, **fields):
    return http.post(generate_page_of(client), posted(http.get(generate_page_of(client)), **fields))


class TestGeneration:
    def test_a_new_secret_works(self, administrator, client_row):
        secret = shown_in(generate(administrator, client_row, description="production"))
        row = client_row.secrets.get()
        assert row.matches(secret)
        assert (row.description, row.expires) == ("production", None)

    def test_several_secrets_work_side_by_side(self, administrator, client_row):
        first, second = (shown_in(generate(administrator, client_row)) for _ in range(2))
        assert {row.matches(first) for row in client_row.secrets.all()} == {True, False}
        assert first != second

    def test_the_page_has_what_the_client_needs(self, administrator, client_row):
        response = generate(administrator, client_row)
        environment = f"OIDC_ISSUER=http://testserver\nOIDC_CLIENT_ID=shop\nOIDC_CLIENT_SECRET={shown_in(response)}"
        assert environment in response.content.decode()

    def test_looking_at_the_form_makes_nothing(self, administrator, client_row):
        assert not shown_in(administrator.get(generate_page_of(client_row)))
        assert not ClientSecret.objects.exists()

    def test_a_new_confidential_client_gets_its_secret_at_once(self, administrator):
        response = new(administrator)
        assert Client.objects.get().secrets.get().matches(shown_in(response))
        assert "no-store" in response["Cache-Control"]

    def test_reloading_that_page_makes_neither_a_client_nor_a_secret(self, administrator):
        form = posted(administrator.get(ADD), name="Shop", redirect_uris="https://app.example/cb")
        first, again = administrator.post(ADD, form), administrator.post(ADD, form)
        assert shown_in(first)
        assert not shown_in(again)
        assert ClientSecret.objects.count() == Client.objects.count() == 1

    def test_a_new_public_client_gets_none(self, administrator):
        assert new(administrator, token_endpoint_auth_method="none").status_code == 302
        assert not ClientSecret.objects.exists()

    def test_a_public_client_can_have_none(self, administrator):
        client = web_app(token_endpoint_auth_method="none")
        assert "Generate a secret" not in administrator.get(page_of(client)).content.decode()
        assert administrator.post(generate_page_of(client)).status_code == 302
        assert not ClientSecret.objects.exists()

    def test_an_expiry(self, administrator, client_row):
        soon = timezone.now() + timedelta(days=30)
        generate(administrator, client_row, expires=soon.strftime("%Y-%m-%dT%H:%M"))
        assert abs(client_row.secrets.get().expires - soon) < timedelta(days=1)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("expires", "2001-01-01T00:00"),
            ("expires", "0001-01-01T00:00"),
            ("expires", "9999-12-31T23:59"),
            ("expires", "99999-01-01T00:00"),
            ("expires", "soon\x00"),
            ("description", "a\x00b"),
            ("description", "x" * 201),
        ],
    )
    def test_hostile_input(self, administrator, client_row, field, value):
        response = generate(administrator, client_row, **{field: value})
        assert response.status_code == 200
        assert field in response.context["form"].errors
        assert not ClientSecret.objects.exists()


class TestShownOnce:
    def test_no_cache_keeps_the_page(self, administrator, client_row):
        response = generate(administrator, client_row)
        assert shown_in(response)
        assert "no-store" in response["Cache-Control"]
        assert response["Referrer-Policy"] == "same-origin"

    def test_reloading_neither_shows_it_again_nor_makes_another(self, administrator, client_row):
        """Reloading the page posts the form again."""
        form = posted(administrator.get(generate_page_of(client_row)))
        secret = shown_in(administrator.post(generate_page_of(client_row), form))
        again = administrator.post(generate_page_of(client_row), form, follow=True)
        assert "A secret is shown only once" in again.content.decode()
        assert secret not in again.content.decode()
        assert ClientSecret.objects.count() == 1

    def test_no_page_shows_it_again(self, administrator, client_row):
        secret = shown_in(generate(administrator, client_row))
        history = reverse("admin:identityserver_client_history", args=[client_row.pk])
        for url in (generate_page_of(client_row), page_of(client_row), history, "/admin/"):
            assert secret not in administrator.get(url).content.decode()

    def test_it_is_in_no_session_message_or_log(self, administrator, client_row):
        response = generate(administrator, client_row)
        secret = shown_in(response)
        kept = [str(session.get_decoded()) for session in Session.objects.all()]
        kept += [str(values) for values in LogEntry.objects.values()]
        kept += [str(message) for message in get_messages(response.wsgi_request)]
        kept += [str(values) for values in ClientSecret.objects.values()]
        kept += [response.wsgi_request.get_full_path(), str(administrator.cookies)]
        assert not [text for text in kept if secret in text]
        assert "Added client secret" in str(LogEntry.objects.get())

    def test_it_is_in_no_repr(self, administrator, client_row):
        """Exception reports print the variables of templates."""
        response = generate(administrator, client_row)
        assert shown_in(response) not in repr(response.context_data)

    def test_a_ticket_is_good_for_one_person_and_client(self, administrator, staff, client_row):
        form = posted(administrator.get(generate_page_of(client_row)))
        for url, http in (
            (generate_page_of(web_app()), administrator),
            (generate_page_of(client_row), staff("change_client")),
        ):
            assert http.post(url, form).status_code == 302
        assert not ClientSecret.objects.exists()

    @pytest.mark.parametrize("ticket", ["", "x", "a:b:c", "x" * 501, "\x00"])
    def test_nor_does_a_forged_one_work(self, administrator, client_row, ticket):
        response = administrator.post(generate_page_of(client_row), {"ticket": ticket})
        assert response.status_code in {200, 302}
        assert not ClientSecret.objects.exists()


class TestRotation:
    """From one secret to the next without an interruption: generate, put in place, delete."""

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt"])
    def test_a_journey(self, administrator, relying_party, api, clock, monkeypatch, method):
        monkeypatch.setattr(client_secret, "_touched", {})
        app = relying_party(
            scopes="notes.read", allowed_grant_types=["client_credentials"], token_endpoint_auth_method=method
        )
        former, first = app.secret, app.row.secrets.get()
        clock.forward(days=10)
        app.client_credentials().succeeds()
        app.secret = shown_in(generate(administrator, app.row, description="since autumn"))
        for secret in (app.secret, former):  # of servers that have been told, and of those that have not
            app.secret = secret
            app.client_credentials().succeeds()
        new_row = app.row.secrets.exclude(pk=first.pk).get()
        clock.forward(days=1)
        app.secret, newest = former, new_row.digest
        page = administrator.get(page_of(app.row))
        assert "since autumn" in page.content.decode()
        first.refresh_from_db()
        assert first.last_used == new_row.last_used == clock.now() - timedelta(days=1)
        self.deletes(administrator, app.row, first)
        app.client_credentials().fails_with("invalid_client")
        assert app.row.secrets.get().digest == newest

    def deletes(self, http, client: Client, secret: ClientSecret) -> None:
        position = [row.pk for row in client.secrets.all()].index(secret.pk)
        form = posted(http.get(page_of(client)), **{f"secrets-{position}-DELETE": "on"})
        assert http.post(page_of(client), form).status_code == 302

    def test_the_former_one_may_end_by_itself(self, administrator, relying_party, api, clock):
        app = relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])
        former = app.secret
        app.row.secrets.update(expires=clock.now() + timedelta(days=7))
        app.secret = shown_in(generate(administrator, app.row))
        clock.forward(days=7)
        app.client_credentials().succeeds()
        app.secret = former
        app.client_credentials().fails_with("invalid_client")


class TestRecoverableSecrets:
    """``client_secret_jwt`` (OpenID Connect Core §10.1) needs the secret itself: encrypted, and only for that."""

    def test_a_new_client_gets_one(self, administrator):
        response = new(administrator, token_endpoint_auth_method="client_secret_jwt")
        row = Client.objects.get().secrets.get()
        assert row.decrypted().decode() == shown_in(response)
        assert len(shown_in(response)) == 64

    def test_a_client_that_changes_over_is_told_to_generate_one(self, administrator, client_row):
        ClientSecret.generate(client_row)
        Client.objects.update(token_endpoint_auth_method="client_secret_jwt")
        said = "It has no secret that client_secret_jwt can use"
        assert said in administrator.get(page_of(client_row)).content.decode()
        client_row.refresh_from_db()
        generate(administrator, client_row)
        assert said not in administrator.get(page_of(client_row)).content.decode()


class TestRevocation:
    def test_deleting_a_secret_ends_it(self, administrator, client_row):
        kept, revoked = (ClientSecret.generate(client_row)[0] for _ in range(2))
        page = administrator.get(page_of(client_row))
        position = [row.pk for row in client_row.secrets.all()].index(revoked.pk)
        form = posted(page, **{f"secrets-{position}-DELETE": "on"})
        assert administrator.post(page_of(client_row), form).status_code == 302
        assert client_row.secrets.get() == kept

    def test_no_form_can_plant_a_secret(self, administrator, client_row):
        row, _ = ClientSecret.generate(client_row)
        planted = {
            "secrets-TOTAL_FORMS": "2",
            "secrets-0-digest": "known",
            "secrets-0-prefix": "x",
            "secrets-0-expires": "",
            "secrets-1-digest": "known",
            "secrets-1-client": client_row.pk,
            "secrets-1-description": "planted",
        }
        administrator.post(page_of(client_row), posted(administrator.get(page_of(client_row)), **planted))
        assert client_row.secrets.values().get() == ClientSecret.objects.filter(pk=row.pk).values().get()
        assert client_row.secrets.get().digest == row.digest


class TestPermissions:
    def test_staff_who_may_change_clients_may_generate(self, staff, client_row):
        assert shown_in(generate(staff("change_client"), client_row))

    @pytest.mark.parametrize("permissions", [(), ("view_client",), ("add_client",), ("delete_client", "view_client")])
    def test_other_staff_may_not(self, staff, client_row, permissions):
        http = staff(*permissions)
        assert http.get(generate_page_of(client_row)).status_code == 403
        assert http.post(generate_page_of(client_row), {"description": ""}).status_code == 403
        assert not ClientSecret.objects.exists()

    def test_nor_do_they_see_the_way_there(self, staff, client_row):
        assert "Generate a secret" not in staff("view_client").get(page_of(client_row)).content.decode()

    def test_staff_who_may_look_revoke_nothing(self, staff, client_row):
        ClientSecret.generate(client_row)
        http = staff("view_client")
        form = posted(http.get(page_of(client_row)), **{"secrets-0-DELETE": "on"})
        assert http.post(page_of(client_row), form).status_code == 403
        assert client_row.secrets.exists()

    def test_people_and_strangers_are_sent_to_sign_in(self, client, alice, client_row):
        for http in (client, alice.browser.http):
            assert http.get(generate_page_of(client_row)).status_code == 302

    def test_no_other_site_can_have_one_generated(self, staff, client_row):
        http = staff("change_client", enforce_csrf_checks=True)
        assert http.post(generate_page_of(client_row), {"description": ""}).status_code == 403

    def test_a_client_that_is_not_there(self, administrator):
        for pk in ("0", "x", "9" * 30, "_00"):
            assert administrator.get(f"/admin/identityserver/client/{pk}/secret/").status_code == 404
