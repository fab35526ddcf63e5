"""A node's life: one task of the event loop that awaits its mailbox, and its saves."""

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.timer import Timer
from raftmark.impl_asyncio.transport import Mailbox, Transport
from raftmark.raft.client import Applied, Outcome, Proposal, Query, proposal_of
from raftmark.raft.cluster import ClusterConfig, Counters, Events, Replica
from raftmark.raft.draws import Draws
from raftmark.raft.errors import RaftError
from raftmark.raft.links import MAX_HELD
from raftmark.raft.messages import Command
from raftmark.raft.node import HANDLERS, Node
from raftmark.raft.server import Server

T = TypeVar("T")


class Call(NamedTuple):
    """Something to be done between two steps, and where its result goes."""

    function: Callable[[Server], Any]
    result: "asyncio.Future[Any]"


class Pause(NamedTuple):
    """Hang until resumed, and leave what the node is at that moment."""

    result: "asyncio.Future[Replica]"


class NodeTask:
    """A node from its start, or restart, to its crash.

    The server is touched by the node's task alone, which awaits nothing in between but its
    saves; clients leave with it what they ask for, and others reach it through the mailbox.
    StorageError if what an earlier life saved cannot be read.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: BackgroundStorage,
        mailbox: Mailbox,
        transport: Transport,
        draws: Draws,
        events: Events,
        *,
        joins: bool = False,
    ) -> None:
        self.id = node_id
        # Before Python 3.12 whoever asks for it asks the system for its process each time.
        self._loop = asyncio.get_running_loop()
        self._storage = storage
        self._mailbox = mailbox
        self._events = events
        self._timer = Timer(mailbox.wake)
        node = Node(node_id, config.settings, draws.random, storage.load())
        self._server = Server(node, transport.send, self._timer.restart, events, time.monotonic_ns)
        if joins:
            self._server.join()
        self._transport = transport
        self._batch: list[Any] = []
        self._resumed = asyncio.Event()
        self._ceased_ns: int | None = None
        self._task: asyncio.Task[None] | None = None

    def counters(self) -> Counters:
        """What the node has sent and saved."""
        return self._server.counters(self._transport.sent_bytes)

    # -- for other tasks ---------------------------------------------------------------

    def start(self) -> None:
        """Begin the node's life."""
        self._task = asyncio.create_task(self._live(), name=f"node-{self.id}")

    def propose(self, proposal: Proposal) -> None:
        """Ask for a command; its `done` is called once, in the event loop."""
        if self._ceased_ns is None:
            self._server.propose(proposal)
            self._mailbox.wake()
        else:
            proposal.done(self._server.down())

    def read(self, query: Query) -> None:
        """Ask for a read; its `done` is called once, in the event loop."""
        if self._ceased_ns is None:
            self._server.query(query)
            self._mailbox.wake()
        else:
            query.done(self._server.down())

    def submit(self, command: Command) -> "asyncio.Future[Applied]":
        """Propose a command; the future has its outcome, or raises the RaftError."""
        future: asyncio.Future[Applied] = self._loop.create_future()
        self.propose(proposal_of((command, functools.partial(resolve, future))))
        return future

    async def call(self, function: Callable[[Server], T]) -> T:
        """Let the node's task call a function, between two steps; returns its result."""
        result: asyncio.Future[T] = self._loop.create_future()
        self._put(Call(function, result))
        return await result

    async def crash(self) -> int:
        """End the node's life where it is, with nothing more sent; when it ceased (ns)."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._ceased_ns is not None
        return self._ceased_ns

    async def pause(self) -> Replica:
        """Hang the node until `resume`; what it was then."""
        self._resumed.clear()
        pause = Pause(self._loop.create_future())
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

    async def _live(self) -> None:
        try:
            self._server.begin()
            await self._carry_out()
            while True:
                self._batch = await self._mailbox.drain()
                await self._step()
        except Exception as error:  # noqa: BLE001 (a node that fails is reported, as a crash)
            self._events.failed(self.id, error)
        finally:
            self._ceased_ns = time.monotonic_ns()
            self._timer.cancel()
            self._storage.close()
            self._mailbox.bound(0)
            self._server.abandon()
            self._refuse([*self._batch, *self._mailbox.take()])

    async def _step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        server = self._server
        for item in self._batch:
            if type(item) in HANDLERS:
                server.receive(item)
            elif isinstance(item, Call):
                # It is to see a server that has done all that follows from what came before.
                await self._carry_out()
                result = item.function(server)
                await self._carry_out()
                item.result.set_result(result)
            elif isinstance(item, Pause):
                await self._carry_out()
                item.result.set_result(server.replica())
                await self._hang()
        if self._timer.expired():
            server.time_out()
        self._batch = []
        await self._carry_out()

    async def _hang(self) -> None:
        self._mailbox.bound(MAX_HELD)
        await self._resumed.wait()
        self._mailbox.unbound()
        # What has come meanwhile counts before the timer does.
        self._batch += self._mailbox.take()

    async def _carry_out(self) -> None:
        for save in self._server.carry_out():
            await self._storage.save(save)

    def _refuse(self, items: list[Any]) -> None:
        down = self._server.down()
        for item in items:
            if isinstance(item, Call | Pause) and not item.result.done():
                item.result.set_exception(down)


def resolve(future: "asyncio.Future[Applied]", outcome: Outcome) -> None:
    """Give a future its outcome, unless nobody waits for it any more."""
    if future.cancelled():
        return
    if isinstance(outcome, RaftError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
