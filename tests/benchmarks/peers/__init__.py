"""Everything that takes part in a run, in the order of the report."""

from tests.benchmarks.peers import floor, oidc_provider, ours, toolkit
from tests.benchmarks.peers.base import Peer

PEERS: tuple[Peer, ...] = (
    ours.FRONT,
    ours.HANDLER,
    oidc_provider.ON_POSTGRESQL,
    oidc_provider.IN_MEMORY,
    toolkit.TOOLKIT,
    floor.FLOOR,
)
