"""One interleaved run: the peers take turns at each operation, round by round."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.database import PostgreSql, Statements
from tests.benchmarks.load import Outcome, drive
from tests.benchmarks.operations import Operation
from tests.benchmarks.peers.base import Place, Provider
from tests.benchmarks.processes import Cores, busy_seconds

#: Requests before anything is measured: connections, caches and compilers are warm then.
_WARM_UP = 96
_WARM_UP_SECONDS = 10.0
#: Requests whose statements are counted.
_COUNTED = 64
#: How many more codes than expected are made for a measurement.
_SPARE = 1.4

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one peer did in one turn.

    Attributes:
        rate: answers a second.
        cpu: microseconds of CPU of the provider's processes for each.
        busy: share of its core that the provider used; the rest it waited for the database.
        others: share of the other core that load and PostgreSQL used together.
        load: share of the other core that the load used.
        foreign: share of both cores that other programs used meanwhile.
    """

    rate: float
    cpu: float
    busy: float
    others: float
    load: float
    foreign: float
    memory: float


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A peer at an operation: medians over its turns."""

    turns: tuple[Turn, ...]
    statements: Statements | None

    def median(self, name: str) -> float:
        """Of one of a turn's figures."""
        return float(statistics.median(getattr(turn, name) for turn in self.turns))

    def spread(self) -> float:
        """How far the rates lie apart, as a share of their median."""
        rates = [turn.rate for turn in self.turns]
        return (max(rates) - min(rates)) / statistics.median(rates)


#: Cells by operation and peer; a pair that is missing is one that the peer does not offer.
Cells = Mapping[tuple[str, str], Cell]


def measure(
    providers: Mapping[str, Provider],
    operations: Iterable[Operation],
    place: Place,
    *,
    seconds: float,
    rounds: int,
    tell: Tell,
) -> Cells:
    """Every operation of every provider that offers it."""
    cells: dict[tuple[str, str], Cell] = {}
    for operation in operations:
        able = {name: provider for name, provider in providers.items() if operation.is_offered_by(provider)}
        tell(f"{operation.title}:")
        turns = _turns(operation, able, place, seconds=seconds, rounds=rounds)
        for name, provider in able.items():
            statements = _statements(operation, provider, place.postgresql)
            cell = cells[operation.name, name] = Cell(turns=tuple(turns[name]), statements=statements)
            tell(f"    {name:20} {cell.median('rate'):8,.0f}/s {cell.median('cpu'):8,.0f} µs")
    return cells


def _turns(
    operation: Operation, able: Mapping[str, Provider], place: Place, *, seconds: float, rounds: int
) -> dict[str, list[Turn]]:
    """By peer; in each round another one is first."""
    rates = {name: _warmed_up(operation, provider) for name, provider in able.items()}
    turns: dict[str, list[Turn]] = {name: [] for name in able}
    for number in range(rounds):
        for name in _rotated(list(able), number):
            turn = _turn(operation, able[name], place, seconds=seconds, expected=rates[name])
            rates[name] = max(rates[name], turn.rate)
            turns[name].append(turn)
    return turns


def _rotated(names: Sequence[str], by: int) -> list[str]:
    """Nobody is always first, or always after the same one."""
    start = by % len(names)
    return [*names[start:], *names[:start]]


def _warmed_up(operation: Operation, provider: Provider) -> float:
    """Ask until everything is warm; the rate by which the first measurement is planned."""
    feed = operation.feed(provider, _WARM_UP)
    return drive(provider.address, feed, seconds=_WARM_UP_SECONDS, limit=_WARM_UP).rate


def _turn(operation: Operation, provider: Provider, place: Place, *, seconds: float, expected: float) -> Turn:
    feed = operation.feed(provider, int(expected * seconds * _SPARE) + _WARM_UP)
    place.postgresql.settle()
    before = _Clocks.read(provider, place.postgresql, place.cores)
    outcome = drive(provider.address, feed, seconds=seconds)
    return _figures(
        outcome, before, _Clocks.read(provider, place.postgresql, place.cores), provider.server.worker_mebibytes()
    )


@dataclass(frozen=True, kw_only=True)
class _Clocks:
    """CPU seconds spent so far."""

    provider: float
    database: float
    everything: float

    @classmethod
    def read(cls, provider: Provider, postgresql: PostgreSql, cores: Cores) -> "_Clocks":
        """Now."""
        return cls(
            provider=provider.server.cpu_seconds(),
            database=postgresql.server.cpu_seconds(),
            everything=busy_seconds(cores),
        )


def _figures(outcome: Outcome, before: _Clocks, after: _Clocks, memory: float) -> Turn:
    provider, database = after.provider - before.provider, after.database - before.database
    foreign = after.everything - before.everything - provider - database - outcome.cpu_seconds
    return Turn(
        rate=outcome.rate,
        cpu=provider / outcome.answers * 1e6,
        busy=provider / outcome.seconds,
        others=(database + outcome.cpu_seconds) / outcome.seconds,
        load=outcome.cpu_seconds / outcome.seconds,
        foreign=max(0.0, foreign) / outcome.seconds / 2,
        memory=memory,
    )


def _statements(operation: Operation, provider: Provider, postgresql: PostgreSql) -> Statements | None:
    """Counted apart from what is timed, since counting costs time.

    The lower of two counts: now and then a request pays for many, as when configuration is read anew.
    """
    if not provider.database:
        return None
    counts = [_count(operation, provider, postgresql) for _ in range(2)]
    return min(counts, key=lambda count: count.total)


def _count(operation: Operation, provider: Provider, postgresql: PostgreSql) -> Statements:
    feed = operation.feed(provider, _COUNTED)
    return postgresql.counted(
        provider.database, _COUNTED, lambda: drive(provider.address, feed, seconds=_WARM_UP_SECONDS, limit=_COUNTED)
    )
