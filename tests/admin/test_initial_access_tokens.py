"""Initial access tokens: made in the admin or by a command, shown once; and where registered clients are seen."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from identityserver.models import InitialAccessToken
from tests.admin.forms import posted
from tests.admin.test_clients import page_of, web_app
from tests.oauth2.registering import WEB, is_refused, register, registered, row_of

pytestmark = pytest.mark.django_db

ADD = "/admin/identityserver/initialaccesstoken/add/"
LIST = "/admin/identityserver/initialaccesstoken/"
SHOWN = re.compile(r'id="new_token"[^>]*value="([^"]{43})"', re.DOTALL)


@pytest.fixture(autouse=True)
def by_token(settings):
    settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "initial_access_token"}


def generate(http, **fields):
    return http.post(ADD, posted(http.get(ADD), **fields))


def shown_in(response) -> str:
    """The token on the page, or ``""``."""
    found = SHOWN.search(response.content.decode())
    return found[1] if found else ""


class TestGeneration:
    def test_a_new_token_lets_its_bearer_register(self, administrator):
        token = shown_in(generate(administrator, description="partners", uses="1"))
        row = InitialAccessToken.objects.get()
        assert (row.description, row.uses_left, row.expires) == ("partners", 1, None)
        registered(WEB, token)
        is_refused(register(WEB, token), "invalid_token", 401)

    def test_it_may_expire(self, administrator):
        soon = timezone.now() + timedelta(days=30)
        generate(administrator, expires=soon.strftime("%Y-%m-%dT%H:%M"))
        assert abs(InitialAccessToken.objects.get().expires - soon) < timedelta(days=1)

    def test_looking_at_the_form_makes_nothing(self, administrator):
        assert not shown_in(administrator.get(ADD))
        assert not InitialAccessToken.objects.exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("expires", "2001-01-01T00:00"),
            ("expires", "9999-12-31T23:59"),
            ("expires", "soon\x00"),
            ("description", "a\x00b"),
            ("description", "x" * 201),
            ("uses", "0"),
            ("uses", "-1"),
            ("uses", "9" * 30),
            ("uses", "many"),
        ],
    )
    def test_hostile_input(self, administrator, field, value):
        response = generate(administrator, **{field: value})
        assert response.status_code == 200
        assert field in response.context["form"].errors
        assert not InitialAccessToken.objects.exists()


class TestShownOnce:
    def test_no_cache_keeps_the_page(self, administrator):
        response = generate(administrator)
        assert shown_in(response)
        assert "no-store" in response["Cache-Control"]

    def test_reloading_neither_shows_it_again_nor_makes_another(self, administrator):
        form = posted(administrator.get(ADD))
        token = shown_in(administrator.post(ADD, form))
        again = administrator.post(ADD, form, follow=True)
        assert "A secret is shown only once" in again.content.decode()
        assert token not in again.content.decode()
        assert InitialAccessToken.objects.count() == 1

    def test_no_page_shows_it_again(self, administrator):
        token = shown_in(generate(administrator))
        row = InitialAccessToken.objects.get()
        pages = [
            reverse(f"admin:identityserver_initialaccesstoken_{name}", args=[row.pk]) for name in ("change", "history")
        ]
        for url in (ADD, LIST, *pages):
            content = administrator.get(url, follow=True).content.decode()
            assert token not in content
            assert row.digest not in content

    def test_it_is_in_no_session_message_log_or_repr(self, administrator):
        response = generate(administrator)
        token = shown_in(response)
        kept = [str(session.get_decoded()) for session in Session.objects.all()]
        kept += [str(values) for values in LogEntry.objects.values()]
        kept += [str(message) for message in get_messages(response.wsgi_request)]
        kept += [str(values) for values in InitialAccessToken.objects.values()]
        kept += [repr(response.context_data)]
        assert not [text for text in kept if token in text]
        assert LogEntry.objects.get().is_addition()

    def test_a_ticket_is_good_for_one_person(self, administrator, staff):
        form = posted(administrator.get(ADD))
        assert staff("add_initialaccesstoken", "view_initialaccesstoken").post(ADD, form).status_code == 302
        assert not InitialAccessToken.objects.exists()

    @pytest.mark.parametrize("ticket", ["", "x", "a:b:c", "x" * 501, "\x00"])
    def test_nor_does_a_forged_one_work(self, administrator, ticket):
        assert administrator.post(ADD, {"ticket": ticket}).status_code in {200, 302}
        assert not InitialAccessToken.objects.exists()


class TestPermissions:
    @pytest.mark.parametrize("permissions", [(), ("view_initialaccesstoken",), ("change_initialaccesstoken",)])
    def test_who_may_not_add_one(self, staff, permissions):
        http = staff(*permissions)
        assert http.get(ADD).status_code == 403
        assert http.post(ADD, {"description": ""}).status_code == 403
        assert not InitialAccessToken.objects.exists()

    def test_no_other_site_can_have_one_generated(self, staff):
        http = staff("add_initialaccesstoken", enforce_csrf_checks=True)
        assert http.post(ADD, {"description": ""}).status_code == 403

    def test_no_form_gives_one_more_uses(self, administrator):
        row, _ = InitialAccessToken.objects.issue(uses=1)
        url = reverse("admin:identityserver_initialaccesstoken_change", args=[row.pk])
        form = posted(administrator.get(url), description="new", uses_left="100", expires_0="", digest="known")
        assert administrator.post(url, form).status_code == 302
        changed = InitialAccessToken.objects.get()
        assert (changed.description, changed.uses_left, changed.digest) == ("new", 1, row.digest)


class TestOverview:
    def test_the_list_says_what_each_is_good_for(self, administrator, settings):
        InitialAccessToken.objects.issue(description="endless")
        InitialAccessToken.objects.issue(description="gone", uses=0)
        InitialAccessToken.objects.issue(description="old", expires=timezone.now())
        page = administrator.get(LIST).content.decode()
        assert all(text in page for text in (">good<", ">used up<", ">expired<"))
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "off"}
        assert "the option registration is off" in administrator.get(LIST).content.decode()

    def test_deleting_one_leaves_its_clients(self, administrator):
        row, value = InitialAccessToken.objects.issue()
        client = row_of(registered(WEB, value))
        url = reverse("admin:identityserver_initialaccesstoken_delete", args=[row.pk])
        assert administrator.post(url, {"post": "yes"}).status_code == 302
        client.refresh_from_db()
        is_refused(register(WEB, value), "invalid_token", 401)

    def test_a_client_s_page_says_who_registered_it(self, administrator):
        _, value = InitialAccessToken.objects.issue(description="partners")
        information = registered(WEB, value)
        page = administrator.get(page_of(row_of(information))).content.decode()
        assert "itself, with the initial access token partners" in page
        assert information["registration_access_token"] not in page
        InitialAccessToken.objects.all().delete()
        assert "initial access token" not in administrator.get(page_of(row_of(information))).content.decode()
        assert "registered by" in administrator.get(page_of(web_app())).content.decode().lower()

    def test_a_client_that_registered_itself_can_be_deleted(self, administrator, staff):
        client = row_of(registered(WEB, InitialAccessToken.objects.issue()[1]))
        url = reverse("admin:identityserver_client_delete", args=[client.pk])
        assert staff("delete_client", "view_client").post(url, {"post": "yes"}).status_code == 302
        assert not type(client).objects.exists()


class TestCommand:
    """``manage.py identityserver_registration_token``."""

    def run(self, *arguments: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("identityserver_registration_token", *arguments, stdout=out, stderr=err, no_color=True)
        return out.getvalue(), err.getvalue()

    def test_it_prints_the_token_and_nothing_else(self):
        out, err = self.run()
        registered(WEB, out.rstrip("\n"))
        assert "not stored" in err

    def test_uses_days_and_a_description(self, clock):
        _, err = self.run("--uses", "2", "--days", "7", "--description", "partners")
        row = InitialAccessToken.objects.get()
        assert (row.description, row.uses_left) == ("partners", 2)
        assert row.expires == clock.now() + timedelta(days=7)
        assert "2 clients" in err

    def test_it_says_where_it_is_of_no_use(self, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "registration": "off"}
        assert "the option registration is off" in self.run()[1]

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--uses", "0"),
            ("--uses", "-1"),
            ("--uses", "x"),
            ("--uses", "9" * 30),
            ("--days", "0"),
            ("--days", "9" * 30),
        ],
    )
    def test_nonsense_is_refused(self, arguments):
        with pytest.raises(CommandError):
            self.run(*arguments)
        assert not InitialAccessToken.objects.exists()

    def test_a_description_that_is_too_long(self):
        with pytest.raises(CommandError, match="description"):
            self.run("--description", "x" * 201)
