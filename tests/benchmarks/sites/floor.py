"""The floor: a WSGI application that does for each operation only what cannot be avoided.

It parses, authenticates the client, signs, and does in one transaction what must be durable, in plain SQL on copies
of our tables. It is as correct as it is short: single use is decided by a conditional UPDATE, which comes first, and
client, user, session and grant are checked. It has no error answers, no extension and no second way to do anything.
"""

import base64
import json
import os
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_plus, urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

import psycopg

from tests.benchmarks.sites import floor_sql as statements
from tests.benchmarks.sites.floor_tokens import digest, left_hash, signed, verified

ISSUER = "https://id.example"
_HOUR = 3600

Row = tuple[Any, ...]
Answer = tuple[str, list[tuple[str, str]], bytes]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client as it is kept in memory.

    Attributes:
        access_token: the algorithm of its access tokens, or ``""`` for reference tokens.
    """

    pk: int
    secret: str
    access_token: str
    id_token: str
    scope: str


_threads = threading.local()


def _connection() -> psycopg.Connection:
    """This thread's, as Django has it."""
    if not hasattr(_threads, "connection"):
        _threads.connection = psycopg.connect(os.environ["BENCHMARK_DATABASE"], autocommit=True)
    return cast(psycopg.Connection, _threads.connection)


_described = json.loads(Path(os.environ["BENCHMARK_DESCRIPTION"]).read_text().strip().splitlines()[-1])
_ACCESS_TOKENS = {"machine_rs256": "RS256", "machine_reference": "", "web_reference": ""}
_ID_TOKENS = {"web_es256": "ES256"}

_INSERT_GRANT = statements.insert(
    _connection(),
    "identityserver_grant",
    *("id", "client_id", "user_id", "subject", "session_id", "sid", "kind", "scopes", "auth_time", "created"),
    *("last_used", "expires"),
)
_INSERT_CODE = statements.insert(
    _connection(),
    "identityserver_authorizationcode",
    *("digest", "created", "expires", "grant_id", "redirect_uri", "code_challenge", "nonce"),
)
_INSERT_REFRESH_TOKEN = statements.insert(
    _connection(), "identityserver_refreshtoken", "digest", "created", "expires", "generation", "grant_id"
)
_INSERT_REFERENCE_TOKEN = statements.insert(
    _connection(),
    "identityserver_referencetoken",
    *("digest", "created", "expires", "client_id", "grant_id", "claims"),
)
_INSERT_PARTICIPATION = statements.insert(
    _connection(), "identityserver_sessionclient", "session_id", "client_id", "created"
)


def _client(name: str, role: Mapping[str, str]) -> Client:
    pk, secret = _connection().execute(statements.READ_CLIENT, [role["client_id"]]).fetchone() or ()
    algorithm = _ACCESS_TOKENS.get(name, "ES256")
    id_token = _ID_TOKENS.get(name, "RS256")
    return Client(pk=pk, secret=secret, access_token=algorithm, id_token=id_token, scope=role["scope"])


_clients = {role["client_id"]: _client(name, role) for name, role in _described["roles"].items()}
_discovery, _jwks = (text.encode() for text in _described["documents"])


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """PEP 3333."""
    status, headers, body = _ENDPOINTS[environ["PATH_INFO"]](environ)
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


def token(environ: WSGIEnvironment) -> Answer:
    """The token endpoint."""
    form = _form(environ)
    client_id, client = _authenticated(environ)
    return _json(_GRANT_TYPES[form["grant_type"]](client_id, client, form))


def client_credentials(client_id: str, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """A token of the client's own: a signature, or one INSERT."""
    now = datetime.now(UTC)
    claims = _access_claims(client_id, client_id, None, form["scope"], now)
    value = _access_token(client, claims, None, now)
    return {"access_token": value, "token_type": "Bearer", "expires_in": _HOUR, "scope": form["scope"]}


def authorization_code(client_id: str, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """Take the code, store what follows from it."""
    now = datetime.now(UTC)
    with _connection().transaction():
        row = _connection().execute(statements.REDEEM_CODE, [now, digest(form["code"])]).fetchone()
        redirect_uri, challenge, nonce = _still_good(row, client, now)[12:]
        _insist(redirect_uri == form["redirect_uri"], challenge == digest(form["code_verifier"]))
        return _tokens(client_id, client, row, now, generation=0, nonce=nonce)


def refresh_token(client_id: str, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
    """Take the refresh token, store its successor."""
    now = datetime.now(UTC)
    with _connection().transaction():
        row = _connection().execute(statements.USE_REFRESH_TOKEN, [now, digest(form["refresh_token"])]).fetchone()
        (generation,) = _still_good(row, client, now)[12:]
        return _tokens(client_id, client, row, now, generation=generation + 1)


def introspection(environ: WSGIEnvironment) -> Answer:
    """One SELECT."""
    form, (_, client) = _form(environ), _authenticated(environ)
    row = _connection().execute(statements.INTROSPECT, [digest(form["token"])]).fetchone()
    claims, client_pk, expires, *revoked, is_active = row or ()
    _insist(client_pk == client.pk, expires > datetime.now(UTC), not any(revoked), is_active)
    return _json({"active": True, **claims})


def userinfo(environ: WSGIEnvironment) -> Answer:
    """One signature to check, one SELECT."""
    claims = verified(environ["HTTP_AUTHORIZATION"].partition(" ")[2])
    _insist(claims["iss"] == ISSUER, claims["exp"] > datetime.now(UTC).timestamp())
    row = _connection().execute(statements.READ_PERSON, [claims["jti"].partition(".")[0]]).fetchone()
    subject, scopes, revoked_at, is_active, enabled, first_name, last_name, email, username = row or ()
    _insist(revoked_at is None, is_active, enabled, "openid" in scopes)
    names = {"name": f"{first_name} {last_name}", "given_name": first_name, "family_name": last_name}
    return _json({"sub": subject, **names, "preferred_username": username, "email": email, "email_verified": False})


def authorize(environ: WSGIEnvironment) -> Answer:
    """One SELECT, and one transaction."""
    asked = dict(parse_qsl(environ["QUERY_STRING"]))
    client, sid = _clients[asked["client_id"]], environ["HTTP_COOKIE"].partition("=")[2]
    now, scopes = datetime.now(UTC), asked["scope"].split()
    row = _connection().execute(statements.READ_SESSION, [client.pk, client.pk, sid]).fetchone()
    session, user, subject, auth_time, ended_at, expires, is_active, consented, takes_part = row or ()
    _insist(ended_at is None, expires > now, is_active)
    assert "offline_access" in scopes or set(scopes) <= set(consented)
    grant, code, month = uuid.uuid4(), secrets.token_urlsafe(32), now + timedelta(days=30)
    origin = (subject, session, sid, "authorization_code", json.dumps(scopes), auth_time)
    with _connection().transaction():
        _connection().execute(_INSERT_GRANT, [grant, client.pk, user, *origin, now, now, month])
        bound = (asked["redirect_uri"], asked["code_challenge"], asked["nonce"])
        _connection().execute(_INSERT_CODE, [digest(code), now, now + timedelta(minutes=10), grant, *bound])
        if not takes_part:
            _connection().execute(f"{_INSERT_PARTICIPATION} ON CONFLICT DO NOTHING", [session, client.pk, now])
    query = urlencode({"code": code, "state": asked["state"], "iss": ISSUER})
    return "303 See Other", [("Location", f"{asked['redirect_uri']}?{query}")], b""


def _still_good(row: Row | None, client: Client, now: datetime) -> Row:
    assert row is not None
    client_pk, expires, grant_expires, revoked_at, is_active, enabled, ended_at = row[1], *row[6:12]
    _insist(client_pk == client.pk, expires > now, grant_expires > now)
    _insist(revoked_at is None, is_active, enabled, ended_at is None)
    return row


def _tokens(
    client_id: str, client: Client, row: Row | None, now: datetime, *, generation: int, nonce: str = ""
) -> dict[str, Any]:
    assert row is not None
    grant, _, subject, scopes, auth_time, sid = row[:6]
    scope, value = " ".join(scopes), secrets.token_urlsafe(32)
    month = now + timedelta(days=30)
    _connection().execute(_INSERT_REFRESH_TOKEN, [digest(value), now, month, generation, grant])
    claims = _access_claims(client_id, subject, grant, scope, now)
    access_token = _access_token(client, claims, grant, now)
    about = {"iss": ISSUER, "sub": subject, "aud": client_id, "iat": claims["iat"], "exp": claims["iat"] + 300}
    about |= {"auth_time": int(auth_time.timestamp()), "at_hash": left_hash(access_token), "sid": sid, "nonce": nonce}
    return {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": _HOUR,
        "scope": scope,
        "refresh_token": value,
        "id_token": signed(client.id_token, "JWT", about),
    }


def _access_claims(client_id: str, subject: str, grant: uuid.UUID | None, scope: str, now: datetime) -> dict[str, Any]:
    issued, unique = int(now.timestamp()), secrets.token_urlsafe(12)
    return {
        "iss": ISSUER,
        "sub": subject,
        "aud": "https://es256.example",
        "client_id": client_id,
        "scope": scope,
        "iat": issued,
        "exp": issued + _HOUR,
        "jti": f"{grant.hex}.{unique}" if grant else unique,
    }


def _access_token(client: Client, claims: dict[str, Any], grant: uuid.UUID | None, now: datetime) -> str:
    if client.access_token:
        return signed(client.access_token, "at+jwt", claims)
    value = secrets.token_urlsafe(32)
    stored = [digest(value), now, now + timedelta(seconds=_HOUR), client.pk, grant, json.dumps(claims)]
    _connection().execute(_INSERT_REFERENCE_TOKEN, stored)
    return value


def _insist(*conditions: bool) -> None:
    """The floor has no error answers: whatever is refused ends in the server's own."""
    assert all(conditions)


def _authenticated(environ: WSGIEnvironment) -> tuple[str, Client]:
    joined = base64.b64decode(environ["HTTP_AUTHORIZATION"].partition(" ")[2]).decode()
    client_id, _, secret = map(unquote_plus, joined.partition(":"))
    client = _clients[client_id]
    assert secrets.compare_digest(digest(secret), client.secret)
    return client_id, client


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    return dict(parse_qsl(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()))


def _json(members: Mapping[str, Any]) -> Answer:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return "200 OK", headers, json.dumps(members, separators=(",", ":")).encode()


def _document(body: bytes) -> Callable[[WSGIEnvironment], Answer]:
    answer = ("200 OK", [("Content-Type", "application/json")], body)
    return lambda _environ: answer


_GRANT_TYPES = {
    "client_credentials": client_credentials,
    "authorization_code": authorization_code,
    "refresh_token": refresh_token,
}
_ENDPOINTS = {
    "/token": token,
    "/introspection": introspection,
    "/userinfo": userinfo,
    "/authorize": authorize,
    "/discovery": _document(_discovery),
    "/jwks": _document(_jwks),
}
