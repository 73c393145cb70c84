"""``python -m tests.soak.clean_up [--rows 1000000]``: the figures that security.md promises of clean-up.

On PostgreSQL with fsync on. Fills every table with expired rows, cleans up while a load of token requests
measures its latency, then lets two nodes clean up at once, and prints what came of it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from tests.soak import site

#: Of a million rows; codes and refresh tokens go along with their grants.
SHARES = {
    "AuthorizationRequest": 200,
    "LogoutRequest": 20,
    "DeviceRequest": 20,
    "UsedIdentifier": 200,
    "ReferenceToken": 120,
    "Grant": 100,
    "AuthorizationCode": 100,
    "RefreshToken": 160,
    "UserSession": 40,
    "Event": 40,
}
#: Rows beside them that must stay, of each kind.
LIVE = 10_000
RATE = 40


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20, help="of load without clean-up, before and after")
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--load", metavar="PORT,ID,SECRET,SECONDS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        print(json.dumps(load(*given.load.split(","))))
        return
    measure(given.rows, given.seconds, given.batch_size)


def measure(rows: int, seconds: int, batch: int | None) -> None:
    """Fill, clean up under load, clean up on two nodes, and print the figures."""
    port = site.set_up()
    from identityserver.clean_up import BATCH
    from identityserver.testing import RelyingParty

    begun = time.perf_counter()
    fill(rows)
    print(f"{rows:,} expired rows and {LIVE:,} live ones of each kind, made in {time.perf_counter() - begun:.0f} s")
    client = RelyingParty(allowed_grant_types=["client_credentials"], access_token_type="reference")
    with site.provider(port, workers=1):
        loaded = (port, client.client_id, client.secret)
        finished(start_load(*loaded, 5))
        before = finished(start_load(*loaded, seconds))
        during_load = start_load(*loaded, 0)
        total, cpu, deleted, slowest = timed_clean_up(batch or BATCH)
        during = finished(during_load, stop=True)
        after = finished(start_load(*loaded, seconds))
    report(total, cpu, deleted, slowest, before, during, after)
    two_nodes(rows // 5)


def timed_clean_up(batch: int) -> tuple[float, float, int, list[tuple[float, str]]]:
    """Seconds, those of CPU, rows deleted, and the times of the slowest statement of each kind, in milliseconds."""
    from identityserver.clean_up import clean_up

    deleted, begun, cpu = 0, time.perf_counter(), cpu_seconds()
    with slowest_statement() as slowest:
        for cleaned in clean_up(batch=batch):
            deleted += cleaned.count
            print(f"  {cleaned.name}: {cleaned.count:,}", flush=True)
    return time.perf_counter() - begun, cpu_seconds() - cpu, deleted, sorted(slowest, reverse=True)


def cpu_seconds() -> float:
    """CPU time of this process and of PostgreSQL's that works for it."""
    from django.db import connection

    connection.ensure_connection()
    stat = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def slowest_statement() -> Iterator[list[tuple[float, str]]]:
    """The times of statements, the longest of each kind."""
    from django.db import connection

    longest: dict[str, float] = {}
    times: list[tuple[float, str]] = []
    commit = connection._commit

    def took(what: str, begun: float) -> None:
        longest[what] = max(longest.get(what, 0.0), (time.perf_counter() - begun) * 1000)

    def wrapper(execute, sql, params, many, context):
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took(sql[:90], begun)

    def timed_commit():
        begun = time.perf_counter()
        commit()
        took("COMMIT", begun)

    connection._commit = timed_commit
    try:
        with connection.execute_wrapper(wrapper):
            yield times
    finally:
        connection._commit = commit
        times += [(milliseconds, what) for what, milliseconds in longest.items()]


def report(total, cpu, deleted, slowest, before, during, after) -> None:
    """The figures, and whether they are those promised."""
    quiet = statistics.median([before["median"], after["median"]])
    print(f"clean-up: {deleted:,} rows and what hangs off them in {total:.1f} s (promised: 60 s for a million)")
    print(f"  of which {cpu:.1f} s of CPU, its own and PostgreSQL's; load average {os.getloadavg()[0]:.1f}")
    for milliseconds, what in slowest[:4]:
        print(f"slowest statements (promised: < 100 ms): {milliseconds:6.1f} ms {what}")
    for name, figures in (("before", before), ("during", during), ("after", after)):
        print(f"token endpoint {name:6}: {figures}")
    print(f"median latency during clean-up: {during['median'] / quiet - 1:+.0%} (promised: < +20 %)")


def two_nodes(rows: int) -> None:
    """Two at once over the same rows: both finish, nothing is left, and nobody waited in a circle."""
    from identityserver.clean_up import expired

    fill(rows)
    before, begun = site.deadlocks(), time.perf_counter()
    nodes = [site.manage("identityserver_clean_up") for _ in range(2)]
    said = [node.communicate(timeout=600)[0] for node in nodes]
    taken = time.perf_counter() - begun
    print(f"two nodes over {rows:,} rows: {taken:.1f} s, {[node.returncode for node in nodes]}")
    print("  " + "; ".join(lines.splitlines()[-1] for lines in said))
    print(f"  left: {sum(cleaned.count for cleaned in expired())}, deadlocks: {site.deadlocks() - before}")


# --- Rows -------------------------------------------------------------------------------------------------


def fill(rows: int) -> None:
    """Expired rows of every table by ``SHARES``, and live ones beside them, copied by the database from one each."""
    from django.contrib.auth import get_user_model

    from identityserver.models import Client

    user, _ = get_user_model().objects.get_or_create(username="somebody")
    client, _ = Client.objects.get_or_create(client_id="somebody's", name="Somebody's")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        for expired in (True, False):
            for name, share in SHARES.items():
                _fill(database, name, user, client, rows * share // 1000 if expired else LIVE, expired=expired)
        database.execute("VACUUM ANALYZE")


def _fill(database: psycopg.Connection, name: str, user, client, count: int, *, expired: bool) -> None:
    from identityserver.models import Grant

    row = _row(name, user, client, expired=expired)
    row.save(force_insert=True)
    moment = "time" if name == "Event" else "expires"
    columns = {field.column: _copied(field, moment) for field in row._meta.concrete_fields if field.column != "id"}
    source = f"generate_series(1, {count}) AS copy (n)"
    if "id" in {field.column for field in row._meta.concrete_fields if field.get_internal_type() == "UUIDField"}:
        columns["id"] = "gen_random_uuid()"
    if name in {"AuthorizationCode", "RefreshToken"}:
        now, grants = "<" if expired else ">", Grant._meta.db_table
        columns["grant_id"] = "copy.id"
        source = (
            f"(SELECT id, ((row_number() OVER ()) + other)::int AS n FROM {grants}, (VALUES (0), (1000000)) o (other) "
            f"WHERE expires {now} now() AND NOT EXISTS (SELECT 1 FROM {row._meta.db_table} t WHERE t.grant_id = "
            f"{grants}.id) ORDER BY other LIMIT {count}) AS copy"
        )
    table, names = row._meta.db_table, ", ".join(f'"{column}"' for column in columns)
    database.execute(
        f"INSERT INTO {table} ({names}) SELECT {', '.join(columns.values())} "
        f"FROM {table} AS one, {source} WHERE one.{row._meta.pk.column} = %s ON CONFLICT DO NOTHING",
        [row.pk],
    )


def _copied(field, moment: str) -> str:
    """What stands in a copy: another value where it must be unique, another moment, or else the same."""
    if field.column == moment:
        return f"one.\"{moment}\" + copy.n * interval '1 millisecond'"
    if field.unique or field.column == "digest":
        return "left(md5(random()::text || copy.n) || md5(copy.n::text), 43)"
    return f'one."{field.column}"'


def _row(name: str, user, client, *, expired: bool):
    from django.apps import apps
    from django.utils import timezone

    from identityserver.digests import new_handle
    from identityserver.models import Grant

    model = apps.get_model("identityserver", name)
    days = -200 if expired and name == "Event" else -40 if expired else 10
    moment = timezone.now() + timedelta(days=days)
    if name == "Event":
        return model(type="request_refused", outcome="failure", time=moment, detail="x" * 80)
    handle = new_handle()
    fields = {
        "AuthorizationRequest": {"client": client, "binding": handle, "parameters": {"scope": "openid"}},
        "LogoutRequest": {"client": client, "binding": handle},
        "DeviceRequest": {"client": client, "user_code": handle, "interval": 5},
        "UsedIdentifier": {"purpose": "jti", "issuer": "x", "mark": handle},
        "ReferenceToken": {"client": client, "claims": {"sub": "x", "scope": "openid"}},
        "Grant": {"client": client, "user": user, "kind": "authorization_code", "scopes": ["openid"]},
        "AuthorizationCode": {"redirect_uri": "https://app.example/callback"},
        "RefreshToken": {},
        "UserSession": {"user": user, "auth_time": moment, "last_seen": moment, "sid": handle},
    }[name]
    if name in {"AuthorizationCode", "RefreshToken"}:
        fields["grant"] = Grant.objects.create(client=client, user=user, kind="x", expires=moment)
    if name not in {"Grant", "UserSession"}:
        fields["digest"] = handle
    return model(expires=moment, **fields)


# --- Load -------------------------------------------------------------------------------------------------


def start_load(port: int, client_id: str, secret: str, seconds: int) -> subprocess.Popen[str]:
    """Requests at a steady rate from a process of its own; without an end where ``seconds`` is 0."""
    command = [sys.executable, "-m", "tests.soak.clean_up", "--load", f"{port},{client_id},{secret},{seconds}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str], *, stop: bool = False) -> dict[str, float]:
    """What a load has measured, once it is over or told to stop."""
    return json.loads(process.communicate("stop\n" if stop else None)[0])


def load(port: str, client_id: str, secret: str, seconds: str) -> dict[str, float]:
    """Latencies in milliseconds of client_credentials requests for reference tokens, each of them one INSERT."""
    stopped = threading.Event()
    if int(seconds):
        threading.Timer(int(seconds), stopped.set).start()
    else:
        threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
    taken, failed, due = [], 0, time.perf_counter()
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    while not stopped.is_set():
        due += 1 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        status, _ = site.post(int(port), "/connect/token", **form)
        taken.append((time.perf_counter() - begun) * 1000)
        failed += status != 200
    percentiles = statistics.quantiles(taken, n=100)
    found = {"median": statistics.median(taken), "p95": percentiles[94], "p99": percentiles[98]}
    return {"requests": len(taken), "failed": failed, **{name: round(value, 2) for name, value in found.items()}}


if __name__ == "__main__":
    main()
