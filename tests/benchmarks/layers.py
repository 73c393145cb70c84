"""Where our own time goes, by layer: what the site ``sites/ours_layers.py`` has measured of itself."""

from collections.abc import Iterable
from typing import Any

from tests.benchmarks import messages
from tests.benchmarks.load import Feed, drive
from tests.benchmarks.messages import Once
from tests.benchmarks.operations import Operation
from tests.benchmarks.peers import ours
from tests.benchmarks.peers.base import Place, Provider

_WARM_UP = 100
_REQUESTS = 300
_LONG = 60.0


def report(place: Place, operations: Iterable[Operation]) -> str:
    """A paragraph for each operation."""
    with ours.served_layered(place) as provider:
        return "\n\n".join(_paragraph(provider, one) for one in operations if one.is_offered_by(provider))


def _paragraph(provider: Provider, operation: Operation) -> str:
    _drive(provider, operation.feed(provider, _WARM_UP), _WARM_UP)
    feed = operation.feed(provider, _REQUESTS)  # made by the provider itself, which does not count
    _spent(provider)
    before = provider.server.cpu_seconds()
    _drive(provider, feed, _REQUESTS)
    whole = (provider.server.cpu_seconds() - before) / _REQUESTS * 1e6
    layers = sorted(_spent(provider)["layers"].items(), key=lambda layer: -layer[1]["cpu"])
    known = sum(figures["cpu"] for _, figures in layers)
    lines = [f"{operation.title}: {whole:,.0f} µs of CPU a request, each line without what it calls"]
    lines += [
        f"{figures['cpu']:8.0f} µs, waited {figures['waited']:7.0f} µs, {figures['calls']:5.1f} calls  {name}"
        for name, figures in layers
    ]
    lines.append(f"{whole - known:8.0f} µs for the server and what else is below the application")
    return "\n".join(lines)


def _drive(provider: Provider, feed: Feed, requests: int) -> None:
    drive(provider.address, feed, seconds=_LONG, limit=requests)


def _spent(provider: Provider) -> dict[str, Any]:
    """By layer, since it was last asked."""
    feed = Once([messages.get(provider.address, "/layers", {})], holds=b"{", keeps=True)
    drive(provider.address, feed, seconds=_LONG, connections=1)
    return messages.members(feed.answers[0])
