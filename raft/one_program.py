"""A cluster whose nodes share a program: what each has through all its lives is here."""

from collections.abc import Sequence

from raftmark.raft.cluster import Cluster, ClusterConfig, Events
from raftmark.raft.draws import Draws, node_timeouts
from raftmark.raft.links import Faults, Links
from raftmark.raft.storage import Storage, open_storage


class OneProgram(Cluster):
    """Keeps the nodes' links, randomness and storage. How nodes live is for who inherits it."""

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        self._config = config
        self._events = events
        self._links: dict[int, Links] = {}
        self._random: dict[int, Draws] = {}
        self._storage: dict[int, Storage] = {}
        for n in config.nodes:
            self._provide(n)

    def _provide(self, node_id: int) -> None:
        """Give a node what it keeps when it crashes."""
        config = self._config
        self._links[node_id] = Links(node_id, config.seed)
        self._random[node_id] = Draws(config.seed, node_timeouts(node_id))
        self._storage[node_id] = open_storage(config.storage, config.data_dir, node_id)

    def _close_storages(self) -> None:
        """After a start that failed."""
        for storage in self._storage.values():
            storage.close()

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell every node's links."""
        for links in self._links.values():
            links.partition(groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell every node's links."""
        for links in self._links.values():
            links.block(ways)

    def degrade(self, faults: Faults) -> None:
        """Tell every node's links."""
        for links in self._links.values():
            links.degrade(faults)
