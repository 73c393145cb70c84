"""Processes on a core each: started, measured from /proc, and stopped again."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60


@dataclass(frozen=True)
class Cores:
    """The core of whatever is measured, and that of everything else."""

    provider: int
    others: int


def cores() -> Cores:
    """Two cores of those that this process may use.

    Raises:
        SystemExit: there is only one, so that provider and load would take turns.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("The benchmark needs two cores: one for the provider, one for the load and PostgreSQL.")
    return Cores(provider=usable[-1], others=usable[0])


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on ``core`` alone, and stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Server:
    """A running server with its descendants."""

    pid: int

    def cpu_seconds(self) -> float:
        """CPU time that its processes have used so far, in user and kernel mode."""
        return sum(map(_cpu_seconds, family(self.pid)))

    def worker_mebibytes(self) -> float:
        """Resident memory of its largest process: the worker, where a supervisor stands beside it."""
        return max(map(_resident_mebibytes, family(self.pid)), default=0.0)


@contextmanager
def running(
    command: Sequence[str], *, core: int, port: int, environment: Mapping[str, str], log: Path
) -> Iterator[Server]:
    """``command`` on ``core`` until the block ends, entered once it listens on ``port``."""
    with log.open("wb") as output, on_core(core):
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_for(process, port, log)
        yield Server(process.pid)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group of its own, with the group."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, sent)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                continue


def busy_seconds(cores: Cores) -> float:
    """CPU time that both cores have spent on anything so far."""
    return sum(map(_busy_seconds, (cores.provider, cores.others)))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def family(pid: int) -> list[int]:
    """The process and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows while it is read
        found.extend(children.get(member, ()))
    return found


def _busy_seconds(core: int) -> float:
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _io_wait, *interrupts = map(int, line.split()[1:8])
    return (user + nice + system + sum(interrupts)) / _TICKS


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"A server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, which may hold anything; none for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _resident_mebibytes(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
