"""What those who disturb take of a node's turns, by counts, and the same for all three models.

The test is the node: a turn is what it was given before it answers. docs/service.md has the factor
by which a flood may make the others' turns longer, and it is held here for the clients of the
profile's cell, scaled: as many others for each who floods.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from raftmark.impl_asyncio.service import Service as AsyncioService
from raftmark.impl_multiprocessing.service import Service as ProcessesService
from raftmark.impl_threading.service import Service as ThreadsService
from raftmark.raft.client import Applied, Proposal
from raftmark.raft.client_port import MAX_IN_FLIGHT
from raftmark.raft.connections import CLIENT_READ_SIZE, Refusals, address_of, open_listener
from raftmark.raft.deployed import LOOPBACK, Address, Site
from raftmark.raft.messages import MAX_VALUE_BYTES

from .runtimes import DEADLINE_S
from .talk import command, commands, hello

OTHERS, FLOODS = 16, 1
FACTOR = (OTHERS + MAX_IN_FLIGHT * FLOODS) / OTHERS
TURNS = 4
SITE = Site(1, "c")


class Desk(ABC):
    """A client port whose node is the test."""

    address: Address

    def __init__(self) -> None:
        self.taken: list[Proposal] = []

    @abstractmethod
    def look(self) -> None:
        """Let the service go on."""

    @abstractmethod
    def close(self) -> None:
        """End the service."""

    def step(self) -> None:
        """Answer what the node was given, as its step does."""
        taken = self.taken[:]
        del self.taken[: len(taken)]
        for proposal in taken:
            proposal.done(answer_to(proposal))

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the service go on until then."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s
            self.look()

    def asked(self) -> Counter[str | None]:
        """How many commands of each session the node was given since its last step."""
        return Counter(each.command.client for each in list(self.taken))


class OfThreads(Desk):
    def __init__(self) -> None:
        super().__init__()
        listener = open_listener(SITE)
        self.address = address_of(listener)
        self._changed = threading.Event()
        self._changing = threading.Lock()
        self._closing = False
        self._service = ThreadsService(SITE, listener, self._take, Refusals(1, lambda _: None))

    def _take(self, proposal: Proposal) -> None:
        with self._changing:
            if not self._closing:
                self.taken.append(proposal)
                self._changed.set()
                return
        proposal.done(answer_to(proposal))

    def look(self) -> None:
        self._changed.wait(0.01)
        self._changed.clear()

    def close(self) -> None:
        with self._changing:
            self._closing = True  # Whoever has a command under way is answered, and can end.
        self.step()
        self._service.close()


class OfAsyncio(Desk):
    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.address = self._runner.run(self._open())

    async def _open(self) -> Address:
        self._service = AsyncioService(SITE, self.taken.append, Refusals(1, lambda _: None))
        return await self._service.listen(LOOPBACK)

    def look(self) -> None:
        self._runner.run(asyncio.sleep(0))

    def step(self) -> None:
        async def step() -> None:
            super(OfAsyncio, self).step()

        self._runner.run(step())

    def close(self) -> None:
        with self._runner:
            self._runner.run(self._service.close())


class OfProcesses(Desk):
    def __init__(self) -> None:
        super().__init__()
        listener = open_listener(SITE)
        self.address = address_of(listener)
        self._selector = selectors.SelectSelector()
        self._service = ProcessesService(
            SITE, listener, self._selector, self.taken.append, Refusals(1, lambda _: None)
        )

    def look(self) -> None:
        for key, mask in self._selector.select(0.01):
            key.data(mask)

    def step(self) -> None:
        super().step()
        self._service.flush()

    def close(self) -> None:
        self._service.close()
        self._selector.close()


def answer_to(proposal: Proposal) -> Applied:
    """What one who does not read is answered is more than the system keeps for it."""
    long = proposal.command.client == "slow"
    return Applied(1, 1, "v" * MAX_VALUE_BYTES if long else None)


class Clients:
    """Connections to a desk, and the turns of its node while those of others are served."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.sockets: list[socket.socket] = []
        self._others = {f"other-{n}": self.line(f"other-{n}") for n in range(OTHERS)}
        self._serial = 0

    def line(self, session: str) -> socket.socket:
        """A client who is welcome."""
        line = socket.create_connection(self.desk.address)
        self.sockets.append(line)
        line.sendall(hello(session))
        self._hear(line)
        return line

    def _hear(self, line: socket.socket) -> None:
        self.desk.until(lambda: has_come(line))
        line.recv(1 << 16)

    def turn(self, besides: dict[str, int]) -> Counter[str | None]:
        """Who had how many commands in a turn that has one of each other, and these besides."""
        self._serial += 1
        for line in self._others.values():
            line.sendall(command(self._serial))
        least = Counter({**dict.fromkeys(self._others, 1), **besides})
        self.desk.until(lambda: self.desk.asked() >= least)
        asked = self.desk.asked()
        self.desk.step()
        for line in self._others.values():
            self._hear(line)
        assert all(asked[name] == 1 for name in self._others)
        return asked


def has_come(line: socket.socket) -> bool:
    with selectors.SelectSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        return bool(selector.select(0))


@pytest.fixture(params=[OfThreads, OfAsyncio, OfProcesses])
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    desk: Desk = request.param()
    clients = None
    try:
        clients = Clients(desk)
        yield clients
    finally:
        desk.close()
        for each in clients.sockets if clients else []:
            each.close()


def test_a_flood_makes_the_turns_of_others_longer_by_the_factor_and_no_more(
    clients: Clients,
) -> None:
    quiet = clients.turn({}).total()
    flood = clients.line("flood")
    sent = commands(1, (TURNS + 2) * MAX_IN_FLIGHT)
    assert len(sent) < CLIENT_READ_SIZE, "it is read at once"
    flood.sendall(sent)
    turns = [clients.turn({"flood": MAX_IN_FLIGHT}) for _ in range(TURNS)]
    assert max(turn.total() for turn in turns) <= FACTOR * quiet
    # Between two of its shares each of the others was served, though all of the flood was there.
    assert [turn["flood"] for turn in turns] == [MAX_IN_FLIGHT] * TURNS


def test_who_does_not_read_has_its_share_in_one_turn_and_in_no_other(clients: Clients) -> None:
    quiet = clients.turn({}).total()
    slow = clients.line("slow")
    slow.sendall(commands(1, (TURNS + 2) * MAX_IN_FLIGHT))
    turns = [clients.turn({"slow": MAX_IN_FLIGHT})] + [clients.turn({}) for _ in range(TURNS)]
    assert turns[0]["slow"] == MAX_IN_FLIGHT
    assert [turn.total() for turn in turns[1:]] == [quiet] * TURNS
