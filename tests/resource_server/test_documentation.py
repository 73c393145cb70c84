"""``docs/how-to/protect-an-api.md`` is true: its views and settings are those of the tests beside this one."""

import re
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

from django.core.management import call_command
from django.utils.module_loading import import_string

from identityserver.testing.relying_party import FORM, basic
from tests.resource_server.documented import configuration, middleware

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "protect-an-api.md").read_text(encoding="utf-8")


def test_a_reader_who_follows_the_guide_gets_an_answer(api):
    """``Try it``: the command as it is printed there, and the two requests."""
    command = re.search(r"manage.py (identityserver_create_client .*)", GUIDE)[1].split()
    printed = StringIO()
    call_command(*command, stdout=printed)
    told = dict(re.findall(r"^(\w+)=(.*)$", printed.getvalue(), re.MULTILINE))
    form = dict(re.findall(r"-d (\w+)=([\w.]+)", GUIDE))
    given = {"Authorization": basic(told["OIDC_CLIENT_ID"], told["OIDC_CLIENT_SECRET"])}
    tokens = api.http.post("/connect/token", urlencode(form), content_type=FORM, headers=given)
    response = api.get("/api/statistics", tokens.json()["access_token"])
    assert response.json() == {"asked_by": told["OIDC_CLIENT_ID"]}


def test_what_the_guide_shows_exists():
    for shown in re.findall(r"literalinclude} (\S+)", GUIDE):
        assert (Path(__file__).parents[2] / "docs" / "how-to" / shown).is_file(), shown
    named = [*configuration.OAUTH2_PROVIDER.values(), *middleware.AUTHENTICATION_BACKENDS]
    for path in [path for path in named if isinstance(path, str)]:
        assert import_string(path)
