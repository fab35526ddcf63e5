"""A cluster on processes: starts and ends them, and speaks to each through a pipe."""

import itertools
import multiprocessing
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing import reduction
from typing import Any

from raftmark.impl_multiprocessing.process import run_node
from raftmark.raft.client import Done, Query, Reading
from raftmark.raft.cluster import Cluster, ClusterConfig, Counters, Events, LogSlice, NodeStatus
from raftmark.raft.errors import OutcomeUnknown, Unavailable
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command

STOP_S = 5.0

# A fresh process without the contender's threads, and without the price of a spawn.
context = multiprocessing.get_context("forkserver")


class NodeHandle:
    """A node's process as the contender sees it: orders to it, and what it answers."""

    def __init__(
        self, node_id: int, config: ClusterConfig, sockets: dict[int, socket.socket]
    ) -> None:
        self.id = node_id
        self.connection, theirs = context.Pipe()
        self._ordering = threading.Lock()
        self._tokens = itertools.count()
        self._pending: dict[int, Callable[[Any], None]] = {}
        self._ended = False
        self._process = context.Process(
            target=run_node, args=(node_id, config, theirs, sockets), name=f"node-{node_id}"
        )
        self._process.start()
        theirs.close()
        # The node has its own ends now.
        for sock in sockets.values():
            sock.close()

    def order(
        self,
        name: str,
        *arguments: Any,
        answered: Callable[[Any], None],
        passing: socket.socket | None = None,
    ) -> None:
        """Send an order; `answered` hears its answer, once, from the receiving thread.

        `passing` is a socket that the process is to have; it follows the order in the pipe.
        """
        with self._ordering:
            token = next(self._tokens)
            self._pending[token] = answered
            try:
                self.connection.send((token, name, arguments))
                if passing is not None:
                    assert self._process.pid is not None
                    reduction.send_handle(self.connection, passing.fileno(), self._process.pid)
            except OSError:
                # The process is gone: the receiving thread sees that too.
                pass
        if self._ended:
            self._abandon()

    def call(self, name: str, *arguments: Any, passing: socket.socket | None = None) -> Any:
        """Send an order and wait; returns its answer, or raises it."""
        answer: Future[Any] = Future()
        self.order(name, *arguments, answered=answer.set_result, passing=passing)
        value = answer.result()
        if isinstance(value, Exception):
            raise value
        return value

    def answered(self, token: int, value: Any) -> None:
        """The answer to an order has come: whoever comes first is heard."""
        self._pending.pop(token, ignore)(value)

    def ended(self) -> int | None:
        """The process closed its pipe; its exit status."""
        self._ended = True
        self._process.join(STOP_S)
        self._abandon()
        return self._process.exitcode

    def end(self) -> None:
        """Wait for a process that was told to stop; one that does not is killed."""
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self.connection.close()

    def _abandon(self) -> None:
        # By more than one thread, perhaps: each takes what it answers out first.
        for token in list(self._pending):
            answered = self._pending.pop(token, None)
            if answered is not None:
                answered(OutcomeUnknown(f"the process of node {self.id} has ended"))


class ProcessCluster(Cluster):
    """Every node is a process; for each a thread here hears what it says."""

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        self._config = config
        self._events = events
        self._nodes: dict[int, NodeHandle] = {}
        self._receivers: list[threading.Thread] = []
        self._stopping = False

    def start(self) -> None:
        """Start every node's process, with a socket to each of the others."""
        for n in self._config.nodes:
            self._provide(n)
        try:
            for node in self._nodes.values():
                node.call("start")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every node's process."""
        self._stopping = True
        for node in self._nodes.values():
            node.order("stop", answered=ignore)
        for receiver in self._receivers:
            receiver.join()
        for node in self._nodes.values():
            node.end()

    def _provide(self, node_id: int) -> None:
        """Start a node's process, which lives through all its lives."""
        sockets = {}
        for peer in self._nodes.values():
            sockets[peer.id], theirs = socket.socketpair()
            with theirs:
                peer.order("connect", node_id, answered=ignore, passing=theirs)
        node = NodeHandle(node_id, self._config, sockets)
        self._nodes[node_id] = node
        receiver = threading.Thread(target=self._receive, args=(node,), name=f"hears-{node_id}")
        self._receivers.append(receiver)
        receiver.start()

    def _receive(self, node: NodeHandle) -> None:
        """Hand on what a process says, until it has closed its pipe."""
        while True:
            try:
                value = node.connection.recv()
            except (EOFError, ConnectionResetError):
                break
            self._heard(node, value)
        status = node.ended()
        if not self._stopping:
            error = Unavailable(f"its process ended with exit status {status}")
            self._events.failed(node.id, error)

    def _heard(self, node: NodeHandle, value: tuple[Any, ...]) -> None:
        match value:
            case ("answer", token, answer):
                node.answered(token, answer)
            case ("role", change):
                self._events.role_changed(change)
            case ("entries_lost", lost):
                self._events.entries_lost(lost)
            case ("sent", messages, at_ns):
                if self._events.sent is not None:
                    self._events.sent(messages, at_ns)
            case ("failed", error):
                self._events.failed(node.id, error)

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Send the command to the node's process."""
        self._nodes[node].order("submit", command, answered=done)

    def read(self, node: int, query: Query) -> None:
        """Send the key to the node's process."""
        self._nodes[node].order("read", query.key, answered=query.done)

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Let the node's process wait for the entry."""
        self._nodes[node].order("when_applied", index, answered=done)

    def status(self, node: int) -> NodeStatus:
        """Ask the node's process."""
        status: NodeStatus = self._nodes[node].call("status")
        return status

    def counters(self, node: int) -> Counters:
        """Ask the node's process."""
        counters: Counters = self._nodes[node].call("counters")
        return counters

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Ask the node's process."""
        piece: LogSlice = self._nodes[node].call("log", first, last)
        return piece

    def crash(self, node: int) -> int:
        """Let the process drop the node's life."""
        ceased_ns: int = self._nodes[node].call("crash")
        return ceased_ns

    def restart(self, node: int) -> None:
        """Let the process begin a new life on what the old one saved."""
        self._nodes[node].call("start")

    def join(self, node: int) -> None:
        """Start a process for a new node."""
        if node not in self._nodes:
            self._provide(node)
        self.restart(node)

    def pause(self, node: int) -> NodeStatus:
        """Let the process listen to nothing but its contender."""
        status: NodeStatus = self._nodes[node].call("pause")
        return status

    def resume(self, node: int) -> None:
        """Let the process go on."""
        self._nodes[node].call("resume")

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell every process."""
        for node in self._nodes.values():
            node.call("partition", groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell every process."""
        for node in self._nodes.values():
            node.call("block", ways)

    def degrade(self, faults: Faults) -> None:
        """Tell every process."""
        for node in self._nodes.values():
            node.call("degrade", faults)

    def transfer(self, node: int, to: int) -> bool:
        """Ask the leader's process."""
        handed: bool = self._nodes[node].call("transfer", to)
        return handed

    def compact(self, node: int) -> tuple[int, int]:
        """Ask the node's process."""
        compacted: tuple[int, int] = self._nodes[node].call("compact")
        return compacted

    def heartbeat(self, node: int) -> None:
        """Let the leader send one."""
        self._nodes[node].call("heartbeat")

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's process."""
        result: dict[str, Any] = self._nodes[node].call("replicate", spec)
        return result

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop in the leader's process."""
        result: dict[str, Any] = self._nodes[node].call("offered", spec)
        return result


def ignore(_answer: Any) -> None:
    """Nobody waits for the answer to an order that cannot be refused."""
