"""The figures as tables: absolute values, and the ratios that count."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.measuring import Cell, Cells
from tests.benchmarks.operations import Operation

#: Nothing under this is a difference: so far the same cell lies apart from one run to the next.
NOISE = 1.3

#: The share of the cores that other programs may use before the figures are of them.
QUIET = 0.1

Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was measured, and how.

    Attributes:
        titles: of the peers that took part, by name.
        versions: of the same.
        missing: why others did not, by title.
    """

    operations: tuple[Operation, ...]
    cells: Cells
    titles: Mapping[str, str]
    versions: Mapping[str, str]
    missing: Mapping[str, str]
    seconds: float
    rounds: int
    workers: int
    threads: int
    postgresql: str
    commit_microseconds: float

    @property
    def ours(self) -> str:
        """Which of our ways in the ratios are about: the front, where it took part; ``""`` where neither did."""
        return next((name for name in ("ours", "ours_handler") if name in self.titles), "")


def tables(run: Run) -> str:
    """Everything that was counted, as Markdown."""
    parts = [
        ("Ratios", "", ratios(run)),
        ("Requests a second", "", _by_peer(run, lambda cell: f"{cell.median('rate'):,.0f}")),
        ("CPU of the provider, µs a request", "", _by_peer(run, lambda cell: f"{cell.median('cpu'):,.0f}")),
        ("SQL statements a request", _STATEMENTS, _by_peer(run, _statements)),
        ("Memory of a worker, MiB", "", _by_peer(run, lambda cell: f"{cell.median('memory'):.0f}")),
        ("How busy the provider's core was", _BUSY, _by_peer(run, lambda cell: f"{cell.median('busy'):.0%}")),
    ]
    return "\n\n".join("\n\n".join(filter(None, (f"## {title}", said, table))) for title, said, table in parts)


_STATEMENTS = """Each is a round trip. After the plus sign: those that begin and end transactions."""
_BUSY = """Well below 100 % it waited for commits or for other programs; then compare the CPU, not the rates."""


def ratios(run: Run) -> str:
    """Our rate as a multiple of each peer's, beside the multiple that it must be; then the same by CPU."""
    others = [name for name in run.titles if name in {"oidc_provider", "toolkit", "floor"}]
    header = ["operation", *(run.titles[name] for name in others)]
    rows = [[operation.title, *(_ratio(run, operation, name) for name in others)] for operation in run.operations]
    return table(header, rows)


def missed(run: Run) -> list[str]:
    """The targets that were not reached, neither by rate nor by CPU."""
    found = []
    for operation in run.operations:
        for name, target in operation.targets.items():
            measured = _measured(run, operation, name)
            if measured is not None and max(measured) < target:
                rate, cpu = measured
                found.append(f"{operation.title} against {run.titles[name]}: {rate:.2f} ({cpu:.2f}), target {target:g}")
    return found


def foreign(run: Run) -> float:
    """The share of both cores that other programs used."""
    return _median(run, "foreign")


def page(run: Run) -> str:
    """``docs/reference/performance.md``."""
    introduction = _INTRODUCTION.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        ours=run.titles[run.ours],
        rounds=run.rounds,
        seconds=f"{run.seconds:g}",
        workers=_count(run.workers, "worker"),
        threads=_count(run.threads, "thread"),
        machine=_machine(),
        postgresql=run.postgresql,
        commit=f"{run.commit_microseconds:,.0f}",
        others=f"{_median(run, 'others'):.0%}",
        load=f"{max(cell.median('load') for cell in run.cells.values()):.0%}",
        foreign=f"{foreign(run):.0%}",
        disturbed=_DISTURBED if foreign(run) > QUIET else "",
        noise=NOISE,
        peers="\n".join(f"- **{run.titles[name]}**: {version}" for name, version in run.versions.items()),
        missing="".join(f"\n- {title} took no part: {reason}" for title, reason in run.missing.items()),
    )
    return f"{introduction}\n{tables(run)}\n\n{_REMARKS}"


def table(header: Row, rows: Iterable[Row]) -> str:
    """A Markdown table with figures to the right, its columns as wide as what they hold."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in aligned)


def _by_peer(run: Run, figure: Callable[[Cell], str]) -> str:
    rows = [
        [operation.title, *(_figure(run.cells.get((operation.name, name)), figure) for name in run.titles)]
        for operation in run.operations
    ]
    return table(["operation", *run.titles.values()], rows)


def _figure(cell: Cell | None, figure: Callable[[Cell], str]) -> str:
    return "–" if cell is None else figure(cell)


def _statements(cell: Cell) -> str:
    if cell.statements is None:
        return "–"
    work, transaction = cell.statements.work, cell.statements.transaction
    return f"{work:.0f} + {transaction:.0f}" if round(transaction) else f"{work:.0f}"


def _measured(run: Run, operation: Operation, name: str) -> tuple[float, float] | None:
    """How many times as fast we are, by rate and by CPU."""
    ours, other = run.cells.get((operation.name, run.ours)), run.cells.get((operation.name, name))
    if ours is None or other is None:
        return None
    return ours.median("rate") / other.median("rate"), other.median("cpu") / ours.median("cpu")


def _ratio(run: Run, operation: Operation, name: str) -> str:
    measured = _measured(run, operation, name)
    if measured is None:
        return "–"
    rate, cpu = measured
    target = operation.targets.get(name)
    return f"{rate:.2f} ({cpu:.2f}){_verdict(rate, cpu, target)}"


def _verdict(rate: float, cpu: float, target: float | None) -> str:
    if target is None:
        return ""
    met = "met" if rate >= target else "met by CPU" if cpu >= target else "**missed**"
    return f" ≥ {target:g} {met}"


def _median(run: Run, name: str) -> float:
    values = sorted(cell.median(name) for cell in run.cells.values())
    return values[len(values) // 2]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


_INTRODUCTION = """# Performance

<!-- Written by python -m tests.benchmarks --write. -->

What this provider does in a second on one core, beside others and beside the floor: an application on the same server
that does for each operation only what cannot be avoided. Peers took turns within one run, so only **ratios** are worth
quoting: the absolute figures are this machine's on that day, {day}.

- Machine: {machine}.
- Provider: pinned to one core; {workers} of {threads} for each Python peer, so that others work while one waits for
  a commit.
- Load: 16 keep-alive connections over loopback, each with a person of its own, on another core with PostgreSQL. That
  core was {others} busy; the load generator alone never used more than {load} of it.
- PostgreSQL {postgresql} with `fsync`, `synchronous_commit` and `full_page_writes` on; a commit took {commit} µs here.
- {rounds} rounds of {seconds} s for each operation and peer; medians. Nothing under {noise}× is a difference.
- Other programs used {foreign} of the two cores meanwhile.{disturbed}

{peers}{missing}

Repeat it with `python -m tests.benchmarks`: see [how to run the tests](../how-to/run-the-tests.md).

The ratios are those of "{ours}": its rate as a multiple of the other's, and in brackets the same by CPU a request,
which is what the rates come to where neither commits nor other programs make the core wait. The floor's ratio is our
share of its rate. Behind them stands what this project aims at.
"""

_DISTURBED = """ **That is too much for a verdict**: the figures show orders of magnitude,
  and those for CPU are worth more than the rates."""

_REMARKS = """## What to make of it

- Each peer does what it does when it is set up with care for speed: client secrets of django-oauth-toolkit are not
  hashed (its default of 1,000,000 rounds of PBKDF2 serves two requests a second), both Django sites keep their
  connections, oidc-provider has indexes, prepared statements and a pool.
- They do not promise the same. oidc-provider's adapter consumes a code without a condition, as its examples do, so that
  two requests at once can both redeem it; this provider and the floor decide single use by a conditional `UPDATE`.
- Access tokens of people are what each gives by default: ours are JWTs (ES256), those of the others are opaque.
  Introspection is of opaque tokens everywhere.
- An RS256 signature costs some 20 times as much as one with ES256, in any language: where it is part of an operation,
  most of the time is arithmetic that nobody can avoid.
- The floor has no error answers, no extensions, one way to do each thing, and its SQL is written by hand.
"""
