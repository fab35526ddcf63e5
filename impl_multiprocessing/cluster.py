"""A cluster on processes: starts and ends them, and speaks to each through a pipe."""

import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

from raftmark.impl_multiprocessing.handle import ANSWER_S, NodeHandle, ProcessHandle, ignore
from raftmark.impl_multiprocessing.process import decode_slice
from raftmark.raft.client import Done, Query, Reading
from raftmark.raft.cluster import Cluster, ClusterConfig, Counters, Events, LogSlice, NodeStatus
from raftmark.raft.errors import OutcomeUnknown, Unavailable
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command


class ProcessCluster(Cluster):
    """Every node is a process; for each a thread here hears what it says.

    A process lives through its node's lives, so that memory storage does. One that ends by
    itself, or is killed, is a crash of its node, and the next life has a new process.
    """

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        self._config = config
        self._events = events
        self._nodes: dict[int, NodeHandle] = {}
        self._links: dict[str, tuple[str, Any]] = {}
        self._stopping = False

    def start(self) -> None:
        """Start every node's process, with a socket to each of the others."""
        try:
            for n in self._config.nodes:
                self._provide(n)
            for n in self._config.nodes:
                self._begin(n)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every node's process."""
        self._stopping = True
        for node in self._nodes.values():
            node.order("stop", answered=ignore)
        for node in self._nodes.values():
            node.end()

    def _provide(self, node_id: int) -> None:
        """Start a node's process, which lives through all its lives."""
        sockets = {}
        try:
            for peer in self._nodes.values():
                if peer.id != node_id and not peer.gone:
                    sockets[peer.id], theirs = socket.socketpair()
                    answered = partial(close, theirs)
                    peer.order("connect", node_id, answered=answered, passing=theirs)
            node = ProcessHandle(node_id, self._config, sockets, self._heard, self._ended)
        except (OSError, RuntimeError) as error:
            raise Unavailable(f"the machine has no process for node {node_id}: {error}") from error
        finally:
            # The node, if there is one, has its own ends now.
            for sock in sockets.values():
                sock.close()
        self._nodes[node_id] = node
        for name, argument in self._links.values():
            node.order(name, argument, answered=ignore)

    def _begin(self, node_id: int, *, joins: bool = False) -> None:
        """Let a node's process begin a life on what is saved."""
        node = self._nodes[node_id]
        node.lives = True  # First, as the life may end as soon as it has begun.
        try:
            node.call("start", joins, patiently=True)
        except BaseException:
            node.lives = False
            raise

    def _ended(self, node: NodeHandle, status: int | None) -> None:
        """A node's process has ended, and with it the life of the node, if it had one."""
        if node.lives and not self._stopping:
            node.lives = False
            reason = f"its process ended with exit status {status}"
            self._events.failed(node.id, Unavailable(reason))

    def _heard(self, node: NodeHandle, value: tuple[Any, ...]) -> None:
        match value:
            case ("role", change):
                self._events.role_changed(change)
            case ("entries_lost", lost):
                self._events.entries_lost(lost)
            case ("members", membership):
                self._events.members_committed(membership)
            case ("sent", messages):
                if self._events.sent is not None:
                    self._events.sent(messages)
            case ("refused", refusal):
                self._events.refused(refusal)
            case ("failed", error):
                node.lives = False
                self._events.failed(node.id, error)

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Send the command to the node's process."""
        self._nodes[node].order("submit", command, answered=done, lost=OutcomeUnknown)

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
        return decode_slice(self._nodes[node].call("log", first, last))

    def crash(self, node: int) -> int:
        """Let the process drop the node's life; one that hangs is killed, and its memory lost."""
        handle = self._nodes[node]
        handle.lives = False
        try:
            ceased_ns: int = handle.call("crash")
        except Unavailable:
            if not handle.gone:
                handle.kill()
            return time.monotonic_ns()
        return ceased_ns

    def restart(self, node: int) -> bool:
        """Let the process begin a new life on what the old one saved, or start another one."""
        handle = self._nodes[node]
        if handle.gone:
            self._replace(handle)
        self._begin(node)
        return handle.gone and self._config.storage == "memory"

    def _replace(self, handle: NodeHandle) -> None:
        """Start another process in the place of one that has ended."""
        handle.end()
        self._provide(handle.id)

    def join(self, node: int, *, joins: bool) -> None:
        """Start a process for a new node, or let the one that it had begin another life."""
        if node not in self._nodes:
            self._provide(node)
        elif self._nodes[node].gone:
            self._replace(self._nodes[node])
        self._begin(node, joins=joins)

    def pause(self, node: int) -> NodeStatus:
        """Let the process listen to nothing but its contender."""
        try:
            status: NodeStatus = self._nodes[node].call("pause")
        except Unavailable:
            # It may hang now, and obey later: then it is not to stay so.
            self._nodes[node].order("resume", answered=ignore)
            raise
        return status

    def resume(self, node: int) -> None:
        """Let the process go on."""
        self._nodes[node].call("resume")

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Tell every process."""
        self._tell_all("cut", "partition", groups)

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Tell every process."""
        self._tell_all("cut", "block", ways)

    def degrade(self, faults: Faults) -> None:
        """Tell every process."""
        self._tell_all("faults", "degrade", faults)

    def _tell_all(self, what: str, name: str, argument: Any) -> None:
        """Order something of the links, now and of every process to come.

        A process that hangs does so as soon as it goes on.
        """
        self._links[what] = name, argument
        answers = []
        for node in self._nodes.values():
            answer: Future[Any] = Future()
            node.order(name, argument, answered=answer.set_result)
            if not node.hangs:
                answers.append(answer)
        wait(answers, ANSWER_S)

    def transfer(self, node: int, to: int) -> bool:
        """Ask the leader's process."""
        handed: bool = self._nodes[node].call("transfer", to)
        return handed

    def compact(self, node: int) -> tuple[int, int]:
        """Ask the node's process."""
        compacted: tuple[int, int] = self._nodes[node].call("compact", patiently=True)
        return compacted

    def heartbeat(self, node: int) -> None:
        """Let the leader send one."""
        self._nodes[node].call("heartbeat")

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop in the leader's process."""
        result: dict[str, Any] = self._nodes[node].call("replicate", spec, patiently=True)
        return result

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop in the leader's process."""
        result: dict[str, Any] = self._nodes[node].call("offered", spec, patiently=True)
        return result


def close(sock: socket.socket, _answer: Any) -> None:
    """A process has what was passed to it, or will not need it."""
    sock.close()
