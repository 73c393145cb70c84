"""What operations cost, beside peers and a floor: ``python -m tests.benchmarks``.

    python -m tests.benchmarks                                   everything, ten to twenty minutes
    python -m tests.benchmarks --operations code_rs256 userinfo --peers ours floor
    python -m tests.benchmarks --write                           and write docs/reference/performance.md
    python -m tests.benchmarks --layers userinfo                 where our own time goes, without peers

It starts PostgreSQL and every peer itself, on loopback, and stops them again.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tests.benchmarks import layers, report
from tests.benchmarks.database import postgresql
from tests.benchmarks.measuring import measure
from tests.benchmarks.operations import OPERATIONS, Operation
from tests.benchmarks.peers import PEERS
from tests.benchmarks.peers.base import Peer, Place
from tests.benchmarks.processes import cores, on_core

Named = TypeVar("Named", Operation, Peer)

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "performance.md"


def main() -> None:
    """Read what is asked, set up a place, measure, report."""
    parser = _arguments()
    asked = parser.parse_args()
    if asked.write and (asked.operations or asked.peers):
        parser.error("--write needs every operation and every peer.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that what was started is stopped, too
    chosen = cores()
    with ExitStack() as stack:
        stack.enter_context(on_core(chosen.others))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="identityserver-benchmark-")))
        place = Place(
            cores=chosen,
            workers=asked.workers,
            threads=asked.threads,
            postgresql=stack.enter_context(postgresql()),
            directory=directory,
        )
        if asked.layers:
            print(layers.report(place, _chosen(OPERATIONS, asked.layers)))
        else:
            _compare(stack, place, asked)


def _compare(stack: ExitStack, place: Place, asked: argparse.Namespace) -> None:
    operations, peers = _chosen(OPERATIONS, asked.operations), _chosen(PEERS, asked.peers)
    missing = {peer.title: reason for peer in peers if (reason := peer.unavailable())}
    for title, reason in missing.items():
        print(f"{title} is left out: {reason}")
    able = [peer for peer in peers if peer.title not in missing]
    providers = {peer.name: stack.enter_context(peer.start(place)) for peer in able}
    run = report.Run(
        operations=operations,
        cells=measure(providers, operations, place, seconds=asked.seconds, rounds=asked.rounds, tell=_tell),
        titles={peer.name: peer.title for peer in able},
        versions={peer.name: peer.version() for peer in able},
        missing=missing,
        seconds=asked.seconds,
        rounds=asked.rounds,
        workers=place.workers,
        threads=place.threads,
        postgresql=place.postgresql.version(),
        commit_microseconds=place.postgresql.commit_microseconds(),
    )
    print(f"\n{report.tables(run)}\n")
    print("".join(f"Missed: {line}\n" for line in report.missed(run)))
    print(f"Other programs used {report.foreign(run):.0%} of the two cores meanwhile.")
    if asked.write:
        _PAGE.write_text(report.page(run))


def _chosen(all_of_them: Sequence[Named], names: Sequence[str]) -> tuple[Named, ...]:
    """Those that are named; all of them where none is."""
    return tuple(one for one in all_of_them if not names or one.name in names)


def _tell(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.ArgumentParser:
    names = [operation.name for operation in OPERATIONS]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each peer at each operation")
    parser.add_argument("--operations", nargs="*", default=[], choices=names, metavar="NAME", help=", ".join(names))
    peers = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="*", default=[], choices=peers, metavar="NAME", help=", ".join(peers))
    parser.add_argument("--workers", type=int, default=4, help="processes of each Python peer, all on its one core")
    parser.add_argument("--threads", type=int, default=1, help="threads of each of those")
    parser.add_argument("--layers", nargs="*", default=[], choices=names, metavar="NAME", help="profile these instead")
    parser.add_argument("--write", action="store_true", help=f"write {_PAGE.name}")
    return parser


if __name__ == "__main__":
    main()
