"""A node's life: one thread that takes what waits, lets Raft decide, and carries it out."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from raftmark.impl_threading.timer import Timer
from raftmark.impl_threading.transport import Delayed, Mailbox, Transport
from raftmark.raft.client import Proposal, Query, Readers, Reading, Waiters, refuse
from raftmark.raft.cluster import ClusterConfig, Counters, Events, LogSlice, Replica, RoleChange
from raftmark.raft.errors import NotLeader, Unavailable
from raftmark.raft.links import DelayLine
from raftmark.raft.messages import Message
from raftmark.raft.node import Node, Ready
from raftmark.raft.state_machine import StateMachine
from raftmark.raft.storage import Storage

T = TypeVar("T")


class Call(NamedTuple):
    """Something that only the node's own thread may do, and where its result goes."""

    function: Callable[[], Any]
    result: "Future[Any]"


class Pause(NamedTuple):
    """Hang until resumed, and leave what the node is at that moment."""

    result: "Future[Replica]"


class NodeThread:
    """A node from its start, or restart, to its crash.

    Everything Raft is touched by the node's thread alone; others reach it through the
    mailbox. StorageError if what an earlier life saved cannot be read.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: Storage,
        mailbox: Mailbox,
        transport: Transport,
        draw: random.Random,
        events: Events,
    ) -> None:
        self.id = node_id
        self._node = Node(node_id, config.settings, draw.random, storage.load())
        self._machine = StateMachine()
        self._storage = storage
        self._mailbox = mailbox
        self._transport = transport
        self._events = events
        self._timer = Timer()
        self._delayed: DelayLine[Message] = DelayLine()
        self._waiters = Waiters()
        self._readers = Readers()
        self._batch: list[Any] = []
        self._view: tuple[Any, ...] = ()
        self._saves = 0
        self._save_ns = 0
        self._crashing = False
        self._resumed = threading.Event()
        self._ceased = threading.Event()
        self._ceased_ns = 0
        self._refusing = threading.RLock()  # A `done` that is refused may submit again.
        self._thread = threading.Thread(target=self._live, name=f"node-{node_id}")

    # -- for other threads -----------------------------------------------------------

    def start(self) -> None:
        """Begin the node's life."""
        self._thread.start()

    def submit(self, request: Proposal | Query) -> None:
        """Ask for a command or a read; `done` is called once, by the node's thread as a rule."""
        self._mailbox.put(request)
        self._refuse_if_ceased()

    def call(self, function: Callable[[], T]) -> T:
        """Let the node's thread call a function, between two steps; returns its result."""
        result: Future[T] = Future()
        self._mailbox.put(Call(function, result))
        self._refuse_if_ceased()
        return result.result()

    def crash(self) -> int:
        """End the node's life where it is, with nothing more saved or sent."""
        self._crashing = True
        self._resumed.set()
        self._mailbox.put(None)
        self._thread.join()
        return self._ceased_ns

    def pause(self) -> Replica:
        """Hang the node until `resume`; what it was then."""
        self._resumed.clear()
        pause = Pause(Future())
        self._mailbox.put(pause)
        self._refuse_if_ceased()
        return pause.result.result()

    def resume(self) -> None:
        """Let a hung node go on."""
        self._resumed.set()

    # -- for the node's thread -------------------------------------------------------

    def replica(self) -> Replica:
        """The node at this moment."""
        return Replica.of(self._node, self._machine)

    def log(self, first: int, last: int) -> LogSlice:
        """A stretch of the node's log."""
        return LogSlice.of(self._node, first, last)

    def when_applied(self, index: int, done: Reading) -> None:
        """Tell once the entry at `index` is applied here."""
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
            bytes=None,
            saves=self._saves,
            save_ns=self._save_ns,
            entries=self._node.log.last_index,
        )

    def _live(self) -> None:
        try:
            self._announce()
            self._carry_out(self._node.ready())
            while not self._crashing:
                self._step()
        except Exception as error:  # noqa: BLE001 (a node that fails is reported, as a crash)
            self._events.failed(self.id, error)
        finally:
            self._ceased_ns = time.monotonic_ns()
            self._storage.close()
            self._waiters.abandon(f"node {self.id} ceased")
            self._readers.abandon(Unavailable(f"node {self.id} is down"))
            self._refuse(self._batch)
            self._ceased.set()
            self._refuse_if_ceased()

    def _step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        proposals: list[Proposal] = []
        queries: list[Query] = []
        self._batch = self._mailbox.drain(self._timer.remaining_s(self._delayed.next_due_ns))
        for item in self._batch:
            if self._crashing:
                return
            if isinstance(item, Proposal):
                proposals.append(item)
            elif isinstance(item, Query):
                queries.append(item)
            elif isinstance(item, Call):
                # It is to see a node that has done all that it has decided on.
                self._carry_out(self._node.ready())
                item.result.set_result(item.function())
            elif isinstance(item, Pause):
                self._carry_out(self._node.ready())
                item.result.set_result(self.replica())
                self._resumed.wait()
                # What has come meanwhile counts before the timer does.
                self._batch += self._mailbox.drain(0)
            elif isinstance(item, Delayed):
                self._delayed.push(*item)
            elif item is not None:
                self._receive(item)
        for message in self._delayed.pop_due(time.monotonic_ns()):
            self._receive(message)
        if self._timer.expired():
            self._node.timeout()
            self._announce()
        if proposals:
            self._propose(proposals)
        if queries:
            self._read(queries)
        self._batch = []
        self._carry_out(self._node.ready())

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
        if self._events.sent is not None:
            self._events.sent(ready.messages, time.monotonic_ns())
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
            self._events.role_changed(RoleChange(self.id, *view, time.monotonic_ns()))

    def _refuse_if_ceased(self) -> None:
        """Refuse what came too late; the node and its caller both look, so one of them sees it.

        One at a time: a mailbox is drained by one thread alone, and so are `done`s called.
        """
        if self._ceased.is_set():
            with self._refusing:
                self._refuse(self._mailbox.drain(0))

    def _refuse(self, items: list[Any]) -> None:
        down = Unavailable(f"node {self.id} is down")
        for item in items:
            if isinstance(item, Proposal | Query):
                item.done(down)
            elif isinstance(item, Call | Pause) and not item.result.done():
                item.result.set_exception(down)
