"""A node's life: it takes what its sockets brought, lets Raft decide, and carries it out."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from raftmark.impl_multiprocessing.timer import Timer
from raftmark.impl_multiprocessing.transport import Transport
from raftmark.raft.client import Proposal, Query, Readers, Reading, Waiters, refuse
from raftmark.raft.cluster import ClusterConfig, Counters, LogSlice, Replica, RoleChange
from raftmark.raft.errors import NotLeader, Unavailable
from raftmark.raft.links import DelayLine
from raftmark.raft.messages import Message
from raftmark.raft.node import Node, Ready
from raftmark.raft.state_machine import StateMachine
from raftmark.raft.storage import Storage


class NodeLife:
    """A node from its start, or restart, to its crash, in a process with no other.

    Its process calls `step` as often as something has arrived or the timer has expired.
    StorageError if what an earlier life saved cannot be read.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: Storage,
        transport: Transport,
        draw: random.Random,
        role_changed: Callable[[RoleChange], None],
        sent: Callable[[Sequence[Message], int], None] | None,
    ) -> None:
        self.id = node_id
        self._node = Node(node_id, config.settings, draw.random, storage.load())
        self._machine = StateMachine()
        self._storage = storage
        self._transport = transport
        self._role_changed = role_changed
        self._sent = sent
        self._timer = Timer()
        self._inbox: list[Message] = []
        self._delayed: DelayLine[Message] = DelayLine()
        self._proposals: list[Proposal] = []
        self._queries: list[Query] = []
        self._waiters = Waiters()
        self._readers = Readers()
        self._view: tuple[Any, ...] = ()
        self._saves = 0
        self._save_ns = 0
        self._ceased: Unavailable | None = None
        self._announce()
        self._carry_out(self._node.ready())

    def deliver(self, due_ns: int, message: Message) -> None:
        """A message arrived, to be taken by a step not before `due_ns`."""
        if due_ns:
            self._delayed.push(due_ns, message)
        else:
            self._inbox.append(message)

    def submit(self, proposal: Proposal) -> None:
        """Propose a command with the next step; its `done` is called once."""
        if self._ceased is None:
            self._proposals.append(proposal)
        else:
            proposal.done(self._ceased)

    def read(self, query: Query) -> None:
        """Read a key with the next step; its `done` is called once."""
        self._queries.append(query)

    def may_wait_s(self) -> float:
        """For how long there is nothing to do unless something arrives."""
        if self._proposals or self._queries:
            return 0
        return self._timer.remaining_s(self._delayed.next_due_ns)

    def step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        inbox, self._inbox = self._inbox, []
        for message in inbox:
            self._receive(message)
        for message in self._delayed.pop_due(time.monotonic_ns()):
            self._receive(message)
        if self._timer.expired():
            self._node.timeout()
            self._announce()
        if self._proposals:
            proposals, self._proposals = self._proposals, []
            self._propose(proposals)
        if self._queries:
            queries, self._queries = self._queries, []
            self._read(queries)
        self._carry_out(self._node.ready())

    def cease(self, reason: str) -> None:
        """End the life where it is, with nothing more saved or sent."""
        self._ceased = Unavailable(reason)
        self._storage.close()
        self._waiters.abandon(reason)
        self._readers.abandon(self._ceased)
        refuse([*self._proposals, *self._queries], self._ceased)

    def replica(self) -> Replica:
        """The node at this moment."""
        return Replica.of(self._node, self._machine)

    def log(self, first: int, last: int) -> LogSlice:
        """A stretch of the node's log."""
        return LogSlice.of(self._node, first, last)

    def when_applied(self, index: int, done: Reading) -> None:
        """Tell with a step once the entry at `index` is applied here."""
        self._readers.await_index(index, Query("", done))

    def heartbeat(self) -> None:
        """Send a heartbeat to all followers now."""
        self._node.heartbeat_timeout()
        self._announce()
        self._carry_out(self._node.ready())

    def transfer(self, to: int) -> bool:
        """Hand the leadership over."""
        return self._node.transfer(to)

    def compact(self) -> tuple[int, int]:
        """Replace the log by a snapshot; that one's index and term."""
        self._node.take_snapshot(self._machine.items(), keep_tail=False)
        self._carry_out(self._node.ready())
        return self._node.snapshot.last_index, self._node.snapshot.last_term

    def counters(self) -> Counters:
        """What the node has sent and saved."""
        return Counters(
            messages=self._transport.messages,
            bytes=self._transport.bytes,
            saves=self._saves,
            save_ns=self._save_ns,
            entries=self._node.log.last_index,
        )

    def _receive(self, message: Message) -> None:
        self._node.step(message)
        self._announce()

    def _propose(self, proposals: list[Proposal]) -> None:
        first = self._node.propose([proposal.command for proposal in proposals])
        if first is not None:
            self._waiters.add(first, self._node.term, proposals)
            return
        refuse(proposals, NotLeader(self._node.leader_hint))

    def _read(self, queries: list[Query]) -> None:
        round_number = self._node.read()
        if round_number is not None:
            self._readers.add(round_number, queries)
        else:
            refuse(queries, NotLeader(self._node.leader))

    def _carry_out(self, ready: Ready) -> None:
        """Save, then send, then apply and answer: the order that safety rests on."""
        if ready.save is not None:
            began_ns = time.monotonic_ns()
            self._storage.save(ready.save)
            self._save_ns += time.monotonic_ns() - began_ns
            self._saves += 1
        if self._sent is not None:
            self._sent(ready.messages, time.monotonic_ns())
        self._transport.send(ready.messages)
        if ready.snapshot is not None:
            self._machine.restore(ready.snapshot)
            self._waiters.skipped(ready.snapshot.last_index)
        if ready.committed:
            first = self._machine.applied_index + 1
            results = self._machine.apply(ready.committed)
            self._waiters.applied(first, ready.committed, results)
        self._readers.resolve(ready.reads, self._machine, self._node.leader)
        if self._node.snapshot_due:
            self._node.take_snapshot(self._machine.items())
        if ready.timer_ns is not None:
            self._timer.restart(ready.timer_ns)

    def _announce(self) -> None:
        node = self._node
        view = (node.role, node.term, node.leader)
        if view != self._view:
            self._view = view
            self._role_changed(RoleChange(self.id, *view, time.monotonic_ns()))
