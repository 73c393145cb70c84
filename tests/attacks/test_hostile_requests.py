"""Whatever is sent, to whatever endpoint: an answer in the endpoint's own language, and nothing is left behind.

``docs/`` promises no 500, no HTML for machines, no traceback for anybody. NUL and over-long values are faults of
PostgreSQL only, so the table runs on both databases.
"""

import base64
import json
import logging
from collections.abc import Iterator

import pytest

from identityserver.testing.relying_party import FORM
from tests.attacks.target import (
    BASIC,
    CLIENT_ID,
    HARMLESS,
    LOGGED_OUT_URI,
    REDIRECT_URI,
    SECRET,
    VERIFIER,
    Target,
    answer_to_client,
    asking,
    is_our_page,
    is_refused_as_json,
    stays_with_us,
)

AUTHORIZE, RESUME = "/connect/authorize", "/connect/authorize/resume"
TOKEN, USERINFO, END_SESSION = "/connect/token", "/connect/userinfo", "/connect/endsession"
DEVICE_AUTHORIZATION = "/connect/deviceauthorization"
INTROSPECT, REVOKE = "/connect/introspect", "/connect/revocation"
DISCOVERY = "/.well-known/openid-configuration"
DOCUMENTS = (DISCOVERY, f"{DISCOVERY}/jwks", "/.well-known/oauth-authorization-server")
PAGES = (
    "/account/login",
    "/account/consent",
    "/account/logout",
    "/account/signed-out",
    "/device",
    "/device/confirm",
    "/device/done",
)
FOR_MACHINES = (TOKEN, USERINFO, INTROSPECT, REVOKE, DEVICE_AUTHORIZATION, *DOCUMENTS)
FOR_BROWSERS = (AUTHORIZE, RESUME, END_SESSION, *PAGES)

EMOJI = "%F0%9F%A6%8A"
MANY = "&".join(f"p{number}=1" for number in range(201))
VERY_MANY = "&".join(f"p{number}=%41" for number in range(1500))

#: Broken in a way that no reader of parameters may overlook.
BROKEN = {
    "NUL": "x=%00",
    "NUL in a name": "x%00y=1",
    "line feed": "x=a%0Ab",
    "carriage return and line feed": "x=%0D%0ASet-Cookie:%20a=b",
    "escape character": "x=%1B%5B31m",
    "delete character": "x=%7F",
    "octet that is not UTF-8": "x=%FF",
    "overlong NUL": "x=%C0%80",
    "lone surrogate in UTF-8": "x=%ED%A0%80",
    "UTF-16": "x=%FE%FF%00a",
    "raw octets": "x=\xff\xfe",
    "broken percent-encoding": "x=%zz",
    "percent at the end": "x=100%",
    "half an escape": "x=%4",
    "repeated": "x=1&x=2",
    "too many": MANY,
    "far too many": VERY_MANY,
    "over-long value": f"x={'a' * 2001}",
    "over-long name": f"{'a' * 300}=1",
    "over-long query": f"x={'a' * 201_000}",
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that is sent may make us log an error, let alone a traceback."""
    yield
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(target: Target) -> Iterator[None]:
    yield
    target.gives_nothing()


class TestBrokenParameters:
    """One gate reads every parameter, before anything else happens."""

    def test_in_an_authorization_request(self, target: Target) -> None:
        for name, extra in BROKEN.items():
            for response in (
                target.send("GET", AUTHORIZE, query=asking(extra)),
                target.send_form(AUTHORIZE, asking(extra).encode("latin-1")),
            ):
                with target.attacked_with(name):
                    assert response.status_code == 400
                    is_our_page(response)

    def test_in_a_token_request(self, target: Target) -> None:
        good = "grant_type=client_credentials"
        for name, extra in BROKEN.items():
            for response in (
                target.send_form(TOKEN, f"{good}&{extra}".encode("latin-1"), HTTP_AUTHORIZATION=BASIC),
                target.send_form(TOKEN, good, query=extra, HTTP_AUTHORIZATION=BASIC),
            ):
                with target.attacked_with(name):
                    is_refused_as_json(response, "invalid_request")

    @pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
    def test_about_a_token(self, target: Target, path: str) -> None:
        for name, extra in BROKEN.items():
            for response in (
                target.send_form(path, f"token=a&{extra}".encode("latin-1"), HTTP_AUTHORIZATION=BASIC),
                target.send_form(path, "token=a", query=extra, HTTP_AUTHORIZATION=BASIC),
            ):
                with target.attacked_with(name):
                    is_refused_as_json(response, "invalid_request")

    def test_at_userinfo(self, target: Target) -> None:
        for name, extra in BROKEN.items():
            for response in (
                target.send("GET", USERINFO, query=extra),
                target.send_form(USERINFO, f"access_token=a&{extra}".encode("latin-1")),
            ):
                with target.attacked_with(name):
                    is_refused_as_json(response, "invalid_request")

    def test_in_a_logout_request(self, target: Target) -> None:
        for name, extra in BROKEN.items():
            for response in (
                target.send("GET", END_SESSION, query=f"client_id={CLIENT_ID}&{extra}"),
                target.send_form(END_SESSION, f"client_id={CLIENT_ID}&{extra}".encode("latin-1")),
            ):
                with target.attacked_with(name):
                    assert response.status_code == 400
                    is_our_page(response)

    @pytest.mark.parametrize("path", [RESUME, *PAGES])
    def test_at_our_pages(self, target: Target, path: str) -> None:
        """They read the handle and what their form holds, and ignore the rest, broken or not."""
        for name, extra in BROKEN.items():
            for response in (
                target.send("GET", path, query=extra.replace("x", "request")),
                target.send_form(path, extra.replace("x", "request").encode("latin-1")),
            ):
                with target.attacked_with(name):
                    stays_with_us(response)

    @pytest.mark.parametrize("path", DOCUMENTS)
    def test_at_documents(self, target: Target, path: str) -> None:
        for extra in BROKEN.values():
            assert target.send("GET", path, query=extra).status_code == 200


#: Parameter by parameter: what is wrong with it, and the error that the client is told.
ASKED_WRONGLY = {
    "max_age": (["abc", "-1", "1.5", "1e3", "+1", "9" * 10, "9" * 1000, "%D9%A3", "0x10"], "invalid_request"),
    "prompt": (["none%20login", "none%20consent", "create%20none", "nonsense", "NONE", "login,consent"], None),
    "response_mode": (["bogus", "QUERY", "query.jwt", "web_message", "query%20fragment"], "invalid_request"),
    "response_type": (["token", "code%20token", "none", "CODE", "code%20", "id_token%20code"], None),
    "code_challenge_method": (["plain", "s256", "S512", "none", "S256%20"], "invalid_request"),
    "code_challenge": (["short", "a" * 44, "a" * 42 + "=", "a" * 42 + "%2B", "%E2%82%AC" * 43], "invalid_request"),
    "scope": (["nonsense", "openid%20nonsense", "openid%C2%A0nonsense", "openid,email", "*", "%22"], "invalid_scope"),
    "resource": (["nonsense", "https://api.example", "http://[::1", "https://a.example:99999/"], "invalid_target"),
    "request": (["e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "x"], "request_not_supported"),
    "request_uri": (
        ["https://127.0.0.1/", "file:///etc/passwd", "http://[::1", "urn:ietf:params:oauth:request_uri:x"],
        "request_uri_not_supported",
    ),
    "registration": (["{}", "[", "null"], "registration_not_supported"),
    "authorization_details": (["[]", "[{}]", "{"], "invalid_authorization_details"),
    "dpop_jkt": (["x", "A" * 43], "invalid_request"),
    "claims": (
        [
            "[",
            "[]",
            "null",
            "1",
            "%22x%22",
            "NaN",
            "{%22userinfo%22:[]}",
            "{%22userinfo%22:%22name%22}",
            "{%22userinfo%22:{%22name%22:1}}",
            "{%22userinfo%22:{%22name%22:{%22essential%22:%22yes%22}}}",
            "{%22userinfo%22:{%22name%22:{%22values%22:%22x%22}}}",
            "{%22userinfo%22:{%22name%22:null,%22name%22:null}}",
            "{%22userinfo%22:{},%22userinfo%22:{%22email%22:null}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:NaN}}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:-Infinity}}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:1e999}}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:%22%5Cu0000%22}}}",
            "{%22userinfo%22:{%22%5Cu0000%22:null}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:%22%5Cud800%22}}}",
            "{%22userinfo%22:{%22%5Cudfff%22:null}}",
            "{%22userinfo%22:{%22name%22:{%22value%22:" + "9" * 5000 + "}}}",
            "[" * 8000,
            "{%22a%22:" * 2000 + "1" + "}" * 2000,
            "{%22userinfo%22:{%22name%22:{%22values%22:" + "[" * 40 + "]" * 40 + "}}}",
            "{%22userinfo%22:{}}%20{}",
            "%EF%BB%BF{}",
        ],
        "invalid_request",
    ),
    "id_token_hint": (["x", "a.b.c", "..", "e30.e30.e30", "a" * 49_000, "%E2%82%AC.%E2%82%AC.%E2%82%AC"], None),
}


class TestAuthorizationRequests:
    """Past client and redirect URI every refusal goes to the client, and it is a refusal."""

    @pytest.mark.parametrize("name", ASKED_WRONGLY)
    def test_wrong_value(self, target: Target, name: str) -> None:
        values, error = ASKED_WRONGLY[name]
        for value in values:
            response = target.send("GET", AUTHORIZE, query=asking(f"{name}={value}", **{name: None}))
            with target.attacked_with(value):
                answer = answer_to_client(response)
                assert "code" not in answer
                assert answer["error"] == (error or answer["error"])
                assert (answer["state"], answer["iss"]) == ("s", "http://testserver")

    @pytest.mark.parametrize(
        "missing", ["response_type", "client_id", "redirect_uri", "scope", "code_challenge", "code_challenge_method"]
    )
    def test_missing(self, target: Target, missing: str) -> None:
        response = target.send("GET", AUTHORIZE, query=asking(**{missing: None}))
        if missing in {"client_id", "redirect_uri"}:
            is_our_page(response)
        else:
            assert "error" in answer_to_client(response)

    @pytest.mark.parametrize(
        "name", ["state", "nonce", "client_id", "redirect_uri", "claims", "id_token_hint", "scope"]
    )
    def test_over_long(self, target: Target, name: str) -> None:
        response = target.send("GET", AUTHORIZE, query=asking(f"{name}={'a' * 50_001}", **{name: None}))
        assert response.status_code == 400
        is_our_page(response)

    @pytest.mark.parametrize("name", ["state", "nonce", "login_hint", "ui_locales"])
    def test_long_once_it_is_percent_encoded(self, target: Target, name: str) -> None:
        """Django redirects to no address of more than 16384 characters: what may be echoed must fit."""
        for error in ("", "max_age=-1"):
            query = asking(f"{name}={EMOJI * 1900}&prompt=none&{error}", **{name: None})
            response = target.send("GET", AUTHORIZE, query=query)
            if response.status_code == 400:
                is_our_page(response)
            else:
                assert "error" in answer_to_client(response)

    def test_unknown_client(self, target: Target) -> None:
        for client_id in (
            "nobody",
            "%27%20OR%201=1--",
            "APP",
            "app%20",
            "%61pp%E2%80%8B",
            "../app",
            "*",
            EMOJI,
            "a" * 255,
        ):
            response = target.send("GET", AUTHORIZE, query=asking(f"client_id={client_id}", client_id=None))
            with target.attacked_with(client_id):
                assert response.status_code == 400
                is_our_page(response)

    def test_charset_of_a_query(self, target: Target) -> None:
        """The media type of a GET says nothing, and least of all how to read a query."""
        for charset in ("utf-16", "utf-7", "unicode_escape", "no-such", "x" * 5000):
            environ = {"content_type": f"text/plain; charset={charset}", "body": b"x"}
            response = target.send("GET", AUTHORIZE, query="client_id=%61pp&ui_locales=%61&x=%00", **environ)
            with target.attacked_with(charset):
                assert response.status_code == 400
                is_our_page(response)

    def test_hostile_ui_locales(self, target: Target) -> None:
        for locale in ("../../etc/passwd", "a" * 2000, "-" * 2000, "en-" * 600, "%C2%A0", "x%20" * 600):
            response = target.send("GET", AUTHORIZE, query=f"client_id=nobody&ui_locales={locale}")
            with target.attacked_with(locale):
                is_our_page(response)


class TestMediaTypes:
    """A body of the wrong kind is 415; one that cannot be read, or is too large, is refused in the same language."""

    WRONG = ("application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "text/xml")
    WRONG += ("application/x-www-form-urlencoded-not", "application", "/", "\xff", "a" * 5000, "")

    def test_wrong_kind(self, target: Target) -> None:
        body = json.dumps({"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET})
        for content_type in self.WRONG:
            with target.attacked_with(content_type):
                for path in (TOKEN, USERINFO, INTROSPECT, REVOKE):
                    response = target.send("POST", path, body=body, content_type=content_type, HTTP_AUTHORIZATION=BASIC)
                    is_refused_as_json(response)
                for path in (AUTHORIZE, END_SESSION):
                    response = target.send("POST", path, body=body, content_type=content_type)
                    assert response.status_code == 415
                    is_our_page(response)

    def test_too_large(self, target: Target) -> None:
        for path in (TOKEN, USERINFO, INTROSPECT, REVOKE, AUTHORIZE, END_SESSION, *PAGES):
            response = target.send_form(path, b"x=" + b"a" * 3_000_000)
            with target.attacked_with(path):
                assert response.status_code == (405 if path in {"/account/signed-out", "/device/done"} else 413)
                (is_refused_as_json if path in FOR_MACHINES else is_our_page)(response)

    UNREADABLE = (
        (f"{FORM}; charset=utf-16", b"username=a"),
        (f"{FORM}; charset=rot13", b"username=%41"),
        (f"{FORM}; charset=hex", b"username=%41"),
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"\xff\xfe\x00"),
        (
            "multipart/form-data; boundary=x; charset=rot13",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--",
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--x--\r\n",
        ),
        ("application/json", b"{"),
        (FORM, VERY_MANY.encode()),
    )

    @pytest.mark.parametrize("path", [RESUME, *PAGES])
    def test_forms_that_cannot_be_read(self, target: Target, path: str) -> None:
        for content_type, body in self.UNREADABLE:
            response = target.send("POST", path, body=body, content_type=content_type)
            with target.attacked_with(f"{content_type} {body!r}"):
                stays_with_us(response)


class TestMethods:
    """An unknown method is 405 with Allow, and nothing happens."""

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "GET\0", "get ", ""])
    def test_unknown(self, target: Target, method: str) -> None:
        for path in FOR_MACHINES:
            response = target.send(
                method, path, query="", body="grant_type=client_credentials", HTTP_AUTHORIZATION=BASIC
            )
            assert response.status_code == 405
            assert response["Allow"]
            is_refused_as_json(response)
        for path in (AUTHORIZE, RESUME, END_SESSION):
            response = target.send(method, path, query=asking())
            assert response.status_code == 405
            is_our_page(response)
        for path in PAGES:
            response = target.send(method, path, query="", body="logout=yes&allow=yes&username=a&password=b")
            assert response.status_code == 405
            is_our_page(response)

    def test_head_of_what_takes_forms(self, target: Target) -> None:
        assert target.send("HEAD", TOKEN, HTTP_AUTHORIZATION=BASIC).status_code == 405

    @pytest.mark.parametrize("path", [*FOR_MACHINES, AUTHORIZE, RESUME, END_SESSION, *PAGES])
    def test_options_tell_nothing_but_methods(self, target: Target, path: str) -> None:
        response = target.send("OPTIONS", path, query=asking(), HTTP_ORIGIN="https://evil.example")
        assert response.status_code == (405 if path in PAGES else 204)
        assert response["Allow"]
        assert response.get("Access-Control-Allow-Origin", "") in {"", "*"}


def encoded(text: str | bytes) -> str:
    octets = text.encode() if isinstance(text, str) else text
    return base64.b64encode(octets).decode()


#: Parameters that are a secret or a token, of every kind of request.
SECRETS = (
    "access_token",
    "actor_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "password",
    "refresh_token",
    "subject_token",
    "token",
)

#: Authorization headers that authenticate nobody.
NOBODY = {
    "empty": "",
    "only a scheme": "Basic",
    "scheme and space": "Basic ",
    "not base64": "Basic !!!",
    "base64url": "Basic YXBwOnNl-_-_",
    "not ASCII": "Basic \xff\xfe",
    "no colon": f"Basic {encoded(CLIENT_ID)}",
    "only a colon": f"Basic {encoded(':')}",
    "no secret": f"Basic {encoded(CLIENT_ID + ':')}",
    "no client": f"Basic {encoded(':' + SECRET)}",
    "octets that are not UTF-8": f"Basic {encoded(bytes([0xFF, 0x3A, 0xFF]))}",
    "escapes that are not UTF-8": f"Basic {encoded(CLIENT_ID + ':%FF')}",
    "NUL": f"Basic {encoded(chr(0) + ':' + chr(0))}",
    "escaped NUL": f"Basic {encoded('app%00:secret')}",
    "escaped line feed": f"Basic {encoded('app%0A:secret')}",
    "lone surrogate": f"Basic {encoded('app:%ED%A0%80')}",
    "huge": f"Basic {encoded('a' * 100_000)}",
    "huge client_id": f"Basic {encoded('a' * 2000 + ':b')}",
    "two": f"{BASIC}, {BASIC}",
    "two schemes": f"{BASIC}, Bearer x",
    "another scheme": "Digest username=app",
    "Bearer": "Bearer x",
    "scheme alone repeated": f"Basic {BASIC}",
    "spaces inside": f"Basic {encoded(CLIENT_ID + ':' + SECRET)[:8]} {encoded(CLIENT_ID + ':' + SECRET)[8:]}",
    "case of the client_id": f"Basic {encoded(CLIENT_ID.upper() + ':' + SECRET)}",
    "wrong secret": f"Basic {encoded(CLIENT_ID + ':wrong')}",
    "unknown client": f"Basic {encoded('nobody:' + SECRET)}",
}


class TestClientCredentials:
    """401 for whatever does not prove a client; 400 where it is presented in two ways."""

    def test_authorization_header(self, target: Target) -> None:
        form = "grant_type=refresh_token&refresh_token=x"
        for name, header in NOBODY.items():
            for response in (
                target.send_form(TOKEN, form, HTTP_AUTHORIZATION=header),
                target.send_form(TOKEN, f"{form}&client_id={CLIENT_ID}", HTTP_AUTHORIZATION=header),
            ):
                with target.attacked_with(name):
                    is_refused_as_json(response)
                    assert json.loads(response.content)["error"] in {"invalid_client", "invalid_request"}

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ("a=", "invalid_client"),
            ("grant_type=authorization_code", "invalid_client"),
            ("client_secret=x", "invalid_request"),
            (f"client_id={CLIENT_ID}", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_secret=wrong", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_secret=", "invalid_client"),
            (f"client_id=nobody&client_secret={SECRET}", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_secret=%F0%9F%A6%8A", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_secret={'a' * 2000}", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_assertion_type=x&client_assertion=a.b.c", "invalid_client"),
            (f"client_id={CLIENT_ID}&client_id={CLIENT_ID}&client_secret={SECRET}", "invalid_request"),
        ],
    )
    def test_in_the_body(self, target: Target, form: str, error: str) -> None:
        is_refused_as_json(target.send_form(TOKEN, form), error)

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            (f"client_id={CLIENT_ID}&client_secret={SECRET}", "invalid_request"),
            ("client_id=other", "invalid_request"),
            (f"client_id=other&client_secret={SECRET}", "invalid_request"),
        ],
    )
    def test_beside_a_good_header(self, target: Target, form: str, error: str) -> None:
        is_refused_as_json(target.send_form(TOKEN, form, HTTP_AUTHORIZATION=BASIC), error)

    @pytest.mark.parametrize("path", [TOKEN, INTROSPECT, REVOKE, DEVICE_AUTHORIZATION])
    @pytest.mark.parametrize("name", SECRETS)
    def test_in_the_query(self, target: Target, name: str, path: str) -> None:
        """Whatever grant type, token or secret it belongs to: logs and histories keep it."""
        form = "grant_type=client_credentials&token=x&scope=openid"
        response = target.send_form(path, form, query=f"{name}=x", HTTP_AUTHORIZATION=BASIC)
        is_refused_as_json(response, "invalid_request")
        assert name in json.loads(response.content)["error_description"]

    @pytest.mark.parametrize("name", SECRETS)
    def test_in_an_authorization_request(self, target: Target, name: str) -> None:
        """An authorization request is a query, and is shown, stored and sent on."""
        response = target.send("GET", AUTHORIZE, query=asking(f"{name}=x"))
        assert response.status_code == 400
        is_our_page(response)


class TestTokenRequests:
    """What an authenticated client may still get wrong."""

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ("", "invalid_request"),
            ("grant_type=", "invalid_request"),
            ("grant_type=password&username=victim&password=the+password", "unsupported_grant_type"),
            ("grant_type=implicit", "unsupported_grant_type"),
            ("grant_type=AUTHORIZATION_CODE&code=x", "unsupported_grant_type"),
            ("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=a.b.c", "unsupported_grant_type"),
            (f"grant_type={EMOJI}", "unsupported_grant_type"),
            ("grant_type=client_credentials", "unauthorized_client"),
            ("grant_type=authorization_code", "invalid_request"),
            ("grant_type=authorization_code&code=", "invalid_request"),
            ("grant_type=authorization_code&code=x", "invalid_grant"),
            (f"grant_type=authorization_code&code={'x' * 2000}", "invalid_grant"),
            (f"grant_type=authorization_code&code={EMOJI}", "invalid_grant"),
            (
                f"grant_type=authorization_code&code=x&redirect_uri=http://[::1&code_verifier={VERIFIER}",
                "invalid_grant",
            ),
            ("grant_type=refresh_token", "invalid_request"),
            ("grant_type=refresh_token&refresh_token=x", "invalid_grant"),
            ("grant_type=refresh_token&refresh_token=%27%3B--&scope=*", "invalid_grant"),
            ("grant_type=refresh_token&refresh_token=x&resource=http://[::1", "invalid_grant"),
        ],
    )
    def test_wrong(self, target: Target, form: str, error: str) -> None:
        is_refused_as_json(target.send_form(TOKEN, form, HTTP_AUTHORIZATION=BASIC), error)


class TestBearerTokens:
    """UserInfo takes access tokens of ours, in the header or in a form."""

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer \0",
            "Bearer \xff.\xff.\xff",
            "Bearer a b",
            "Bearer ..",
            "Bearer a.b",
            "Bearer a.b.c.d.e",
            "Bearer " + "a." * 20_000,
            "Bearer " + "a" * 60_000,
            "Bearer e30.e30.e30, Bearer e30.e30.e30",
            BASIC,
            "DPoP e30.e30.e30",
        ],
        ids=lambda header: repr(header)[:40],
    )
    def test_header(self, target: Target, header: str) -> None:
        response = target.send("GET", USERINFO, HTTP_AUTHORIZATION=header)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer ")
        is_refused_as_json(response, "invalid_token")

    def test_in_the_query(self, target: Target) -> None:
        is_refused_as_json(target.send("GET", USERINFO, query="access_token=x"), "invalid_request")

    def test_in_two_ways(self, target: Target) -> None:
        is_refused_as_json(
            target.send_form(USERINFO, "access_token=x", HTTP_AUTHORIZATION="Bearer x"), "invalid_request"
        )


class TestLogoutRequests:
    """A logout request with anything unproved sends nobody anywhere."""

    @pytest.mark.parametrize(
        "query",
        [
            f"post_logout_redirect_uri={LOGGED_OUT_URI}",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri=https://evil.example",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri={LOGGED_OUT_URI}/",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri={REDIRECT_URI}",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri=javascript:alert(1)",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri=http://[::1",
            f"client_id={CLIENT_ID}&post_logout_redirect_uri=https://app.example:99999/signed-out",
            "client_id=nobody",
            f"client_id=nobody&post_logout_redirect_uri={LOGGED_OUT_URI}",
            "id_token_hint=x",
            "id_token_hint=a.b.c",
            "id_token_hint=eyJhbGciOiJub25lIn0.e30.",
            f"id_token_hint=x&client_id={CLIENT_ID}&post_logout_redirect_uri={LOGGED_OUT_URI}",
        ],
    )
    def test_refused(self, target: Target, query: str) -> None:
        response = target.send("GET", END_SESSION, query=query)
        assert response.status_code == 400
        is_our_page(response)
        assert "sessionid" in target.http.cookies
        assert target.http.session.get("_auth_user_id") == str(target.user.pk)


class TestPages:
    """Handles that are none, and forms that nobody's browser would send."""

    HANDLES = (
        "",
        "x",
        "a" * 43,
        "a" * 10_000,
        "%00" * 43,
        EMOJI * 43,
        "..%2F" * 10,
        "%27%20OR%201=1",
        "[]",
        "a" * 42 + "+",
    )

    @pytest.mark.parametrize("path", [RESUME, *PAGES])
    def test_handle_that_is_none(self, target: Target, path: str) -> None:
        for handle in self.HANDLES:
            for response in (
                target.send("GET", path, query=f"request={handle}"),
                target.send_form(path, f"request={handle}&allow=yes&cancel=yes", query=f"request={handle}"),
            ):
                with target.attacked_with(handle):
                    stays_with_us(response)

    @pytest.mark.parametrize(
        "form",
        [
            "",
            "username=%00&password=%00",
            "username=a%00b&password=the+password",
            f"username={'a' * 100_000}&password=x",
            f"username=victim&password={'a' * 100_000}",
            f"username={EMOJI * 500}&password={EMOJI * 500}",
            "username=%FF&password=%FF",
            "username=%ED%A0%80&password=x",
            "username[]=victim&password[]=x",
            "username=victim&username=other&password=x&password=y",
            "username=%EF%BC%BCx%E2%80%AE&password=x",
            "username=%27%20OR%20%271%27=%271&password=x",
        ],
        ids=lambda form: form[:40],
    )
    def test_login_form(self, target: Target, form: str) -> None:
        target.http.logout()
        response = target.send_form("/account/login", form)
        assert response.status_code == 200
        is_our_page(response)
        assert "_auth_user_id" not in target.http.session

    def test_forged_headers_of_the_browser(self, target: Target) -> None:
        """Some servers let a NUL through in a header, which no PostgreSQL stores."""
        target.http.logout()
        environ = {
            "HTTP_USER_AGENT": "a\0b" + "c" * 1000,
            "REMOTE_ADDR": "not an address",
            "HTTP_X_FORWARDED_FOR": "\0",
        }
        response = target.send_form("/account/login", "username=victim&password=the+password", **environ)
        assert response.status_code == 303
        assert "_auth_user_id" in target.http.session

    @pytest.mark.parametrize("path", FOR_BROWSERS)
    def test_hostile_cookies(self, target: Target, path: str) -> None:
        for cookie in (
            'csrftoken="\\000"',
            "csrftoken=" + "a" * 5000,
            'identityserver_="\\000"',
            "=;;=;" * 100,
            "\xff\xfe=\xff",
            "sessionid=" + "a" * 5000,
        ):
            target.http.cookies.clear()
            response = target.send("GET", path, HTTP_COOKIE=cookie)
            assert response.status_code in HARMLESS


class TestDocuments:
    """Discovery and keys are the same for everybody."""

    @pytest.mark.parametrize("path", DOCUMENTS)
    def test_hostile_preconditions(self, target: Target, path: str) -> None:
        for value in ("*", '"', "\xff", '"' * 9000, "W/" * 9000, '"a",' * 9000, "\0"):
            response = target.send("GET", path, HTTP_IF_NONE_MATCH=value, HTTP_ORIGIN=value, HTTP_ACCEPT=value)
            with target.attacked_with(value):
                assert response.status_code == (304 if value == "*" else 200)
                assert value == "*" or json.loads(response.content)


class TestHostileTokens:
    """RFC 7662 §2.2, RFC 7009 §2.2: whatever is sent as token is inactive, and no error to revoke."""

    @pytest.mark.parametrize(
        "token",
        [
            "%20",
            "..",
            "a.b",
            "e30.e30.e30",
            "a." * 20_000,
            "a" * 50_000,
            "a" * 43,
            "=" * 43,
            EMOJI * 43,
            "%22" * 43,
            "undefined",
            "%27%20OR%201=1%20--",
            f"{'A' * 43}.{'A' * 43}.{'A' * 86}",
        ],
        ids=lambda token: token[:20],
    )
    def test_is_nobody_s(self, target: Target, token: str) -> None:
        for hint in ("", "access_token", "refresh_token", "x", EMOJI, "a" * 2000):
            form = f"token={token}&token_type_hint={hint}"
            told = target.send_form(INTROSPECT, form, HTTP_AUTHORIZATION=BASIC)
            assert (told.status_code, told.json()) == (200, {"active": False})
            done = target.send_form(REVOKE, form, HTTP_AUTHORIZATION=BASIC)
            assert (done.status_code, done.content) == (200, b"")

    def test_too_long_for_any_token(self, target: Target) -> None:
        for path in (INTROSPECT, REVOKE):
            response = target.send_form(path, f"token={'a' * 50_001}", HTTP_AUTHORIZATION=BASIC)
            is_refused_as_json(response, "invalid_request")
