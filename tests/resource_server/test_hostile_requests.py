"""Whatever is sent to an API as a token, the answer is a refusal and never a 500."""

import base64
import json

import pytest


def jwt(header: object, payload: object, signature: bytes = b"x") -> str:
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


TOKENS = [
    "",
    " ",
    ".",
    "..",
    "...",
    "....",
    "a.b.c",
    "a b",
    "=.=.=",
    "\xff\xfe",
    "\x00",
    "'; DROP TABLE users; --",
    "e" * 60_000,
    "ey" + "J" * 60_000 + ".x.y",
    jwt([], []),
    jwt(None, None),
    jwt({}, {}),
    jwt({"alg": "none", "typ": "at+jwt"}, {"iss": "http://testserver"}, b""),
    jwt({"alg": "none", "typ": "at+jwt"}, {"iss": "http://testserver"}),
    jwt({"alg": "HS256", "typ": "at+jwt"}, {"iss": "http://testserver"}),
    jwt({"alg": ["ES256"], "typ": {}, "kid": []}, {"iss": "http://testserver"}),
    jwt({"alg": "ES256", "typ": "at+jwt", "jku": "https://evil.example"}, {"iss": "http://testserver"}),
    jwt({"alg": "ES256", "typ": "at+jwt"}, {"iss": ["http://testserver"], "aud": {}}),
    f"{jwt({}, {}).split('.')[0]}.{base64.urlsafe_b64encode(b'[' * 30_000).decode()}.eA",
]


@pytest.mark.parametrize("path", ["/api/notes", "/api/statistics", "/api/plain"])
@pytest.mark.parametrize("scheme", ["Bearer", "DPoP", "Basic", "", "Bearer Bearer"])
def test_in_the_header(path, scheme, api):
    for token in TOKENS:
        assert api.get(path, token, scheme=scheme).status_code == 401, token[:80]


@pytest.mark.parametrize("path", ["/api/statistics", "/api/plain"])
def test_in_a_form(path, api):
    for token in TOKENS:
        assert api.http.post(path, {"access_token": token}).status_code == 401, token[:80]


@pytest.mark.parametrize(
    "query",
    ["access_token", "access_token=", "a=%zz", "a=%", "=&=&", "a=1&a=2", "%00=%00", "a=\\", "a=b;c", "ä=ö", "%ff"],
)
def test_in_the_query(query, api, token):
    for path in ("/api/notes", "/api/plain", "/api/page"):
        response = api.http.get(f"{path}?{query}", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code in {200, 400, 401, 403}, path


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "x"])
@pytest.mark.parametrize("body", [b"", b"{", b"\x00\xff", b"access_token=%zz", b"access_token=%ff", b"--x\r\n\r\n"])
def test_in_a_body(media_type, body, api):
    for path in ("/api/statistics", "/api/plain"):
        assert api.http.generic("POST", path, body, media_type).status_code in {400, 401, 415}
