"""A cluster on asyncio: an event loop in a thread, and all nodes in the event loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from raftmark.impl_asyncio.node import NodeTask
from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.transport import Mailbox, Transport
from raftmark.impl_asyncio.workload import offered, replicate
from raftmark.raft.client import Done, Proposal, Query, Reading
from raftmark.raft.cluster import ClusterConfig, Counters, Events, LogSlice, NodeStatus
from raftmark.raft.errors import Unavailable
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command
from raftmark.raft.one_program import OneProgram
from raftmark.raft.server import Server

T = TypeVar("T")


class AsyncioCluster(OneProgram):
    """Every node is a task; the methods bring each request into the event loop."""

    def __init__(
        self,
        config: ClusterConfig,
        events: Events,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        super().__init__(config, events)
        self._mailboxes: dict[int, Mailbox] = {}
        self._nodes: dict[int, NodeTask] = {}
        try:
            self._loop = new_loop()
        except OSError as error:
            raise Unavailable(f"the machine has no files for an event loop: {error}") from error
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop")

    def start(self) -> None:
        """Start the event loop and every node's task."""
        self._begin(self._start())

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Start the event loop, and end it again if the coroutine fails there."""
        try:
            self._thread.start()
        except RuntimeError as error:
            coroutine.close()
            self._loop.close()
            raise Unavailable(f"the machine has no thread for the event loop: {error}") from error
        try:
            return self._run(coroutine)
        except BaseException:
            self._end_loop()
            self._close_storages()
            raise

    def stop(self) -> None:
        """End every task, then the event loop and its thread."""
        self._run(self._stop())
        self._end_loop()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _call(self, node: int, function: Callable[[Server], T]) -> T:
        """Let a node's task call a function."""
        return self._run(self._nodes[node].call(function))

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        nodes = [self._new_life(n) for n in self._config.nodes]
        for node in nodes:
            node.start()

    async def _begin_life(self, node: int, *, joins: bool = False) -> None:
        self._new_life(node, joins=joins).start()

    async def _stop(self) -> None:
        for node in self._nodes.values():
            await node.crash()
        # A workload's tasks have heard by now that their leader is gone.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest)

    def _new_life(self, node_id: int, *, joins: bool = False) -> NodeTask:
        mailbox = Mailbox()
        node = NodeTask(
            node_id,
            self._config,
            BackgroundStorage(self._storage[node_id]),
            mailbox,
            self._transport(node_id),
            self._random[node_id],
            self._events,
            joins=joins,
        )
        # Not before: where there is no such life nobody would empty its mailbox.
        self._mailboxes[node_id], self._nodes[node_id] = mailbox, node
        return node

    def _transport(self, node_id: int) -> Transport:
        return Transport(self._mailboxes, self._links[node_id])

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Bring the command to the node."""
        self._loop.call_soon_threadsafe(self._nodes[node].propose, Proposal(command, done))

    def read(self, node: int, query: Query) -> None:
        """Bring the query to the node."""
        self._loop.call_soon_threadsafe(self._nodes[node].read, query)

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Let the node's task wait for the entry."""
        self._call(node, lambda server: server.await_applied(index, done))

    def status(self, node: int) -> NodeStatus:
        """Ask the node's task."""
        return self._call(node, Server.replica).status()

    def counters(self, node: int) -> Counters:
        """Look at the node's."""
        return self._nodes[node].counters()

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """Ask the node's task."""
        return self._call(node, lambda server: server.log(first, last))

    def crash(self, node: int) -> int:
        """Cancel the node's task."""
        return self._run(self._nodes[node].crash())

    def restart(self, node: int) -> bool:
        """Start a new task on what the old one saved."""
        self._run(self._begin_life(node))
        return False

    def join(self, node: int, *, joins: bool) -> None:
        """Start a task for a new node."""
        if node not in self._storage:
            self._provide(node)
        self._run(self._begin_life(node, joins=joins))

    def pause(self, node: int) -> NodeStatus:
        """Let the node's task wait."""
        return self._run(self._nodes[node].pause()).status()

    def resume(self, node: int) -> None:
        """Wake the node's task."""
        self._loop.call_soon_threadsafe(self._nodes[node].resume)

    def transfer(self, node: int, to: int) -> bool:
        """Ask the leader's task."""
        return self._call(node, lambda server: server.transfer(to))

    def compact(self, node: int) -> tuple[int, int]:
        """Ask the node's task."""
        return self._call(node, Server.compact)

    def heartbeat(self, node: int) -> None:
        """Let the leader send one."""
        self._call(node, Server.heartbeat)

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop's tasks beside the leader's."""
        return self._run(replicate(self._nodes[node], spec))

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop's task beside the leader's."""
        return self._run(offered(self._nodes[node], spec))
