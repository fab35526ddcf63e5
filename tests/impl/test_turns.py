"""What a turn of the event loop has of its clients is bounded: the node's peers have theirs too."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from raftmark.impl_asyncio.service import Client, Service
from raftmark.raft.client import Proposal
from raftmark.raft.client_port import MAX_IN_FLIGHT
from raftmark.raft.connections import CLIENT_READ_SIZE, MOST_A_TURN, MOST_ACCEPTED, Refusals
from raftmark.raft.deployed import LOOPBACK, Site

from .runtimes import DEADLINE_S
from .talk import answer, command, commands, frame, hello


class Line(asyncio.Transport):
    """A connection of which the test is both the system and the client."""

    def __init__(self, service: Service, session: str) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False
        self.client = Client(service)
        self.client.transport = self
        service.clients.add(self.client)
        self.send(hello(session))
        assert len(self.written) == 1, "it is welcome"

    def send(self, data: bytes) -> None:
        buffer = self.client.get_buffer(-1)
        buffer[: len(data)] = data
        self.client.buffer_updated(len(data))

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def in_a_loop(test: Callable[[Service, list[Proposal]], Awaitable[None]]) -> None:
    async def run() -> None:
        taken: list[Proposal] = []
        service = Service(Site(1, "c"), taken.append, Refusals(1, lambda _: None))
        await test(service, taken)
        for client in list(service.clients):
            client.connection_lost(None)

    asyncio.run(run())


def test_a_turn_has_so_many_commands_and_the_next_turn_the_rest() -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        lines = [Line(service, f"s{n}") for n in range(MOST_A_TURN + 100)]
        for line in lines:
            line.send(command(1))
        assert len(taken) == MOST_A_TURN
        await asyncio.sleep(0)
        assert [each.command.client for each in taken] == [f"s{n}" for n in range(len(lines))]
        answer(taken)
        await asyncio.sleep(0)
        assert all(len(line.written) == 2 and line.reading for line in lines)

    in_a_loop(test)


def test_a_flood_has_its_share_in_each_turn_and_others_theirs() -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        flood, polite = Line(service, "flood"), Line(service, "polite")
        turns = 5
        flood.send(commands(1, turns * MAX_IN_FLIGHT))
        assert not flood.reading
        for turn in range(1, turns + 1):
            polite.send(command(turn))
            asked = [cast(str, each.command.client) for each in taken]
            assert asked.count("flood") == MAX_IN_FLIGHT
            assert asked.count("polite") == 1
            writes = len(flood.written)
            answer(taken)
            await asyncio.sleep(0)
            assert len(flood.written) == writes + 1, "its share is answered in one write"
            assert len(polite.written) == turn + 1
        assert not taken
        assert flood.reading

    in_a_loop(test)


def test_who_waits_for_a_turn_is_not_read_without_end() -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        lines = [Line(service, f"s{n}") for n in range(MOST_A_TURN + 1)]
        *others, last = lines
        for line in others:
            line.send(command(1))
        many = commands(1, 2000)
        sent = 0
        while last.reading:
            last.send(many[sent : sent + 4096])
            sent += 4096
        assert sent <= CLIENT_READ_SIZE + 4096
        assert len(taken) == MOST_A_TURN
        await asyncio.sleep(0)
        assert len(taken) == MOST_A_TURN + MAX_IN_FLIGHT
        answer(taken)
        await asyncio.sleep(0)

    in_a_loop(test)


def test_after_nonsense_nothing_more_is_proposed() -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        line = Line(service, "a")
        last = MAX_IN_FLIGHT + 1
        line.send(commands(1, last) + frame("nonsense") + command(last + 1))
        answer(taken)
        await asyncio.sleep(0)
        assert [each.command.serial for each in taken] == [last]
        assert line.closed
        answer(taken)
        await asyncio.sleep(0)
        assert not taken

    in_a_loop(test)


def test_so_many_are_accepted_in_a_turn() -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        address = await service.listen(LOOPBACK)
        # All have connected before the loop looks again.
        sockets = [socket.create_connection(address) for _ in range(MOST_ACCEPTED + 20)]
        turns, seen = [], 0
        async with asyncio.timeout(DEADLINE_S):
            while seen < len(sockets):
                await asyncio.sleep(0)
                turns.append(len(service.clients) - seen)
                seen = len(service.clients)
        assert max(turns) <= MOST_ACCEPTED
        await service.close()
        for each in sockets:
            each.close()

    in_a_loop(test)


@pytest.mark.parametrize("turns", range(5))
def test_who_is_accepted_while_it_closes_is_hung_up_on(turns: int) -> None:
    async def test(service: Service, taken: list[Proposal]) -> None:
        late = socket.create_connection(await service.listen(LOOPBACK))
        late.settimeout(DEADLINE_S)
        # However far the loop has come: from accepting to the protocol takes it some turns.
        for _ in range(turns):
            await asyncio.sleep(0)
        await service.close()
        # As the node's own end waits for what the loop still does.
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest)
        assert not service.clients
        with late, contextlib.suppress(ConnectionResetError):
            assert late.recv(1) == b""

    in_a_loop(test)
