"""What a turn of the event loop has of its clients is bounded: the node's peers have theirs too."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from raftmark.impl_asyncio.service import Client, Service
from raftmark.raft.client import Applied, Proposal
from raftmark.raft.client_port import MAX_IN_FLIGHT
from raftmark.raft.connections import CLIENT_READ_SIZE, MOST_A_TURN, Refusals
from raftmark.raft.deployed import Site


def frame(*message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack("<I", len(body)) + body


def command(serial: int) -> bytes:
    return frame(2, serial, "set", "k", "v", None)


class Line(asyncio.Transport):
    """A connection of which the test is both the system and the client."""

    def __init__(self, service: Service, session: str) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.client = Client(service)
        self.client.transport = self
        service.clients.add(self.client)
        self.send(frame(0, "raftmark-client", 1, session, b"n" * 16))
        assert len(self.written) == 1, "it is welcome"

    def send(self, data: bytes) -> None:
        buffer = self.client.get_buffer(-1)
        buffer[: len(data)] = data
        self.client.buffer_updated(len(data))

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

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


def answer(proposals: list[Proposal]) -> None:
    for index, proposal in enumerate(proposals, 1):
        proposal.done(Applied(index, 1, None))
    proposals.clear()


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
        flood.send(b"".join(command(n) for n in range(1, turns * MAX_IN_FLIGHT + 1)))
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
        many = b"".join(command(n) for n in range(1, 2000))
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
