"""Nodes as they are deployed, but all of them in the test's own process: over loopback TCP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raftmark.impl_asyncio.deployed import AsyncioNode
from raftmark.impl_multiprocessing.deployed import ProcessNode
from raftmark.impl_threading.deployed import ThreadNode
from raftmark.raft.cluster import Cluster, ClusterConfig, Events
from raftmark.raft.deployed import Address, DeployedFactory, DeployedNode, Site
from raftmark.raft.links import Faults

CLUSTER = "neighbours"

DEPLOYED: dict[str, DeployedFactory] = {
    "threading": ThreadNode,
    "asyncio": AsyncioNode,
    "multiprocessing": ProcessNode,
}


def of_node(name: str) -> Callable[..., Any]:
    """Return a method that asks the node which is its first argument."""

    def ask(self: Neighbours, node: int, *arguments: Any, **named: Any) -> Any:
        return getattr(self.members[node], name)(node, *arguments, **named)

    return ask


class Neighbours(Cluster):
    """A cluster of nodes that know nothing of each other but their addresses."""

    def __init__(
        self,
        factory: DeployedFactory,
        config: ClusterConfig,
        events: Events,
        secrets: dict[int, bytes] | None = None,
    ) -> None:
        self._factory = factory
        self._config = config
        self._events = events
        self._secrets = secrets or {}
        self.members = {node: self._member(node) for node in config.nodes}
        self.addresses: dict[int, Address] = {}

    def _member(self, node: int) -> DeployedNode:
        site = Site(node, CLUSTER, secret=self._secrets.get(node))
        return self._factory(self._config._replace(members=(node,)), self._events, site)

    def start(self) -> None:
        """Let all listen, then know each other, then live."""
        self.addresses = {node: member.listen() for node, member in self.members.items()}
        self._introduce()
        for node, member in self.members.items():
            member.restart(node)

    def _introduce(self) -> None:
        for node, member in self.members.items():
            member.introduce({n: where for n, where in self.addresses.items() if n != node})

    def replace(self, node: int) -> None:
        """Stop a node, and start another in its place, at another address."""
        self.members[node].stop()
        self.members[node] = self._member(node)
        self.addresses[node] = self.members[node].listen()
        self._introduce()
        self.members[node].restart(node)

    def stop(self) -> None:
        """Stop all."""
        for member in self.members.values():
            member.stop()

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell all."""
        for member in self.members.values():
            member.partition(groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell all."""
        for member in self.members.values():
            member.block(ways)

    def degrade(self, faults: Faults) -> None:
        """Tell all."""
        for member in self.members.values():
            member.degrade(faults)

    submit = of_node("submit")
    read = of_node("read")
    when_applied = of_node("when_applied")
    status = of_node("status")
    counters = of_node("counters")
    log = of_node("log")
    crash = of_node("crash")
    restart = of_node("restart")
    join = of_node("join")
    pause = of_node("pause")
    resume = of_node("resume")
    transfer = of_node("transfer")
    compact = of_node("compact")
    heartbeat = of_node("heartbeat")
    replicate = of_node("replicate")
    offered = of_node("offered")
