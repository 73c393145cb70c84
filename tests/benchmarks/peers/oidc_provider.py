"""node ``oidc-provider``, twice: on PostgreSQL, and in memory, as its default is.

Node itself comes from npm, too. Everything is installed once into ``.benchmarks/`` at the root of the repository,
which git ignores.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from tests.benchmarks.peers.base import PEOPLE, REDIRECT_URI, Description, Peer, Place, Provider
from tests.benchmarks.processes import free_port, running

_SOURCE = Path(__file__).parents[1] / "oidc_provider"
_INSTALLED = Path(__file__).parents[3] / ".benchmarks" / "oidc_provider"
_DATABASE = "oidc_provider"


@cache
def unavailable() -> str:
    """Why Node or its packages cannot be had here; installs them where they can."""
    if shutil.which("npm") is None:
        return "There is no npm to install it with."
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    for source in _SOURCE.iterdir():
        shutil.copy(source, _INSTALLED)
    return "" if _is_installed() else _install()


def _install() -> str:
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        done = subprocess.run(command, cwd=_INSTALLED, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return "npm took longer than five minutes to install it."
    return "" if _is_installed() else f"npm could not install it: {done.stderr.strip()[-300:]}"


def _is_installed() -> bool:
    packages = _INSTALLED / "node_modules"
    return _node().exists() and all((packages / name / "package.json").exists() for name in ("oidc-provider", "pg"))


@contextmanager
def _start(store: str, place: Place) -> Iterator[Provider]:
    port, name = free_port(), f"oidc_provider_{store}"
    described = place.directory / f"{name}.json"
    if store == "postgresql":
        place.postgresql.create(_DATABASE)
    environment = {
        "NODE_ENV": "production",
        "BENCHMARK_STORE": store,
        "BENCHMARK_SOCKET_DIRECTORY": place.postgresql.socket_directory,
        "BENCHMARK_DATABASE_NAME": _DATABASE,
        "BENCHMARK_DESCRIPTION": str(described),
        "BENCHMARK_ISSUER": f"http://127.0.0.1:{port}",
        "BENCHMARK_REDIRECT_URI": REDIRECT_URI,
        "BENCHMARK_PEOPLE": str(PEOPLE),
    }
    command, log = [str(_node()), str(_INSTALLED / "provider.mjs")], place.directory / f"{name}.log"
    with running(command, core=place.cores.provider, port=port, environment=environment, log=log) as server:
        yield Provider(
            address=("127.0.0.1", port),
            server=server,
            description=Description.parse(described.read_text()),
            database=_DATABASE if store == "postgresql" else "",
        )


def _node() -> Path:
    return _INSTALLED / "node_modules" / "node" / "bin" / "node"


def _version() -> str:
    node = subprocess.run([_node(), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    package = json.loads((_INSTALLED / "node_modules" / "oidc-provider" / "package.json").read_text())
    return f"oidc-provider {package['version']} on Node {node.removeprefix('v')}, one process"


ON_POSTGRESQL = Peer(
    name="oidc_provider",
    title="oidc-provider",
    unavailable=unavailable,
    start=partial(_start, "postgresql"),
    version=_version,
)
IN_MEMORY = Peer(
    name="oidc_provider_memory",
    title="oidc-provider, in memory",
    unavailable=unavailable,
    start=partial(_start, "memory"),
    version=_version,
)
