"""What a turn of a process's loop has of its clients is bounded: the node's peers have theirs too.

The test is the loop: it looks at the service's sockets, and says when the node has had its turn.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from raftmark.impl_multiprocessing.service import Client, Service
from raftmark.raft.client import Proposal
from raftmark.raft.client_port import MAX_IN_FLIGHT, Conversation, Port
from raftmark.raft.connections import (
    CLIENT_READ_SIZE,
    MOST_A_TURN,
    MOST_ACCEPTED,
    Refusals,
    address_of,
    open_listener,
)
from raftmark.raft.deployed import Site

from .runtimes import DEADLINE_S
from .talk import answer, command, commands, frame, hello


class Desk:
    """A service whose node is the test, and its clients."""

    def __init__(self) -> None:
        site = Site(1, "c")
        self.taken: list[Proposal] = []
        self.reasons: list[str] = []
        refusals = Refusals(1, lambda refusal: self.reasons.append(refusal.reason))
        self.selector = selectors.SelectSelector()
        listener = open_listener(site)
        self.address = address_of(listener)
        self.service = Service(site, listener, self.selector, self.taken.append, refusals)
        self.sockets: list[socket.socket] = []

    def close(self) -> None:
        self.service.close()
        self.selector.close()
        for each in self.sockets:
            each.close()

    def look(self, timeout_s: float = 0) -> bool:
        """Let everybody who is ready have one turn; whether anyone was."""
        ready = self.selector.select(timeout_s)
        for key, mask in ready:
            key.data(mask)
        return bool(ready)

    def look_until(self, condition: Callable[[], bool]) -> None:
        """Look as often as it takes, and then as long as anything has come."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s
            self.look(0.1)
        while self.look():
            pass

    def step(self) -> None:
        """Let the node answer what it was given, and have its next turn."""
        answer(self.taken)
        self.service.flush()

    def connect(self) -> socket.socket:
        connected = socket.create_connection(self.address)
        connected.settimeout(DEADLINE_S)
        self.sockets.append(connected)
        return connected

    def line(self, session: str) -> socket.socket:
        """A client who is welcome."""
        line = self.connect()
        line.setblocking(False)
        line.sendall(hello(session))
        self.look_until(lambda: has_come(line))
        line.setblocking(True)
        line.recv(1 << 16)
        return line

    def asked(self) -> Counter[str | None]:
        """How many commands of each session the node was given for its next turn."""
        return Counter(each.command.client for each in self.taken)


def has_come(sock: socket.socket) -> bool:
    with selectors.SelectSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_a_turn_has_so_many_commands_and_the_next_turn_the_rest(desk: Desk) -> None:
    lines = [desk.line(f"s{n}") for n in range(MOST_A_TURN // MAX_IN_FLIGHT + 3)]
    for line in lines:
        line.sendall(commands(1, MAX_IN_FLIGHT))
    desk.look_until(lambda: len(desk.taken) >= MOST_A_TURN)
    assert len(desk.taken) == MOST_A_TURN
    assert desk.service.may_wait_s() == 0, "those who have had no turn are not forgotten"
    first = desk.asked()
    desk.step()
    desk.look_until(lambda: len(desk.taken) >= (len(lines) * MAX_IN_FLIGHT - MOST_A_TURN))
    second = desk.asked()
    assert first + second == {f"s{n}": MAX_IN_FLIGHT for n in range(len(lines))}
    desk.step()
    assert not desk.taken


def test_a_flood_has_its_share_in_each_turn_and_others_theirs(desk: Desk) -> None:
    flood, polite = desk.line("flood"), desk.line("polite")
    turns = 5
    flood.sendall(commands(1, turns * MAX_IN_FLIGHT))
    for turn in range(1, turns + 1):
        polite.sendall(command(turn))
        desk.look_until(lambda: desk.asked() >= Counter(flood=MAX_IN_FLIGHT, polite=1))
        assert desk.asked() == {"flood": MAX_IN_FLIGHT, "polite": 1}
        desk.step()
    assert not desk.taken


def test_so_many_are_accepted_in_a_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(MOST_ACCEPTED + 20):
        desk.connect()
    accepted: list[socket.socket] = []
    taken = desk.service._take

    def take(sock: socket.socket) -> None:
        accepted.append(sock)
        taken(sock)

    monkeypatch.setattr(desk.service, "_take", take)
    desk.look(DEADLINE_S)
    assert 0 < len(accepted) <= MOST_ACCEPTED
    desk.look_until(lambda: len(accepted) == MOST_ACCEPTED + 20)


def test_who_waits_is_read_no_further_than_a_buffer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        conversation = Conversation(Port(1, b"", {}))
        client = Client(theirs, conversation)
        assert client.awaited == selectors.EVENT_READ
        client.waits = True
        conversation.feed(b"x" * (CLIENT_READ_SIZE - 1))
        assert client.awaited == selectors.EVENT_READ
        conversation.feed(b"x")
        assert client.awaited == 0
        client.waits = False
        assert client.awaited == selectors.EVENT_READ
        conversation.in_flight = MAX_IN_FLIGHT
        assert client.awaited == 0


def test_what_a_client_does_not_take_is_kept_in_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        ours.settimeout(DEADLINE_S)
        conversation = Conversation(Port(1, b"", {}))
        client = Client(theirs, conversation)
        said = bytearray()

        def say(byte: int) -> None:
            data = bytes([byte]) * (1 << 19)
            conversation._output.append(data)
            said.extend(data)
            client.send()

        say(1)
        assert client.awaited == selectors.EVENT_WRITE, "the system does not take so much"
        say(2)
        heard = bytearray()
        while len(heard) < len(said):
            heard += ours.recv(1 << 20)
            client.send()
        assert heard == said
        assert client.awaited == selectors.EVENT_READ


def test_after_nonsense_nothing_more_is_proposed(desk: Desk) -> None:
    line = desk.line("a")
    last = MAX_IN_FLIGHT + 1
    line.sendall(commands(1, last) + frame("nonsense") + command(last + 1))
    desk.look_until(lambda: len(desk.taken) == MAX_IN_FLIGHT)
    desk.step()
    assert [each.command.serial for each in desk.taken] == [last]
    assert desk.reasons
    desk.step()
    assert not desk.taken
    desk.step()
    assert not desk.taken


def test_who_has_gone_has_no_handshake_that_is_due(desk: Desk) -> None:
    line = desk.line("a")
    assert desk.service.may_wait_s() is not None
    line.close()
    desk.look_until(lambda: desk.service.may_wait_s() is None)
