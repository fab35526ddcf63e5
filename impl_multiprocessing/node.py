"""A node's life: between two steps its process waits, for sockets and no longer than it may."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from raftmark.impl_multiprocessing.transport import Transport
from raftmark.raft.client import Proposal, Query
from raftmark.raft.cluster import ClusterConfig, Counters, Events
from raftmark.raft.draws import Draws
from raftmark.raft.links import DelayLine
from raftmark.raft.messages import Message
from raftmark.raft.node import Node
from raftmark.raft.server import Server
from raftmark.raft.storage import Storage
from raftmark.raft.timer import Timer

T = TypeVar("T")


class NodeLife:
    """A node from its start, or restart, to its crash, in a process with no other.

    Its process calls `step` as often as something has arrived or the timer has expired.
    StorageError if what an earlier life saved cannot be read, or the first save fails.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: Storage,
        transport: Transport,
        draws: Draws,
        events: Events,
        *,
        joins: bool,
    ) -> None:
        self.id = node_id
        self._storage = storage
        self._transport = transport
        self._timer = Timer(time.monotonic_ns)
        node = Node(node_id, config.settings, draws.random, storage.load())
        self._server = Server(node, transport.send, self._timer.restart, events, time.monotonic_ns)
        self._inbox: list[Message] = []
        self._delayed: DelayLine[Message] = DelayLine()
        self._proposals: list[Proposal] = []
        self._queries: list[Query] = []
        self._ceased = False
        if joins:
            self._server.join()
        self._server.begin()
        self._carry_out()

    def deliver(self, delay_ns: int, message: Message) -> None:
        """A message arrived, to be taken by a step when it was held for `delay_ns`."""
        if delay_ns:
            self._delayed.push(time.monotonic_ns() + delay_ns, message)
        else:
            self._inbox.append(message)

    def submit(self, proposal: Proposal) -> None:
        """Propose a command with the next step; its `done` is called once."""
        if self._ceased:
            proposal.done(self._server.down())
        else:
            self._proposals.append(proposal)

    def read(self, query: Query) -> None:
        """Read a key with the next step; its `done` is called once."""
        self._queries.append(query)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of the server between two steps; returns its result."""
        result = function(self._server, *arguments)
        self._carry_out()
        return result

    def counters(self) -> Counters:
        """What the node has sent and saved."""
        return self._server.counters(self._transport.bytes)

    def may_wait_s(self) -> float:
        """For how long there is nothing to do unless something arrives."""
        if self._proposals or self._queries:
            return 0
        return self._timer.remaining_s(self._delayed.next_due_ns)

    def step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        server = self._server
        inbox, self._inbox = self._inbox, []
        for message in inbox:
            server.receive(message)
        for message in self._delayed.pop_due(time.monotonic_ns()):
            server.receive(message)
        if self._timer.expired():
            server.time_out()
        if self._proposals or self._queries:
            self._hand_over()
        self._carry_out()

    def cease(self) -> None:
        """End the life where it is, with nothing more saved or sent."""
        self._ceased = True
        self._storage.close()
        self._hand_over()
        self._server.abandon()

    def _hand_over(self) -> None:
        self._server.take(self._proposals, self._queries)
        self._proposals, self._queries = [], []

    def _carry_out(self) -> None:
        for save in self._server.carry_out():
            self._storage.save(save)
