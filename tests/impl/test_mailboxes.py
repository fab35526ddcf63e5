"""What waits for a node that hangs is bounded, and nothing waits for one that has ended."""

from __future__ import annotations

import asyncio
import random
import selectors
import socket
from pathlib import Path

import pytest

from raftmark.impl_asyncio.cluster import AsyncioCluster
from raftmark.impl_asyncio.node import NodeTask
from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.transport import Mailbox as TaskMailbox
from raftmark.impl_asyncio.transport import Transport as TaskTransport
from raftmark.impl_multiprocessing.transport import Transport as ProcessTransport
from raftmark.impl_threading.cluster import ThreadCluster
from raftmark.impl_threading.node import NodeThread
from raftmark.impl_threading.transport import Mailbox, Transport
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.links import MAX_HELD, Faults, Links
from raftmark.raft.messages import AppendEntries, Command, Entry
from raftmark.raft.server import Server
from raftmark.raft.storage import MemoryStorage, StorageError
from raftmark.raft.wire import HEADER, MAX_BACKLOG
from tests.raft.scenario import settings_of

from .runtimes import running

CONFIG = ClusterConfig(settings_of(3))
EVENTS = Events(lambda change: None, lambda node, error: None)
HEARTBEAT = AppendEntries(0, 1, 2, 0, 0, (), 0)
TOO_MANY = MAX_HELD + 100


def links(node: int, *, slow: bool) -> Links:
    """A node's links; slow ones hold each message for a nanosecond."""
    made = Links(node, seed=0)
    if slow:
        made.degrade(Faults(delay_ns=(1, 1)))
    return made


def test_what_waits_for_a_thread() -> None:
    for slow in (False, True):
        mailbox = Mailbox()
        mailboxes = {1: Mailbox(), 2: mailbox}
        peer = Transport(mailboxes, links(1, slow=slow))
        transport = Transport(mailboxes, Links(2, seed=0))
        node = NodeThread(2, CONFIG, MemoryStorage(), mailbox, transport, random.Random(0), EVENTS)
        node.start()
        try:
            node.pause()
            peer.send([HEARTBEAT] * TOO_MANY)
            assert mailbox._queue.qsize() == MAX_HELD
            node.resume()
            node.call(Server.replica)
        finally:
            node.crash()
        peer.send([HEARTBEAT] * 100)
        assert mailbox.drain(0) == []


def test_what_waits_for_a_task() -> None:
    async def look(slow: bool) -> None:
        mailbox = TaskMailbox()
        mailboxes = {1: TaskMailbox(), 2: mailbox}
        peer = TaskTransport(mailboxes, links(1, slow=slow))
        transport = TaskTransport(mailboxes, Links(2, seed=0))
        storage = BackgroundStorage(MemoryStorage())
        node = NodeTask(2, CONFIG, storage, mailbox, transport, random.Random(0), EVENTS)
        node.start()
        try:
            await node.pause()
            peer.send([HEARTBEAT] * TOO_MANY)
            assert len(mailbox._items) == MAX_HELD
            node.resume()
            await node.call(Server.replica)
        finally:
            await node.crash()
        peer.send([HEARTBEAT] * 100)
        assert mailbox.take() == []

    for slow in (False, True):
        asyncio.run(look(slow))


def test_what_waits_for_a_process_that_reads_nothing() -> None:
    ours, theirs = socket.socketpair()
    command = Command("set", "key", "x" * 10_000)
    message = AppendEntries(1, 1, 2, 0, 0, (Entry(1, command),) * 100, 0)
    with theirs, selectors.SelectSelector() as selector:
        transport = ProcessTransport({2: ours}, Links(1, seed=0), selector, lambda delay, m: None)
        for _ in range(40):
            transport.send([message])
        [channel] = transport._channels.values()
        frame = transport.bytes // 40
        assert frame > 100 * 10_000 + HEADER.size
        assert channel._outgoing._bytes < MAX_BACKLOG + frame
        transport.close()


def waiting(mailbox: Mailbox | TaskMailbox) -> list[object]:
    """Take out what waits."""
    return mailbox.drain(0) if isinstance(mailbox, Mailbox) else mailbox.take()


@pytest.mark.parametrize("model", [ThreadCluster, AsyncioCluster])
def test_nothing_waits_for_a_node_that_could_not_be_restarted(
    tmp_path: Path, model: type[ThreadCluster] | type[AsyncioCluster]
) -> None:
    with running(model, data_dir=tmp_path) as watched:
        watched.commit("before")
        watched.cluster.crash(3)
        (tmp_path / "node-3.log").write_bytes(b"no log of this kind")
        with pytest.raises(StorageError):
            watched.cluster.restart(3)
        assert isinstance(watched.cluster, ThreadCluster | AsyncioCluster)
        mailbox = watched.cluster._mailboxes[3]
        assert isinstance(mailbox, Mailbox | TaskMailbox)
        waiting(mailbox)
        mailbox.deliver(HEARTBEAT)
        assert waiting(mailbox) == []
