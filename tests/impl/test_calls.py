"""Who looks at a node sees what it is between two steps, also when a batch has both."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Future

from raftmark.impl_asyncio.node import Call as TaskCall
from raftmark.impl_asyncio.node import NodeTask
from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.transport import Mailbox as TaskMailbox
from raftmark.impl_asyncio.transport import Transport as TaskTransport
from raftmark.impl_threading.node import Call, NodeThread
from raftmark.impl_threading.transport import Mailbox, Transport
from raftmark.raft.cluster import ClusterConfig, Events, NodeStatus, Replica
from raftmark.raft.links import Links
from raftmark.raft.messages import Configuration, InstallSnapshot
from raftmark.raft.server import Server
from raftmark.raft.storage import MemoryStorage
from tests.raft.scenario import settings_of

from .runtimes import DEADLINE_S

CONFIG = ClusterConfig(settings_of(3))
EVENTS = Events(lambda change: None, lambda node, error: None)
# The whole of a snapshot, from node 1 to node 2.
SNAPSHOT = InstallSnapshot(1, 1, 2, 7, 1, Configuration((1, 2, 3), ()), 0, (), True)


def check(status: NodeStatus) -> None:
    """The snapshot is the node's, in its log and in its state machine alike."""
    assert status.snapshot_index == status.applied_index == status.commit_index == 7
    assert status.first_index == 8


def test_a_thread_is_seen_between_two_steps() -> None:
    mailbox, seen = Mailbox(), Future[Replica]()
    transport = Transport({2: mailbox}, Links(2, seed=0))
    node = NodeThread(2, CONFIG, MemoryStorage(), mailbox, transport, random.Random(0), EVENTS)
    mailbox.put(SNAPSHOT)
    mailbox.put(Call(Server.replica, seen))
    node.start()
    try:
        check(seen.result(DEADLINE_S).status())
    finally:
        node.crash()


def test_a_task_is_seen_between_two_steps() -> None:
    async def look() -> Replica:
        mailbox = TaskMailbox()
        seen: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()
        transport = TaskTransport({2: mailbox}, Links(2, seed=0))
        storage = BackgroundStorage(MemoryStorage())
        node = NodeTask(2, CONFIG, storage, mailbox, transport, random.Random(0), EVENTS)
        mailbox.put(SNAPSHOT)
        mailbox.put(TaskCall(Server.replica, seen))
        node.start()
        try:
            return await asyncio.wait_for(seen, DEADLINE_S)
        finally:
            await node.crash()

    check(asyncio.run(look()).status())
