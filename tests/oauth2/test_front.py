"""``ProtocolFront`` answers as Django would have, and leaves to Django what is Django's (PEP 3333).

The suites of the protocol run through it as well: ``python -m pytest -p tests.through_the_front tests/oauth2``.
"""

import json
import re
import select
import subprocess
import sys
from types import ModuleType

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import connection, connections
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory
from django.urls import include, path, re_path
from django.utils import translation
from django.views.decorators.cache import never_cache

from identityserver.endpoints import ENDPOINTS
from identityserver.endpoints.token import TokenEndpoint
from identityserver.front import ProtocolFront
from identityserver.models import ApiScope, Event
from identityserver.testing.front import connections_kept
from identityserver.testing.relying_party import FORM, basic
from tests.speaking import failing_database, url_of, without_reference

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

MACHINES = [endpoint for endpoint in ENDPOINTS if not endpoint.for_browsers and "<" not in endpoint.path]
DISCOVERY, JWKS, TOKEN, USERINFO = (
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/jwks",
    "/connect/token",
    "/connect/userinfo",
)


class Answer:
    """What a server is told, and what it sends."""

    def __init__(self, application, environ):
        body = application(environ, self._start)
        self.content = b"".join(body)
        if hasattr(body, "close"):
            body.close()

    def _start(self, status, headers, exc_info=None):
        self.status, self.headers = status, dict(headers)
        assert len(self.headers) == len(headers)

    @property
    def members(self):
        return json.loads(self.content)

    @property
    def comparable(self):
        """All of it, but for the reference of an error, which is another each time."""
        is_error = self.headers.get("Content-Type") == "application/json" and b"error_description" in self.content
        said = without_reference(self.members) if is_error else self.content
        headers = {name: without_reference_in_header(value) for name, value in self.headers.items()}
        return self.status, headers, said


def without_reference_in_header(value):
    return value.partition(" (reference ")[0]


def environ_of(method, path_info, body=b"", content_type=FORM, **extra):
    environ = RequestFactory().generic(method, "/", body, **extra).environ
    return {**environ, "CONTENT_TYPE": content_type, "PATH_INFO": path_info}


def passed_on(environ, start_response):
    start_response("204 Passed On", [])
    return []


def front_alone():
    """The front before nothing that answers."""
    return ProtocolFront(passed_on)


def ask(application, *asked, **extra):
    with connections_kept():
        return Answer(application, environ_of(*asked, **extra))


def is_passed_on(*asked, **extra):
    return ask(front_alone(), *asked, **extra).status == "204 Passed On"


@pytest.fixture
def machine(relying_party, api):
    return relying_party(scopes="notes.read", allowed_grant_types=["client_credentials"])


SITES = {
    "a site": {},
    "behind TLS": {
        "SECURE_HSTS_SECONDS": 3600,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_REFERRER_POLICY": ["no-referrer", "origin"],
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin-allow-popups",
        "X_FRAME_OPTIONS": "SAMEORIGIN",
    },
    "without security": {
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "identityserver.web.session.UserSessionMiddleware",
        ],
    },
    "choosy": {"DISALLOWED_USER_AGENTS": [re.compile("curl")], "PREPEND_WWW": True},
}
REQUESTS = {
    "discovery": ("GET", DISCOVERY, {}),
    "its head": ("HEAD", DISCOVERY, {}),
    "what is known": ("GET", DISCOVERY, {"HTTP_IF_NONE_MATCH": "*"}),
    "keys": ("GET", JWKS, {}),
    "keys over TLS": ("GET", JWKS, {"HTTP_X_FORWARDED_PROTO": "https"}),
    "keys for another agent": ("GET", JWKS, {"HTTP_USER_AGENT": "curl/8"}),
    "keys at another host": ("GET", JWKS, {"HTTP_HOST": "evil.example"}),
    "keys at no host": ("GET", JWKS, {"HTTP_HOST": "a b"}),
    "OAuth's metadata": ("GET", "/.well-known/oauth-authorization-server", {}),
    "a preflight": ("OPTIONS", DISCOVERY, {"HTTP_ORIGIN": "https://spa.example"}),
    "a method that is none": ("DELETE", DISCOVERY, {}),
    "a token by GET": ("GET", TOKEN, {}),
    "a token over TLS": ("POST", TOKEN, {"HTTP_X_FORWARDED_PROTO": "https"}),
    "a token for nobody": ("POST", TOKEN, {"HTTP_AUTHORIZATION": basic("nobody", "x")}),
    "a token for JSON": ("POST", TOKEN, {"body": b"{}", "content_type": "application/json"}),
    "a token at another host": ("POST", TOKEN, {"HTTP_HOST": "evil.example"}),
    "a token for a script": ("POST", TOKEN, {"HTTP_ORIGIN": "https://spa.example"}),
    "too much": ("POST", TOKEN, {"body": b"a" * 3_000_000}),
    "in another charset": ("POST", TOKEN, {"content_type": f"{FORM}; charset=utf-16"}),
    "no token": ("GET", USERINFO, {"QUERY_STRING": "x=%zz"}),
    "another token": ("POST", USERINFO, {"HTTP_AUTHORIZATION": "Bearer x"}),
}


class TestSameAnswer:
    """Status, every header and the body are those that Django's handler gives."""

    @pytest.mark.parametrize("site", SITES)
    def test_to_all_that_may_be_asked(self, settings, site, relying_party):
        relying_party(redirect_uris=["https://spa.example/"], allowed_cors_origins=["https://spa.example"])
        for name, value in SITES[site].items():
            setattr(settings, name, value)
        django, front = WSGIHandler(), front_alone()
        for request, (method, path_info, extra) in REQUESTS.items():
            expected, first, again = (ask(app, method, path_info, **extra) for app in (django, front, front))
            assert first.comparable == again.comparable == expected.comparable, request

    def test_to_a_request_that_succeeds(self, machine):
        asked = ("POST", TOKEN, b"grant_type=client_credentials")
        authorization = basic(machine.client_id, machine.secret)
        expected, given = (
            ask(application, *asked, HTTP_AUTHORIZATION=authorization) for application in (WSGIHandler(), front_alone())
        )
        assert given.members["scope"] == expected.members["scope"] == "notes.read"
        lengths = {"Content-Length": None}
        assert (given.status, given.headers | lengths) == (expected.status, expected.headers | lengths)

    def test_while_the_database_fails(self, machine):
        asked = ("POST", TOKEN, b"grant_type=client_credentials")
        with failing_database():
            for application in (WSGIHandler(), front_alone()):
                answer = ask(application, *asked, HTTP_AUTHORIZATION=basic(machine.client_id, machine.secret))
                assert answer.status == "503 Service Unavailable"
                assert answer.members["error"] == "temporarily_unavailable"
                assert answer.headers["Retry-After"]


class TestPaths:
    """Taken are the paths at which the URLconf has an endpoint for machines, and no others."""

    @pytest.mark.parametrize("endpoint", MACHINES, ids=lambda endpoint: endpoint.name)
    def test_every_endpoint_for_machines(self, endpoint):
        assert not is_passed_on("OPTIONS", url_of(endpoint.name))

    @pytest.mark.parametrize("name", ["authorization", "resume", "end_session", "login", "consent", "logout"])
    def test_what_browsers_ask_for_is_djangos(self, name):
        assert is_passed_on("GET", url_of(name))

    @pytest.mark.parametrize(
        "path_info",
        [
            *("", "/", "/\xff", "/admin/", "/connect", "/connect/", "/connect/tokens", "/id/connect/token"),
            *("//connect/token", "/connect//token", "/connect/token/", "/connect/./token", "connect/token"),
            *("/Connect/token", "/connect/token;x", "/connect/token\0", "/connect/token\n", "/connect/%74oken"),
        ],
    )
    def test_whatever_else_is_djangos(self, path_info):
        assert is_passed_on("POST", path_info)

    def test_what_a_server_has_decoded_is_the_path(self):
        """``/connect/%74oken``: RFC 3986 §6.2.2.2, and what Django does."""
        for application in (WSGIHandler(), front_alone()):
            environ = RequestFactory().generic("POST", "/connect/%74oken").environ
            with connections_kept():
                assert Answer(application, environ).status == "415 Unsupported Media Type"

    @pytest.mark.parametrize(
        "mount",
        [path("id/", include("identityserver.urls")), re_path(r"^id/", include("identityserver.urls"))],
        ids=["path", "re_path"],
    )
    def test_below_the_prefix_that_the_site_chose(self, settings, mount):
        settings.ROOT_URLCONF = urlconf(mount, path("", include("identityserver.well_known_urls")))
        assert not is_passed_on("POST", f"/id{TOKEN}")
        assert not is_passed_on("GET", f"/id{DISCOVERY}")
        assert not is_passed_on("GET", DISCOVERY)
        assert is_passed_on("POST", TOKEN)

    def test_a_view_that_the_site_put_before_ours_counts(self, settings):
        own = path("connect/token", lambda _request: HttpResponse("the site's"))
        settings.ROOT_URLCONF = urlconf(own, path("", include("identityserver.urls")))
        assert is_passed_on("POST", TOKEN)
        assert not is_passed_on("GET", USERINFO)

    def test_a_view_in_a_decorator_of_the_sites_is_djangos(self, settings):
        """It may rely on middleware that the front leaves out."""
        own = path("connect/token", never_cache(TokenEndpoint.as_view()))
        settings.ROOT_URLCONF = urlconf(own, path("", include("identityserver.urls")))
        assert is_passed_on("POST", TOKEN)

    def test_a_path_beyond_ascii_is_djangos(self, settings):
        """Servers tell it in Latin-1, whatever it is in."""
        settings.ROOT_URLCONF = urlconf(path("é/", include("identityserver.urls")))
        assert is_passed_on("POST", f"/é{TOKEN}")
        assert is_passed_on("POST", f"/é{TOKEN}".encode().decode("latin-1"))

    def test_a_path_with_a_parameter_is_djangos(self, settings):
        own = path("<str:tenant>/connect/token", TokenEndpoint.as_view())
        settings.ROOT_URLCONF = urlconf(own, path("", include("identityserver.urls")))
        assert is_passed_on("POST", f"/one{TOKEN}")
        assert is_passed_on("POST", f"/<str:tenant>{TOKEN}")


def urlconf(*patterns):
    module = ModuleType("urlconf")
    module.urlpatterns = list(patterns)
    return module


class TestMount:
    """PEP 3333's SCRIPT_NAME: addresses in answers begin with it."""

    @pytest.mark.django_db(transaction=True)
    def test_addresses_are_those_of_the_mount_that_was_asked(self):
        front = front_alone()
        for mount in ("", "/one", "/two", "/one", ""):
            found = ask(front, "GET", DISCOVERY, SCRIPT_NAME=mount).members
            assert found["token_endpoint"] == f"http://testserver{mount}/connect/token"

    def test_also_where_the_settings_force_one(self, settings):
        settings.FORCE_SCRIPT_NAME = "/forced"
        found = ask(front_alone(), "GET", DISCOVERY, SCRIPT_NAME="/other").members
        assert found["token_endpoint"] == "http://testserver/forced/connect/token"


@pytest.mark.django_db(transaction=True)
class TestDocuments:
    """Public documents are given again while they stand."""

    @pytest.mark.parametrize("document", [DISCOVERY, JWKS])
    def test_again_without_a_query_and_byte_for_byte(self, document, django_assert_num_queries):
        front = front_alone()
        first = ask(front, "GET", document)
        with django_assert_num_queries(0):
            again = ask(front, "GET", document)
        assert again.comparable == first.comparable

    def test_until_what_they_tell_of_changes(self):
        front = front_alone()
        ask(front, "GET", DISCOVERY)
        ApiScope.objects.create(name="reports.read")
        assert "reports.read" in ask(front, "GET", DISCOVERY).members["scopes_supported"]

    def test_never_where_the_site_caches_nothing(self, settings):
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "configuration_cache_seconds": 0}
        front = front_alone()
        ask(front, "GET", DISCOVERY)
        ApiScope.objects.bulk_create([ApiScope(name="quietly.created")])
        assert "quietly.created" in ask(front, "GET", DISCOVERY).members["scopes_supported"]

    def test_never_to_a_host_that_is_not_ours(self):
        front = front_alone()
        assert ask(front, "GET", DISCOVERY).status == "200 OK"
        assert ask(front, "GET", DISCOVERY, HTTP_HOST="evil.example").status == "400 Bad Request"

    def test_a_server_that_changes_its_headers_changes_no_other_answer(self):
        front = front_alone()
        ask(front, "GET", DISCOVERY)
        front(environ_of("GET", DISCOVERY), lambda _status, headers: headers.clear())
        assert ask(front, "GET", DISCOVERY).headers["ETag"]

    def test_nor_does_a_cookie_that_whatever_is_around_it_adds(self):
        """PEP 3333 lets anybody on the way change the list: what is for one browser must reach no other."""

        def around(environ, start_response):
            def start(status, headers, exc_info=None):
                headers.append(("Set-Cookie", environ["HTTP_COOKIE"]))
                return start_response(status, headers, exc_info)

            return front(environ, start)

        front = front_alone()
        for browser in ("a", "b", "c"):
            given = ask(around, "GET", DISCOVERY, HTTP_COOKIE=f"session={browser}")
            assert given.headers["Set-Cookie"] == f"session={browser}"
        assert "Set-Cookie" not in ask(front, "GET", DISCOVERY).headers

    def test_whoever_asks_in_many_ways_fills_no_memory(self, settings):
        settings.ALLOWED_HOSTS = ["*"]
        front = front_alone()
        for number in range(600):
            assert ask(front, "GET", DISCOVERY, HTTP_HOST=f"h{number}.example").status == "200 OK"
        assert len(front._standing) <= 256


class TestMiddleware:
    """Of the site's middleware, Django's that concerns machines is there, and what is derived from it."""

    @pytest.mark.django_db(transaction=True)
    def test_what_a_site_derives_from_it_is_asked_each_time(self, settings):
        settings.MIDDLEWARE = [f"{__name__}.Counting", *settings.MIDDLEWARE[1:]]
        front = front_alone()
        numbers = [int(ask(front, "GET", DISCOVERY).headers["X-Number"]) for _ in range(3)]
        assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]

    def test_cookies_that_it_sets_are_sent(self, settings):
        settings.MIDDLEWARE = [f"{__name__}.Counting", *settings.MIDDLEWARE[1:]]
        for application in (WSGIHandler(), front_alone()):
            assert "number=" in ask(application, "GET", DISCOVERY).headers["Set-Cookie"]

    def test_the_sites_own_sees_no_protocol_request(self, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.refusing"]
        assert ask(WSGIHandler(), "GET", TOKEN).status == "418 I'm a Teapot"
        assert ask(front_alone(), "GET", TOKEN).status == "405 Method Not Allowed"


class Counting(SecurityMiddleware):
    """A site's own variant."""

    asked = 0

    def process_response(self, request, response):
        type(self).asked += 1
        response["X-Number"] = str(self.asked)
        response.set_cookie("number", str(self.asked))
        return super().process_response(request, response)


def refusing(_get_response):
    return lambda _request: HttpResponse(status=418)


class TestHousekeeping:
    """What Django does around a request, and whom it tells of it."""

    @pytest.fixture
    def told(self):
        """The signals, in order, as they are sent."""
        told = []

        def started(**_):
            told.append("started")

        def finished(**_):
            told.append("finished")

        request_started.connect(started)
        request_finished.connect(finished)
        yield told
        request_started.disconnect(started)
        request_finished.disconnect(finished)

    @pytest.mark.parametrize(("method", "path_info"), [("GET", DISCOVERY), ("POST", TOKEN)])
    @pytest.mark.django_db(transaction=True)
    def test_whoever_listens_is_told_when_requests_start_and_finish(self, told, method, path_info):
        front = front_alone()
        for _ in range(2):
            body = front(environ_of(method, path_info), lambda _status, _headers: told.append("answered"))
            told.append(b"".join(body)[:1])
            body.close()
        assert told == ["started", "answered", b"{", "finished"] * 2

    @pytest.mark.django_db(transaction=True)
    def test_a_connection_is_closed_that_the_site_does_not_keep(self, machine):
        authorization = basic(machine.client_id, machine.secret)
        assert connection.connection is not None
        Answer(front_alone(), environ_of("POST", TOKEN, b"grant_type=x", HTTP_AUTHORIZATION=authorization))
        assert connection.connection is None

    @pytest.mark.django_db(transaction=True)
    def test_a_connection_is_kept_until_it_is_too_old(self, monkeypatch):
        monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
        connection.close()
        connection.ensure_connection()
        kept, front = connection.connection, front_alone()
        Answer(front, environ_of("POST", TOKEN, HTTP_AUTHORIZATION=basic("nobody", "x")))
        assert connection.connection is kept
        connection.close_at = 0
        Answer(front, environ_of("POST", TOKEN, HTTP_AUTHORIZATION=basic("nobody", "x")))
        assert connection.connection is not kept

    @pytest.mark.postgres
    @pytest.mark.django_db(transaction=True)
    def test_no_request_is_lost_to_a_connection_that_the_server_closed(self, monkeypatch):
        """CONN_HEALTH_CHECKS: without a round trip while the connection is well."""
        monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
        monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
        connection.close()
        database, asked = connections[connection.alias], []
        is_usable = database.is_usable
        monkeypatch.setattr(database, "is_usable", lambda: asked.append(1) or is_usable())
        front, nobody = front_alone(), basic("nobody", "x")
        for _ in range(3):
            assert Answer(front, environ_of("POST", TOKEN, b"grant_type=x", HTTP_AUTHORIZATION=nobody)).members["error"]
        assert asked == []
        kept = connection.connection
        with connection.copy().cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [kept.info.backend_pid])
            cursor.connection.close()
        poll = select.poll()
        poll.register(kept.fileno(), select.POLLIN)
        assert poll.poll(5000)  # the news has come
        answer = Answer(front, environ_of("POST", TOKEN, b"grant_type=x", HTTP_AUTHORIZATION=nobody))
        assert answer.members["error"] == "invalid_client"
        assert asked == [1]
        assert connection.connection is not kept
        connection.close()

    def test_a_refusal_is_logged_as_django_logs_it(self, caplog):
        for application in (WSGIHandler(), front_alone()):
            caplog.clear()
            ask(application, "PUT", TOKEN)
            (record,) = [record for record in caplog.records if record.name == "django.request"]
            assert (record.levelname, record.getMessage(), record.status_code) == (
                "WARNING",
                "Method Not Allowed: /connect/token",
                405,
            )
            assert record.request.resolver_match.view_name == "identityserver:token"

    def test_a_refusal_is_an_event_once(self):
        before = Event.objects.count()
        ask(front_alone(), "POST", TOKEN)
        assert Event.objects.count() == before + 1

    def test_an_unforeseen_failure_is_reported_and_answered_in_json(self, settings, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": f"{__name__}.failing"}
        reported = []

        def receive(request, **_):
            reported.append((request.path, request.sensitive_post_parameters))

        got_request_exception.connect(receive)
        try:
            answer = ask(front_alone(), "GET", USERINFO, HTTP_AUTHORIZATION=f"Bearer {tokens.access_token}")
        finally:
            got_request_exception.disconnect(receive)
        assert answer.status == "503 Service Unavailable"
        assert answer.members["error"] == "server_error"
        assert reported == [(USERINFO, "__ALL__")]

    def test_the_language_of_the_last_request_is_gone(self, settings, alice, web_app):
        tokens = web_app.redeem(alice.browser.authorize(web_app).code).succeeds()
        settings.IDENTITYSERVER = {**settings.IDENTITYSERVER, "claims_source": f"{__name__}.language"}
        with translation.override("de"):
            front = ProtocolFront(WSGIHandler())
            ask(front, "GET", url_of("login"))
            answer = ask(front, "GET", USERINFO, HTTP_AUTHORIZATION=f"Bearer {tokens.access_token}")
        assert answer.members["name"] == "en-us"


def failing(_user, _names):
    raise ValueError("the site's own code")


def language(_user, _names):
    return {"name": translation.get_language()}


def test_wsgi_py_may_import_it_before_django_is_set_up():
    subprocess.run([sys.executable, "-c", "import identityserver.front"], check=True, env={})
