"""Where our time goes: CPU microseconds of a request by layer, each without the layers it calls.

A WSGI application around another one. It answers ``GET /layers`` with what was spent since it was last asked.
Clocks are read where one layer calls another and nowhere else, so that they cost little of what they measure.
"""

import functools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_spent: defaultdict[str, float] = defaultdict(float)
_waited: defaultdict[str, float] = defaultdict(float)
_calls: Counter[str] = Counter()
_stack: list[str] = []
_last = [0.0, 0.0]

#: What makes up each layer: ``module:attribute``, where an attribute may be a method.
LAYERS: dict[str, tuple[str, ...]] = {
    "database driver and round trip": (
        "psycopg:Cursor.execute",
        "psycopg:Cursor.executemany",
        "psycopg:Cursor.fetchone",
        "psycopg:Cursor.fetchmany",
        "psycopg:Cursor.fetchall",
        "psycopg:Connection.commit",
        "psycopg:Connection.rollback",
        "psycopg:Connection.set_autocommit",
    ),
    "ORM: compiling queries": (
        "django.db.models.sql.compiler:SQLCompiler.as_sql",
        "django.db.models.sql.compiler:SQLInsertCompiler.as_sql",
        "django.db.models.sql.compiler:SQLUpdateCompiler.as_sql",
    ),
    "ORM: executing, cursors": (
        "django.db.models.sql.compiler:SQLCompiler.execute_sql",
        "django.db.models.sql.compiler:SQLInsertCompiler.execute_sql",
        "django.db.models.sql.compiler:SQLUpdateCompiler.execute_sql",
        "django.db.transaction:Atomic.__enter__",
        "django.db.transaction:Atomic.__exit__",
        "django.db.backends.base.base:BaseDatabaseWrapper.close_if_unusable_or_obsolete",
        "django.db.backends.base.base:BaseDatabaseWrapper.close_if_health_check_failed",
    ),
    "ORM: building querysets and rows": (
        "django.db.models.query:QuerySet.filter",
        "django.db.models.query:QuerySet.exclude",
        "django.db.models.query:QuerySet.select_related",
        "django.db.models.query:QuerySet.annotate",
        "django.db.models.query:QuerySet.values",
        "django.db.models.query:QuerySet.values_list",
        "django.db.models.query:QuerySet.first",
        "django.db.models.query:QuerySet.get",
        "django.db.models.query:QuerySet.exists",
        "django.db.models.query:QuerySet.update",
        "django.db.models.query:QuerySet.create",
        "django.db.models.query:QuerySet.bulk_create",
        "django.db.models.query:QuerySet._fetch_all",
        "django.db.models.base:Model.__init__",
        "django.db.models.base:Model.save",
    ),
    "signatures": ("identityserver.jose:Signer.sign", "identityserver.jose:verify"),
    "sessions and user": (
        "django.contrib.sessions.backends.base:SessionBase._get_session",
        "django.contrib.sessions.backends.db:SessionStore.load",
        "django.contrib.auth:get_user",
        "identityserver.web.session:UserSessionMiddleware.serve",
    ),
    "JSON and response": (
        "identityserver.endpoints.base:json_response",
        "identityserver.endpoints.response_modes:deliver",
    ),
    "endpoint: everything else": ("identityserver.endpoints.base:ProtocolEndpoint.dispatch",),
}


def layered(application: WSGIApplication) -> WSGIApplication:
    """``application``, measured."""
    for layer, names in LAYERS.items():
        for name in names:
            _wrap(layer, name)
    measured = _in_layer("Django's handler, middleware, resolver", application)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/layers":
            return _report(start_response)
        _last[:] = time.thread_time(), time.perf_counter()
        _calls["requests"] += 1
        response = measured(environ, start_response)
        return [b"".join(response)] if not isinstance(response, list) else response

    return answer


def _wrap(layer: str, name: str) -> None:
    module, _, path = name.partition(":")
    try:
        holder: Any = import_module(module)
        *outer, attribute = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        setattr(holder, attribute, _in_layer(layer, getattr(holder, attribute)))
    except (ImportError, AttributeError):
        return  # the profile of another commit may lack it


def _in_layer(layer: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        _charge()
        _stack.append(layer)
        _calls[layer] += 1
        try:
            return function(*args, **kwargs)
        finally:
            _charge()
            _stack.pop()

    return measured


def _charge() -> None:
    """Put what was spent since the last call on the layer that is at work."""
    cpu, wall = time.thread_time(), time.perf_counter()
    if _stack:
        _spent[_stack[-1]] += cpu - _last[0]
        _waited[_stack[-1]] += (wall - _last[1]) - (cpu - _last[0])
    _last[:] = cpu, wall


def _report(start_response: StartResponse) -> Iterable[bytes]:
    requests = _calls.pop("requests", 0)
    layers = {name: _figures(name, requests) for name in _spent if requests}
    body = json.dumps({"layers": layers}).encode()
    for figures in (_spent, _waited, _calls):
        figures.clear()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _figures(layer: str, requests: int) -> dict[str, float]:
    """Microseconds of CPU, microseconds of waiting, and calls, for one request."""
    return {
        "cpu": _spent[layer] / requests * 1e6,
        "waited": _waited[layer] / requests * 1e6,
        "calls": _calls[layer] / requests,
    }
