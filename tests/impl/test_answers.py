"""Whatever ends a node's life in the middle of a batch, each who waits hears of it once."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from raftmark.impl_asyncio.node import Call as TaskCall
from raftmark.impl_asyncio.node import NodeTask
from raftmark.impl_asyncio.storage import BackgroundStorage
from raftmark.impl_asyncio.transport import Mailbox as TaskMailbox
from raftmark.impl_asyncio.transport import Transport as TaskTransport
from raftmark.impl_multiprocessing.node import NodeLife
from raftmark.impl_multiprocessing.transport import Transport as ProcessTransport
from raftmark.impl_multiprocessing.workload import Offered
from raftmark.impl_threading.node import Call, NodeThread
from raftmark.impl_threading.transport import Mailbox, Transport
from raftmark.raft import Command, Save
from raftmark.raft.client import Proposal, Query
from raftmark.raft.cluster import ClusterConfig, Events
from raftmark.raft.errors import NotLeader, RaftError, Unavailable
from raftmark.raft.links import Links
from raftmark.raft.loads import OfferedSpec
from raftmark.raft.messages import RequestVote
from raftmark.raft.server import Server
from raftmark.raft.storage import MemoryStorage, StorageError
from tests.raft.scenario import settings_of

from .runtimes import DEADLINE_S

CONFIG = ClusterConfig(settings_of(3))
# What has to be saved before it is answered.
VOTE = RequestVote(5, 1, 2, 0, 0)


class Heard(list[tuple[str, object]]):
    """What each client has heard."""

    def proposal(self, name: str) -> Proposal:
        return Proposal(Command("set", "key", name), lambda outcome: self.append((name, outcome)))

    def query(self, name: str) -> Query:
        return Query("key", lambda value: self.append((name, value)))

    def kinds(self) -> dict[str, list[type[object]]]:
        """The kinds of answers by name."""
        kinds: dict[str, list[type[object]]] = {}
        for name, answer in self:
            kinds.setdefault(name, []).append(type(answer))
        return kinds


class Full(MemoryStorage):
    """A storage on which no save succeeds."""

    def save(self, save: Save) -> None:
        raise StorageError("no room")


def fail(_server: Server) -> None:
    """The node's own fault."""
    raise RuntimeError("made to fail")


class Stuck(BackgroundStorage):
    """A storage whose saves take for ever."""

    def __init__(self) -> None:
        super().__init__(MemoryStorage())
        self.saving = asyncio.Event()

    async def save(self, save: Save) -> None:
        self.saving.set()
        await asyncio.Event().wait()


def batch(heard: Heard, *calls: object) -> list[Any]:
    """Commands and reads before and after what ends the life."""
    return [
        heard.proposal("command before"),
        heard.query("read before"),
        VOTE,
        *calls,
        heard.proposal("command after"),
        heard.query("read after"),
    ]


NAMES = ("command before", "read before", "command after", "read after", "late")
ONCE = {name: [Unavailable] for name in NAMES}
# A task has its clients' requests before all else: it follows nobody, and said so before it failed.
TASK_ONCE = {name: [Unavailable if name == "late" else NotLeader] for name in NAMES}

FAULTS = pytest.mark.parametrize(
    ("storage", "function", "fault"),
    [(MemoryStorage, fail, RuntimeError), (Full, Server.replica, StorageError)],
    ids=["its own fault", "its storage's"],
)


@FAULTS
def test_a_thread_that_fails_answers_each_once(
    storage: type[MemoryStorage], function: Callable[[Server], Any], fault: type[Exception]
) -> None:
    heard, failures = Heard(), list[Exception]()
    events = Events(lambda change: None, lambda node, error: failures.append(error))
    mailbox, called, late = Mailbox(), Future[Any](), Future[Any]()
    transport = Transport({}, Links(2, seed=0))
    node = NodeThread(2, CONFIG, storage(), mailbox, transport, random.Random(0), events)
    for item in batch(heard, Call(function, called), Call(Server.replica, late)):
        mailbox.put(item)
    node.start()
    for future in (called, late):
        with pytest.raises(Unavailable):
            future.result(DEADLINE_S)
    node.crash()
    node.submit(heard.proposal("late"))
    for ask in (partial(node.call, Server.replica), node.pause):
        with pytest.raises(Unavailable):
            ask()
    assert [type(error) for error in failures] == [fault]
    assert heard.kinds() == ONCE


def test_a_thread_that_fails_has_let_go_of_its_storage_when_that_is_told() -> None:
    """Or it would close the file of the next life, which may begin at once."""

    class Closing(Full):
        closed = False

        def close(self) -> None:
            self.closed = True

    storage, told = Closing(), list[bool]()
    events = Events(lambda change: None, lambda node, error: told.append(storage.closed))
    mailbox, transport = Mailbox(), Transport({}, Links(2, seed=0))
    node = NodeThread(2, CONFIG, storage, mailbox, transport, random.Random(0), events)
    mailbox.put(VOTE)
    node.start()
    with pytest.raises(Unavailable):
        node.call(Server.replica)
    node.crash()
    assert told == [True]


@FAULTS
def test_a_task_that_fails_answers_each_once(
    storage: type[MemoryStorage], function: Callable[[Server], Any], fault: type[Exception]
) -> None:
    heard, failures = Heard(), list[Exception]()
    events = Events(lambda change: None, lambda node, error: failures.append(error))

    async def live() -> None:
        loop = asyncio.get_running_loop()
        mailbox, called, late = TaskMailbox(), loop.create_future(), loop.create_future()
        node = task_of(BackgroundStorage(storage()), mailbox, events)
        calls = TaskCall(function, called), TaskCall(Server.replica, late)
        give(node, mailbox, batch(heard, *calls))
        node.start()
        await refused(called, late)
        await node.crash()
        node.propose(heard.proposal("late"))
        await refused(node.call(Server.replica), node.pause())

    asyncio.run(live())
    assert [type(error) for error in failures] == [fault]
    assert heard.kinds() == TASK_ONCE


def test_a_task_that_is_cancelled_while_it_saves_answers_each_once() -> None:
    heard = Heard()

    async def live() -> None:
        mailbox, storage = TaskMailbox(), Stuck()
        called = asyncio.get_running_loop().create_future()
        node = task_of(storage, mailbox, Events(lambda change: None, lambda node, error: None))
        give(node, mailbox, batch(heard, TaskCall(Server.replica, called)))
        node.start()
        await storage.saving.wait()
        node.propose(heard.proposal("late"))
        await node.crash()
        await refused(called)

    asyncio.run(live())
    assert heard.kinds() == TASK_ONCE


def task_of(storage: BackgroundStorage, mailbox: TaskMailbox, events: Events) -> NodeTask:
    """Node 2, whose messages nobody hears."""
    transport = TaskTransport({}, Links(2, seed=0))
    return NodeTask(2, CONFIG, storage, mailbox, transport, random.Random(0), events)


def give(node: NodeTask, mailbox: TaskMailbox, items: list[Any]) -> None:
    """Bring each to the task in its way."""
    for item in items:
        if isinstance(item, Proposal):
            node.propose(item)
        elif isinstance(item, Query):
            node.read(item)
        else:
            mailbox.put(item)


async def refused(*answers: Awaitable[Any]) -> None:
    """None of them comes."""
    for answer in answers:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(answer, DEADLINE_S)


def test_a_life_that_fails_answers_each_once() -> None:
    heard = Heard()
    with selectors.SelectSelector() as selector:
        life = life_of(Full(), selector)
        life.submit(heard.proposal("command before"))
        life.read(heard.query("read before"))
        life.deliver(0, VOTE)
        with pytest.raises(StorageError):
            life.step()
        life.submit(heard.proposal("command after"))
        life.read(heard.query("read after"))
        life.cease()
        life.submit(heard.proposal("late"))
    # It follows nobody, and said so before it failed.
    kinds = heard.kinds()
    assert kinds.pop("command before") == kinds.pop("read before") == [NotLeader]
    assert kinds == {name: once for name, once in ONCE.items() if "before" not in name}


def test_a_load_whose_leader_has_crashed_reads_no_more() -> None:
    """The crash and what the sender wrote may come in the same look at all that is readable."""
    results: list[object] = []
    with selectors.SelectSelector() as selector:
        life = life_of(MemoryStorage(), selector)
        Offered(life, OfferedSpec(), selector, results.append)
        while life.may_wait_s():
            [(key, mask)] = selector.select(DEADLINE_S)
            key.data(mask)
        life.cease()
        key.data(mask)
    [result] = results
    assert isinstance(result, RaftError)


def life_of(storage: MemoryStorage, selector: selectors.BaseSelector) -> NodeLife:
    """Node 2, whose messages nobody hears."""
    transport = ProcessTransport({}, Links(2, seed=0), selector, lambda due, message: None)
    events = Events(lambda change: None, lambda node, error: None)
    return NodeLife(2, CONFIG, storage, transport, random.Random(0), events, joins=False)
