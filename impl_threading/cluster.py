"""A cluster on threads: starts and ends the nodes' threads, and speaks to them."""

from typing import Any

from raftmark.impl_threading.node import NodeThread
from raftmark.impl_threading.transport import Mailbox, Receiver, Transport
from raftmark.impl_threading.workload import offered, replicate
from raftmark.raft.client import Done, Proposal, Query, Reading
from raftmark.raft.cluster import ClusterConfig, Counters, Events, LogSlice, NodeStatus
from raftmark.raft.errors import Unavailable
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command
from raftmark.raft.one_program import OneProgram
from raftmark.raft.server import Server


class ThreadCluster(OneProgram):
    """Every node is a thread; they share memory and pass messages by reference."""

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        super().__init__(config, events)
        self._mailboxes: dict[int, Receiver] = {}
        self._nodes: dict[int, NodeThread] = {}

    def start(self) -> None:
        """Start every node's thread."""
        begun = []
        try:
            for node in [self._new_life(n) for n in self._config.nodes]:
                self._begin(node)
                begun.append(node)
        except BaseException:
            for node in begun:
                node.crash()
            self._close_storages()
            raise

    def stop(self) -> None:
        """End every node's thread and wait for it."""
        for node in self._nodes.values():
            node.crash()

    def _transport(self, node_id: int) -> Transport:
        return Transport(self._mailboxes, self._links[node_id])

    def _new_life(self, node_id: int, *, joins: bool = False) -> NodeThread:
        mailbox = Mailbox()
        node = NodeThread(
            node_id,
            self._config,
            self._storage[node_id],
            mailbox,
            self._transport(node_id),
            self._random[node_id],
            self._events,
            joins=joins,
        )
        # Not before: where there is no such life nobody would empty its mailbox.
        self._mailboxes[node_id], self._nodes[node_id] = mailbox, node
        return node

    def _begin(self, node: NodeThread) -> None:
        try:
            node.start()
        except RuntimeError as error:
            # There is no thread to be ended, or to empty the mailbox.
            del self._mailboxes[node.id], self._nodes[node.id]
            self._storage[node.id].close()
            raise Unavailable(f"the machine has no thread for node {node.id}: {error}") from error

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Put the command into the node's mailbox."""
        self._nodes[node].submit(Proposal(command, done))

    def read(self, node: int, query: Query) -> None:
        """Put the query into the node's mailbox."""
        self._nodes[node].submit(query)

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Let the node's thread wait for the entry."""
        self._nodes[node].call(lambda server: server.await_applied(index, done))

    def status(self, node: int) -> NodeStatus:
        """Ask the node's thread."""
        return self._nodes[node].call(Server.replica).status()

    def counters(self, node: int) -> Counters:
        """Look at the node's."""
        return self._nodes[node].counters()

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Ask the node's thread."""
        return self._nodes[node].call(lambda server: server.log(first, last))

    def crash(self, node: int) -> int:
        """End the node's thread."""
        return self._nodes[node].crash()

    def restart(self, node: int) -> bool:
        """Start a new thread on what the old one saved."""
        self._begin(self._new_life(node))
        return False

    def join(self, node: int, *, joins: bool) -> None:
        """Start a thread for a new node."""
        if node not in self._storage:
            self._provide(node)
        self._begin(self._new_life(node, joins=joins))

    def pause(self, node: int) -> NodeStatus:
        """Let the node's thread wait."""
        return self._nodes[node].pause().status()

    def resume(self, node: int) -> None:
        """Wake the node's thread."""
        self._nodes[node].resume()

    def transfer(self, node: int, to: int) -> bool:
        """Ask the leader's thread."""
        return self._nodes[node].call(lambda server: server.transfer(to))

    def compact(self, node: int) -> tuple[int, int]:
        """Ask the node's thread."""
        return self._nodes[node].call(Server.compact)

    def heartbeat(self, node: int) -> None:
        """Let the leader's thread send one."""
        self._nodes[node].call(Server.heartbeat)

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's thread."""
        return replicate(self._nodes[node], spec)

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop from this thread."""
        return offered(self._nodes[node], spec)
