"""What a connection's thread has under way is a share, answered before the next is taken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from raftmark.impl_threading.service import Client
from raftmark.raft.client import Applied
from raftmark.raft.client_port import MAX_IN_FLIGHT, Port
from raftmark.raft.messages import MAX_VALUE_BYTES, Command
from raftmark.raft.wire import FrameError

from .runtimes import DEADLINE_S
from .talk import command, commands, frame, hello


@contextmanager
def served(session: str) -> Iterator[tuple[Client, socket.socket]]:
    """A client's connection of which the test is the thread, and its other end."""
    theirs, ours = socket.socketpair()
    ours.settimeout(DEADLINE_S)
    client = Client(Port(1, b"", {}), theirs)
    client.take(hello(session))
    assert client.share() == []
    assert ours.recv(1 << 16), "it is welcome"
    with ours:
        yield client, ours
        client.close()


def serials(share: list[Command]) -> list[int]:
    return [each.serial for each in share]


def heard_by_now(ours: socket.socket) -> bytes:
    ours.setblocking(False)
    try:
        return ours.recv(1 << 20)
    except BlockingIOError:
        return b""
    finally:
        ours.settimeout(DEADLINE_S)


def test_a_flood_has_no_more_than_its_share_under_way() -> None:
    shares = 5
    with served("flood") as (client, ours):
        client.take(commands(1, shares * MAX_IN_FLIGHT))
        for share in range(shares):
            taken = serials(client.share())
            first = share * MAX_IN_FLIGHT + 1
            assert taken == list(range(first, first + MAX_IN_FLIGHT))
            for serial in taken[:-1]:
                client.answer(serial, Applied(serial, 1, None))
            assert not heard_by_now(ours), "a share is answered at once"
            client.answer(taken[-1], Applied(taken[-1], 1, None))
            assert ours.recv(1 << 16).count(b"\x95\x05") == MAX_IN_FLIGHT
        assert client.share() == []


def test_the_next_share_waits_until_the_answers_are_taken() -> None:
    with served("slow") as (client, ours):
        client.take(commands(1, 2 * MAX_IN_FLIGHT))
        for serial in serials(client.share()):
            client.answer(serial, Applied(serial, 1, "v" * MAX_VALUE_BYTES))
        taken: list[int] = []
        waiting = threading.Thread(target=lambda: taken.extend(serials(client.share())))
        waiting.start()
        heard = 0
        while heard < MAX_IN_FLIGHT * MAX_VALUE_BYTES // 2:
            heard += len(ours.recv(1 << 20))
        assert not taken
        while waiting.is_alive():
            heard_by_now(ours)
            waiting.join(1e-3)
        assert taken == list(range(MAX_IN_FLIGHT + 1, 2 * MAX_IN_FLIGHT + 1))


def test_who_goes_with_answers_under_way_keeps_no_thread() -> None:
    before = threading.active_count()
    with served("gone") as (client, ours):
        client.take(command(1))
        assert serials(client.share()) == [1]
        client.answer(1, Applied(1, 1, "v" * (8 * MAX_VALUE_BYTES)))
        assert threading.active_count() == before + 1, "one that writes the rest"
        ours.close()
        client.close()
        assert threading.active_count() == before


def test_after_nonsense_nothing_more_is_proposed() -> None:
    with served("a") as (client, ours):
        client.take(command(1) + frame("nonsense") + command(2))
        with pytest.raises(FrameError):
            client.share()
        assert ours.recv(1 << 16)[5] == 7
