"""A node's life: one task that takes what waits, lets Raft decide, and carries it out."""

import asyncio
import functools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.timer import Timer
from raftmark.impl_asyncio.transport import Mailbox, Transport
from raftmark.raft.client import (
    Applied,
    Outcome,
    Proposal,
    Query,
    Readers,
    Reading,
    Waiters,
    refuse,
)
from raftmark.raft.cluster import ClusterConfig, Counters, Events, LogSlice, Replica, RoleChange
from raftmark.raft.errors import NotLeader, RaftError, Unavailable
from raftmark.raft.messages import Command, Message
from raftmark.raft.node import Node, Ready
from raftmark.raft.state_machine import StateMachine

T = TypeVar("T")


class Call(NamedTuple):
    """Something to be done between two steps, and where its result goes."""

    function: Callable[[], Awaitable[Any]]
    result: "asyncio.Future[Any]"


class Pause(NamedTuple):
    """Hang until resumed, and leave what the node is at that moment."""

    result: "asyncio.Future[Replica]"


class NodeTask:
    """A node from its start, or restart, to its crash.

    Everything Raft is touched by the node's task alone, between its awaits; others reach
    it through the mailbox. StorageError if what an earlier life saved cannot be read.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: BackgroundStorage,
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
        self._timer = Timer(mailbox.wake)
        self._waiters = Waiters()
        self._readers = Readers()
        self._batch: list[Any] = []
        self._view: tuple[Any, ...] = ()
        self._saves = 0
        self._save_ns = 0
        self._resumed = asyncio.Event()
        self._ceased_ns: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the node's life."""
        self._task = asyncio.create_task(self._live(), name=f"node-{self.id}")

    # -- for other tasks ---------------------------------------------------------------

    def propose(self, request: Proposal | Query) -> None:
        """Ask for a command or a read; its `done` is called once, in the event loop."""
        self._put(request)

    def submit(self, command: Command) -> "asyncio.Future[Applied]":
        """Propose a command; the future has its outcome, or raises the RaftError."""
        future: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self.propose(Proposal(command, functools.partial(resolve, future)))
        return future

    async def crash(self) -> int:
        """End the node's life where it is, with nothing more sent; when it ceased (ns)."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._ceased_ns is not None
        return self._ceased_ns

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Let the node's task await a function, between two steps; returns its result."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(Call(function, result))
        return await result

    async def pause(self) -> Replica:
        """Hang the node until `resume`; what it was then."""
        self._resumed.clear()
        pause = Pause(asyncio.get_running_loop().create_future())
        self._put(pause)
        return await pause.result

    def resume(self) -> None:
        """Let a hung node go on."""
        self._resumed.set()

    def _put(self, item: Any) -> None:
        if self._ceased_ns is None:
            self._mailbox.put(item)
        else:
            self._refuse([item])

    # -- for the node's task -----------------------------------------------------------

    async def replica(self) -> Replica:
        """The node at this moment."""
        return Replica.of(self._node, self._machine)

    async def log(self, first: int, last: int) -> LogSlice:
        """A stretch of the node's log."""
        return LogSlice.of(self._node, first, last)

    async def when_applied(self, index: int, done: Reading) -> None:
        """Tell once the entry at `index` is applied here."""
        self._readers.await_index(index, Query("", done))

    async def heartbeat(self) -> None:
        """Send a heartbeat to all followers now."""
        self._node.heartbeat_timeout()
        self._announce()
        await self._carry_out(self._node.ready())

    async def transfer(self, to: int) -> bool:
        """Hand the leadership over."""
        return self._node.transfer(to)

    async def compact(self) -> tuple[int, int]:
        """Replace the log by a snapshot; that one's index and term."""
        self._node.take_snapshot(self._machine.items(), keep_tail=False)
        await self._carry_out(self._node.ready())
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

    async def _live(self) -> None:
        try:
            self._announce()
            await self._carry_out(self._node.ready())
            while True:
                self._batch = await self._mailbox.drain()
                await self._step()
        except Exception as error:  # noqa: BLE001 (a node that fails is reported, as a crash)
            self._events.failed(self.id, error)
        finally:
            self._ceased_ns = time.monotonic_ns()
            self._timer.cancel()
            self._storage.close()
            self._waiters.abandon(f"node {self.id} ceased")
            self._readers.abandon(Unavailable(f"node {self.id} is down"))
            self._refuse([*self._batch, *self._mailbox.take()])

    async def _step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        proposals: list[Proposal] = []
        queries: list[Query] = []
        for item in self._batch:
            if isinstance(item, Proposal):
                proposals.append(item)
            elif isinstance(item, Query):
                queries.append(item)
            elif isinstance(item, Call):
                # It is to see a node that has done all that it has decided on.
                await self._carry_out(self._node.ready())
                item.result.set_result(await item.function())
            elif isinstance(item, Pause):
                await self._carry_out(self._node.ready())
                item.result.set_result(await self.replica())
                await self._resumed.wait()
                # What has come meanwhile counts before the timer does.
                self._batch += self._mailbox.take()
            else:
                self._receive(item)
        if self._timer.expired():
            self._node.timeout()
            self._announce()
        if proposals:
            self._propose(proposals)
        if queries:
            self._read(queries)
        self._batch = []
        await self._carry_out(self._node.ready())

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

    async def _carry_out(self, ready: Ready) -> None:
        """Save, then send, then apply and answer: the order that safety rests on."""
        if ready.save is not None:
            began_ns = time.monotonic_ns()
            await self._storage.save(ready.save)
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

    def _refuse(self, items: list[Any]) -> None:
        down = Unavailable(f"node {self.id} is down")
        for item in items:
            if isinstance(item, Proposal | Query):
                item.done(down)
            elif isinstance(item, Call | Pause) and not item.result.done():
                item.result.set_exception(down)


def resolve(future: "asyncio.Future[Applied]", outcome: Outcome) -> None:
    """Give a future its outcome, unless nobody waits for it any more."""
    if future.cancelled():
        return
    if isinstance(outcome, RaftError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
