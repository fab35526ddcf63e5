"""A node's life: one thread that waits for its mailbox and its timer, and no lock."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from raftmark.impl_threading.transport import Delayed, Mailbox, Transport
from raftmark.raft.client import Proposal, Query
from raftmark.raft.cluster import ClusterConfig, Counters, Events, Replica
from raftmark.raft.draws import Draws
from raftmark.raft.links import MAX_HELD, DelayLine
from raftmark.raft.messages import Message
from raftmark.raft.node import HANDLERS, Node
from raftmark.raft.server import Server
from raftmark.raft.storage import Storage
from raftmark.raft.timer import Timer

T = TypeVar("T")


class Call(NamedTuple):
    """Something that only the node's own thread may do, and where its result goes."""

    function: Callable[[Server], Any]
    result: "Future[Any]"


class Pause(NamedTuple):
    """Hang until resumed, and leave what the node is at that moment."""

    result: "Future[Replica]"


class NodeThread:
    """A node from its start, or restart, to its crash.

    The server is touched by the node's thread alone; others reach it through the mailbox.
    StorageError if what an earlier life saved cannot be read.
    """

    def __init__(
        self,
        node_id: int,
        config: ClusterConfig,
        storage: Storage,
        mailbox: Mailbox,
        transport: Transport,
        draws: Draws,
        events: Events,
        *,
        joins: bool = False,
    ) -> None:
        self.id = node_id
        self._storage = storage
        self._mailbox = mailbox
        self._events = events
        self._timer = Timer(time.monotonic_ns)
        node = Node(node_id, config.settings, draws.random, storage.load())
        self._server = Server(node, transport.send, self._timer.restart, events, time.monotonic_ns)
        if joins:
            self._server.join()
        self._transport = transport
        self._delayed: DelayLine[Message] = DelayLine()
        self._batch: list[Any] = []
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

    def call(self, function: Callable[[Server], T]) -> T:
        """Let the node's thread call a function, between two steps; returns its result."""
        result: Future[T] = Future()
        self._mailbox.put(Call(function, result))
        self._refuse_if_ceased()
        return result.result()

    def counters(self) -> Counters:
        """What the node has sent and saved."""
        return self._server.counters(self._transport.sent_bytes)

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

    def _live(self) -> None:
        failure: Exception | None = None
        try:
            self._server.begin()
            self._carry_out()
            while not self._crashing:
                self._step()
        except Exception as error:  # noqa: BLE001 (a node that fails is reported, as a crash)
            failure = error
        finally:
            self._ceased_ns = time.monotonic_ns()
            self._storage.close()
            self._mailbox.bound(0)
            self._server.abandon()
            self._refuse(self._batch)
            self._ceased.set()
            self._refuse_if_ceased()
        if failure is not None:
            # Not before: whoever hears of it may begin the next life, on the same storage.
            self._events.failed(self.id, failure)

    def _step(self) -> None:
        """One round: take all that waits, then save, send and apply once for all of it."""
        proposals: list[Proposal] = []
        queries: list[Query] = []
        server = self._server
        self._batch = self._mailbox.drain(self._may_wait_s())
        for item in self._batch:
            if self._crashing:
                return
            if isinstance(item, Proposal):
                proposals.append(item)
            elif type(item) in HANDLERS:
                server.receive(item)
            elif isinstance(item, Query):
                queries.append(item)
            elif isinstance(item, Call):
                # It is to see a server that has done all that follows from what came before.
                self._carry_out()
                result = item.function(server)
                self._carry_out()
                item.result.set_result(result)
            elif isinstance(item, Pause):
                self._carry_out()
                self._mailbox.bound(MAX_HELD)
                item.result.set_result(server.replica())
                self._resumed.wait()
                self._mailbox.unbound()
                # What has come meanwhile counts before the timer does.
                self._batch += self._mailbox.drain(0)
            elif isinstance(item, Delayed):
                self._delayed.push(*item)
        for message in self._delayed.pop_due(time.monotonic_ns()):
            server.receive(message)
        if self._timer.expired():
            server.time_out()
        self._batch = []
        if proposals or queries:
            server.take(proposals, queries)
        self._carry_out()

    def _may_wait_s(self) -> float:
        """For how long there is nothing to do unless something comes."""
        if self._server.asked:
            return 0  # By a client who heard an answer in this thread, and asked at once.
        return self._timer.remaining_s(self._delayed.next_due_ns)

    def _carry_out(self) -> None:
        for save in self._server.carry_out():
            self._storage.save(save)

    def _refuse_if_ceased(self) -> None:
        """Refuse what came too late; the node and its caller both look, so one of them sees it.

        One at a time: a mailbox is drained by one thread alone, and so are `done`s called.
        """
        if self._ceased.is_set():
            with self._refusing:
                self._refuse(self._mailbox.drain(0))

    def _refuse(self, items: list[Any]) -> None:
        down = self._server.down()
        for item in items:
            if isinstance(item, Proposal | Query):
                item.done(down)
            elif isinstance(item, Call | Pause) and not item.result.done():
                item.result.set_exception(down)
