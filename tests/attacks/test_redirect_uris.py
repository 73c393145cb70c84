"""Redirect URIs match as whole strings (RFC 9700 §2.1); anything else gets our error page and no Location.

The one exception is the port of a loopback IP literal (RFC 8252 §7.3).
"""

from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError

from identityserver.models import Client
from identityserver.testing import RelyingParty
from tests.attacks.target import Target, asking, is_our_page

WEB = "https://app.example/callback"
QUERY = "https://app.example/with?tenant=1"
LOOPBACK = "http://127.0.0.1:8000/callback"
LOOPBACK_6 = "http://[::1]/callback"
LOCALHOST = "http://localhost:3000/callback"
APP = "com.example.app:/callback"

ATTACKS = {
    "trailing slash": "https://app.example/callback/",
    "two slashes": "https://app.example//callback",
    "path below": "https://app.example/callback/evil",
    "path above": "https://app.example/",
    "path traversal": "https://app.example/callback/../evil",
    "escaped path traversal": "https://app.example/callback/%2e%2e/evil",
    "dot segment": "https://app.example/./callback",
    "path parameter": "https://app.example/callback;x",
    "query": "https://app.example/callback?x=1",
    "empty query": "https://app.example/callback?",
    "fragment": "https://app.example/callback#x",
    "empty fragment": "https://app.example/callback#",
    "escaped letter": "https://app.example/c%61llback",
    "case of the path": "https://app.example/Callback",
    "case of the host": "https://APP.example/callback",
    "case of the scheme": "HTTPS://app.example/callback",
    "port spelled out": "https://app.example:443/callback",
    "empty port": "https://app.example:/callback",
    "port of an attacker": "https://app.example:99999/callback",
    "negative port": "https://app.example:-1/callback",
    "another port": "https://app.example:8443/callback",
    "user name": "https://evil@app.example/callback",
    "host as user name": "https://app.example@evil.example/callback",
    "host and escaped at sign": "https://app.example%40evil.example/callback",
    "subdomain": "https://evil.app.example/callback",
    "longer domain": "https://app.example.evil.example/callback",
    "other domain ending alike": "https://evilapp.example/callback",
    "dot after the host": "https://app.example./callback",
    "other domain": "https://evil.example/callback",
    "plain http": "http://app.example/callback",
    "no scheme": "//app.example/callback",
    "only a path": "/callback",
    "three slashes": "https:///app.example/callback",
    "one slash": "https:/app.example/callback",
    "backslashes": "https:\\\\app.example\\callback",
    "backslash before the host": "https://evil.example\\@app.example/callback",
    "backslash in the path": "https://app.example\\callback",
    "tab inside": "https://app.example/call\tback",
    "line feed at the end": "https://app.example/callback\n",
    "header injection": "https://app.example/callback\r\nSet-Cookie: a=b",
    "space at the end": "https://app.example/callback ",
    "space before": " https://app.example/callback",
    "NUL at the end": "https://app.example/callback\0",
    "escaped NUL": "https://app.example/callback%00",
    "escaped line feed": "https://app.example/callback%0d%0aSet-Cookie:a=b",
    "full-width letters": "https://\uff41pp.example/callback",
    "ideographic full stop": "https://app\u3002example/callback",
    "right-to-left override": "https://app.example/\u202ecallback",
    "no-break space": "https://app.example/callback\u00a0",
    "broken IPv6": "https://[::1",
    "IPv6 with a zone": "https://[fe80::1%25eth0]/callback",
    "brackets without an address": "https://[app.example]/callback",
    "javascript": "javascript:alert(document.domain)",
    "javascript with the URI behind": "javascript://app.example/callback%0aalert(1)",
    "javascript in another case": "JaVaScRiPt:alert(1)",
    "javascript after a tab": "java\tscript:alert(1)",
    "data": "data:text/html;base64,PHNjcmlwdD4=",
    "vbscript": "vbscript:msgbox(1)",
    "file": "file:///etc/passwd",
    "about": "about:blank",
    "blob": "blob:https://app.example/callback",
    "view-source": "view-source:https://app.example/callback",
    "two registered": "https://app.example/callback https://app.example/with?tenant=1",
    "a registered one inside": "https://evil.example/?https://app.example/callback",
    "wildcard": "https://app.example/*",
    "registered query changed": "https://app.example/with?tenant=2",
    "registered query with more": "https://app.example/with?tenant=1&x=2",
    "registered query before": "https://app.example/with?x=2&tenant=1",
    "registered query left out": "https://app.example/with",
    "loopback with another path": "http://127.0.0.1:1/evil",
    "loopback with a query": "http://127.0.0.1:1/callback?x=1",
    "loopback with an empty query": "http://127.0.0.1:1/callback?",
    "loopback with a fragment": "http://127.0.0.1:1/callback#x",
    "loopback with an empty fragment": "http://127.0.0.1:1/callback#",
    "loopback with a user name": "http://x@127.0.0.1:1/callback",
    "loopback as a user name": "http://127.0.0.1:1@evil.example/callback",
    "loopback with an empty port": "http://127.0.0.1:/callback",
    "loopback with port zero": "http://127.0.0.1:0/callback",
    "loopback with a port too high": "http://127.0.0.1:65536/callback",
    "loopback with a strange port": "http://127.0.0.1:+80/callback",
    "loopback with a port in other digits": "http://127.0.0.1:\u0668\u0660/callback",
    "loopback by https": "https://127.0.0.1:1/callback",
    "loopback with the scheme in another case": "HTTP://127.0.0.1:1/callback",
    "another loopback address": "http://127.0.0.2:1/callback",
    "loopback in octal": "http://0177.0.0.1:1/callback",
    "loopback as a number": "http://2130706433:1/callback",
    "loopback shortened": "http://127.1:1/callback",
    "loopback by name": "http://localhost:1/callback",
    "loopback as a domain": "http://127.0.0.1.evil.example:1/callback",
    "IPv6 loopback at length": "http://[0:0:0:0:0:0:0:1]:1/callback",
    "IPv4 loopback in IPv6": "http://[::ffff:127.0.0.1]:1/callback",
    "name with another port": "http://localhost:4000/callback",
    "scheme of an app with a host": "com.example.app://callback",
    "scheme of an app in another case": "COM.EXAMPLE.APP:/callback",
    "scheme of an app longer": "com.example.app.evil:/callback",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered(target: Target) -> Target:
    Client.objects.update(redirect_uris=[WEB, QUERY, LOOPBACK, LOOPBACK_6, LOCALHOST, APP])
    return target


def ask(target: Target, uri: str, **changes: str):
    return target.send("GET", "/connect/authorize", query=asking(redirect_uri=uri, **changes))


def test_only_what_is_registered(registered: Target) -> None:
    """Neither a code nor an error goes anywhere else: there is no Location at all."""
    for name, uri in ATTACKS.items():
        for changes in ({}, {"response_type": "nonsense", "response_mode": "form_post"}):
            response = ask(registered, uri, **changes)
            with registered.attacked_with(f"{name}: {uri}"):
                assert response.status_code == 400
                assert "Location" not in response
                is_our_page(response)
                assert "redirect_uri" in response.content.decode()


def test_repeated(registered: Target) -> None:
    for query in (asking(f"redirect_uri={quote(WEB)}"), asking(f"redirect_uri={quote('https://evil.example/')}")):
        response = registered.send("GET", "/connect/authorize", query=query)
        assert "Location" not in response
    registered.gives_nothing()


@pytest.mark.parametrize(
    "uri",
    [WEB, QUERY, LOOPBACK, LOOPBACK_6, LOCALHOST, APP, "http://127.0.0.1:1/callback", "http://[::1]:65535/callback"],
)
def test_what_is_registered(registered: Target, uri: str) -> None:
    response = ask(registered, uri)
    assert response.status_code == 303
    joint = "&" if "?" in uri else "?"
    assert response["Location"].startswith(f"{uri}{joint}code=")


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///x",
        "blob:https://app.example/x",
        "about:blank",
        "ftp://app.example/x",
        "https://app.example/*",
        "https://*.example/callback",
        "https://app.example/callback#x",
        "https://user:password@app.example/callback",
        "http://app.example/callback",
        "https://app.example:99999/callback",
        "https://[::1/callback",
        "https://app.example\\callback",
        "https://app.example/call\tback",
        "https://app.example/\r\nX: y",
        "https://app.example/%0d%0aX: y",
        "//app.example/callback",
        "/callback",
        "callback",
        "myapp:/callback",
        "",
    ],
)
def test_what_nobody_may_register(relying_party: type[RelyingParty], db: None, uri: str) -> None:
    with pytest.raises(ValidationError):
        relying_party(redirect_uris=[uri])


@pytest.mark.parametrize("uri", ["javascript:alert(1)//", "data:text/html,x", "https://*/", "http://app.example/"])
def test_a_row_that_nobody_validated(target: Target, uri: str) -> None:
    """An import, or a hand on the database: the client is refused at run time, too."""
    Client.objects.update(redirect_uris=[uri])
    for mode in ("query", "form_post"):
        response = ask(target, uri, response_mode=mode)
        assert response.status_code == 400
        assert "Location" not in response
        assert f'action="{uri}' not in response.content.decode()
    target.gives_nothing()
