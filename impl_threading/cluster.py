"""A cluster on threads: starts and ends the nodes' threads, and speaks to them."""

import random
from collections.abc import Sequence
from typing import Any

from impl_threading.node import NodeThread
from impl_threading.transport import Mailbox, Transport
from impl_threading.workload import replicate
from raft.client import Done, Proposal
from raft.cluster import Cluster, ClusterConfig, Events, LogSlice, NodeStatus
from raft.links import Faults, Links
from raft.messages import Command
from raft.storage import open_storage
from raft.workload import ReplicateSpec


class ThreadCluster(Cluster):
    """Every node is a thread; they share memory and pass messages by reference."""

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        self._config = config
        self._events = events
        ids = config.settings.nodes
        self._links = {n: Links(n, config.seed) for n in ids}
        self._random = {n: random.Random(f"node/{config.seed}/{n}") for n in ids}
        self._storage = {n: open_storage(config.storage, config.data_dir, n) for n in ids}
        self._mailboxes = {n: Mailbox() for n in ids}
        self._nodes: dict[int, NodeThread] = {}

    def start(self) -> None:
        """Start every node's thread."""
        try:
            nodes = [self._new_life(n) for n in self._config.settings.nodes]
        except BaseException:
            for storage in self._storage.values():
                storage.close()
            raise
        for node in nodes:
            node.start()

    def stop(self) -> None:
        """End every node's thread and wait for it."""
        for node in self._nodes.values():
            node.crash()

    def _new_life(self, node_id: int) -> NodeThread:
        self._mailboxes[node_id] = mailbox = Mailbox()
        node = NodeThread(
            node_id,
            self._config,
            self._storage[node_id],
            mailbox,
            Transport(self._mailboxes, self._links[node_id]),
            self._random[node_id],
            self._events,
        )
        self._nodes[node_id] = node
        return node

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Put the command into the node's mailbox."""
        self._nodes[node].submit(Proposal(command, done))

    def status(self, node: int) -> NodeStatus:
        """Ask the node's thread."""
        return self._nodes[node].call(self._nodes[node].snapshot).status()

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Ask the node's thread."""
        return self._nodes[node].call(lambda: self._nodes[node].log(first, last))

    def crash(self, node: int) -> int:
        """End the node's thread."""
        return self._nodes[node].crash()

    def restart(self, node: int) -> None:
        """Start a new thread on what the old one saved."""
        self._new_life(node).start()

    def pause(self, node: int) -> NodeStatus:
        """Let the node's thread wait."""
        return self._nodes[node].pause().status()

    def resume(self, node: int) -> None:
        """Wake the node's thread."""
        self._nodes[node].resume()

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell every node's links."""
        for links in self._links.values():
            links.partition(groups)

    def degrade(self, faults: Faults) -> None:
        """Tell every node's links."""
        for links in self._links.values():
            links.degrade(faults)

    def heartbeat(self, node: int) -> None:
        """Let the leader's thread send one."""
        self._nodes[node].call(self._nodes[node].heartbeat)

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's thread."""
        return replicate(self._nodes[node], spec)
