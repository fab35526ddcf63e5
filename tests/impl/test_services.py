"""What the models' client ports promise: a share for each, and nobody held up by another."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from raftmark.raft.client_port import MAX_IN_FLIGHT
from raftmark.raft.deployed import LOOPBACK, Address, DeployedFactory
from raftmark.raft.errors import BadRequest
from raftmark.raft.messages import MAX_VALUE_BYTES, NOOP, Entry

from .neighbours import DEPLOYED
from .runtimes import DEADLINE_S, Holdings
from .talk import frame, hello, no_more_files
from .test_networks import Neighbourhood, neighbours

SECRET = b"0123456789abcdef"


@pytest.fixture(params=DEPLOYED)
def factory(request: pytest.FixtureRequest) -> DeployedFactory:
    return DEPLOYED[request.param]


class Client:
    """A client that does as it is told."""

    def __init__(self, address: Address, session: str, receive_bytes: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE_S)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(address)
        self._stream = self.socket.makefile("rb")
        self.serial = 0
        self.socket.sendall(hello(session))

    def welcomed(self) -> Client:
        assert self.hear()[0] == 3
        return self

    def command(self, value: str = "v") -> bytes:
        self.serial += 1
        return frame(2, self.serial, "set", "k", value, None)

    def hear(self) -> list[Any]:
        (length,) = struct.unpack("<I", self._stream.read(4))
        heard: list[Any] = msgspec.msgpack.decode(self._stream.read(length))
        return heard

    def set(self) -> list[Any]:
        self.socket.sendall(self.command())
        return self.hear()

    def has_ended(self) -> bool:
        return self._stream.read(1) == b""

    def close(self) -> None:
        self._stream.close()
        self.socket.close()


class Service:
    """A cluster that serves clients, and those of its clients that a test has."""

    def __init__(self, watched: Neighbourhood) -> None:
        self.watched = watched
        self.members = watched.cluster.members
        self.addresses = {n: each.open_service(LOOPBACK) for n, each in self.members.items()}
        for member in self.members.values():
            member.tell_services({n: str(where) for n, where in self.addresses.items()})
        self.clients: list[Client] = []

    def client(self, node: int, session: str, receive_bytes: int = 0) -> Client:
        client = Client(self.addresses[node], session, receive_bytes)
        self.clients.append(client)
        return client.welcomed()

    def entries(self, node: int) -> list[Entry]:
        """What the node's log has of clients."""
        log = self.members[node].log(node, 1, 1 << 30)
        return [entry for entry in log.entries if entry.command != NOOP]


@contextmanager
def serving(
    factory: DeployedFactory, nodes: int = 1, secrets: dict[int, bytes] | None = None
) -> Iterator[Service]:
    with neighbours(factory, nodes, secrets) as watched:
        watched.leader()
        service = Service(watched)
        try:
            yield service
        finally:
            for client in service.clients:
                client.close()


def test_clients_are_answered_and_nothing_is_left(factory: DeployedFactory) -> None:
    with serving(factory) as service:
        service.client(1, "before").set()  # What is imported or started once, is so now.
    before = Holdings.now()
    with serving(factory) as service:
        a, b = service.client(1, "a"), service.client(1, "b")
        assert [a.set()[:2], b.set()[:2], a.set()[:2]] == [[5, 1], [5, 1], [5, 2]]
    assert Holdings.now() == before
    assert not service.watched.refusals


def test_who_asks_another_node_hears_where_the_leader_is(factory: DeployedFactory) -> None:
    with serving(factory, 3) as service:
        changes = -1
        while changes != len(service.watched.roles):  # There was an election meanwhile.
            leader = service.watched.leader()
            changes = len(service.watched.roles)
            refused = service.client(leader % 3 + 1, f"after-{changes}").set()
        assert refused[2] == "not_leader"
        assert refused[4:] == [leader, str(service.addresses[leader])]


def test_a_command_that_is_sent_again_applies_once(factory: DeployedFactory) -> None:
    with serving(factory) as service:
        client = service.client(1, "a")
        client.socket.sendall(frame(2, 1, "cas", "k", "v", None))
        assert client.hear()[-1] is True
        again = service.client(1, "a")
        again.socket.sendall(frame(2, 1, "cas", "k", "v", None))
        assert again.hear()[-1] is True, "the first one's result, not that of another try"


def test_a_node_that_is_down_says_so_and_serves_again(factory: DeployedFactory) -> None:
    with serving(factory) as service:
        client = service.client(1, "a")
        assert client.set()[0] == 5
        service.members[1].crash(1)
        assert client.set()[2] in ("unavailable", "timeout")
        service.members[1].restart(1)
        while (answer := client.set())[0] != 5:
            assert answer[2] in ("not_leader", "unavailable")


def test_a_flood_leaves_others_their_turn(factory: DeployedFactory) -> None:
    """By counts: a command is not behind all that a flood had sent before it, but behind a share.

    When the node goes on, a share of the flood is under way, and the rest of it waits with the
    other's command. Those who read may be scheduled as they are: half of the flood is generous.
    """
    with serving(factory) as service:
        flood, polite = service.client(1, "flood"), service.client(1, "polite")
        shares = 60
        service.members[1].pause(1)
        flood.socket.sendall(b"".join(flood.command() for _ in range(shares * MAX_IN_FLIGHT)))
        polite.socket.sendall(polite.command())
        service.members[1].resume(1)
        assert polite.hear()[0] == 5
        for serial in range(1, shares * MAX_IN_FLIGHT + 1):
            assert flood.hear()[:2] == [5, serial]
        order = [entry.command.client for entry in service.entries(1)]
    assert len(order) == shares * MAX_IN_FLIGHT + 1
    assert order.index("polite") <= shares * MAX_IN_FLIGHT // 2


def test_who_does_not_read_is_read_no_more_and_holds_up_nobody(factory: DeployedFactory) -> None:
    """By counts: what the log takes of one who never reads is bounded, whatever that one sends."""
    with serving(factory) as service:
        slow, other = service.client(1, "slow", receive_bytes=4096), service.client(1, "other")
        slow.socket.setblocking(False)
        unsent, refused = b"", 0
        while refused < 3:
            unsent = unsent or b"".join(slow.command() for _ in range(256))
            try:
                unsent = unsent[slow.socket.send(unsent) :]
                refused = 0
            except BlockingIOError:
                # It takes no more, or not yet: it is asked again once the other was served.
                refused += 1
                for _ in range(50):
                    assert other.set()[0] == 5
        taken = sum(entry.command.client == "slow" for entry in service.entries(1))
        assert 0 < taken < slow.serial
        # All that was sent is there to be read, and is not: of its share it has no answer taken.
        for _ in range(10):
            assert other.set()[0] == 5


def test_who_says_nonsense_is_hung_up_on_alone(factory: DeployedFactory) -> None:
    with serving(factory) as service:
        bad, good = service.client(1, "bad"), service.client(1, "good")
        bad.socket.sendall(struct.pack("<I", 1 << 31))
        assert bad.hear()[0] == 7
        assert bad.has_ended()
        assert good.set()[0] == 5
        service.watched.wait_for(lambda: service.watched.refusals)
        [refusal] = service.watched.refusals
        assert refusal.reason.startswith("a client: no frame")


def test_who_says_nothing_is_not_waited_for(
    factory: DeployedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = factory.__module__.replace("deployed", "service")
    monkeypatch.setattr(f"{module}.HANDSHAKE_S", 0.1)
    with serving(factory) as service, socket.create_connection(service.addresses[1]) as silent:
        silent.settimeout(DEADLINE_S)
        silent.sendall(b"\x10")
        assert silent.recv(1) == b""
        service.watched.wait_for(lambda: service.watched.refusals)
        [refusal] = service.watched.refusals
        assert refusal.reason == "a client: no handshake in time"


def test_who_goes_while_its_command_waits_is_forgotten(factory: DeployedFactory) -> None:
    with serving(factory, 3) as service:
        cut_off = service.watched.isolate_leader()
        client = service.client(cut_off, "a")
        client.socket.sendall(client.command())
        client.socket.shutdown(socket.SHUT_WR)
        # It would be answered by no node that is cut off.
        assert client.has_ended()


def test_who_goes_in_the_middle_of_an_answer_leaves_nothing(factory: DeployedFactory) -> None:
    with serving(factory) as service:
        other = service.client(1, "other")
        assert other.set()[0] == 5
        before = Holdings.now()
        leaving = service.client(1, "leaving")
        leaving.socket.sendall(leaving.command("v" * MAX_VALUE_BYTES))
        assert leaving.hear()[0] == 5
        gets = [frame(2, serial, "get", "k", None, None) for serial in range(2, MAX_IN_FLIGHT)]
        leaving.socket.sendall(b"".join(gets))
        assert leaving.hear()[:2] == [5, 2]  # It goes with the next one before it.
        at_once = struct.pack("ii", 1, 0)
        leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        leaving.close()
        deadline_s = time.monotonic() + DEADLINE_S
        while Holdings.now() != before and time.monotonic() < deadline_s:
            assert other.set()[0] == 5
        assert Holdings.now() == before


def test_who_comes_when_there_are_no_files_is_told_of_and_waits(factory: DeployedFactory) -> None:
    with serving(factory) as service, socket.socket() as late:
        there = service.client(1, "there")
        refusals = service.watched.refusals
        with no_more_files():
            late.connect(service.addresses[1])
            service.watched.wait_for(lambda: refusals)
            assert there.set()[0] == 5
        assert all("cannot be taken: [Errno 24]" in refusal.reason for refusal in refusals)
        late.settimeout(DEADLINE_S)
        late.sendall(hello("late"))
        assert late.recv(1), "it is welcome"


def test_who_has_not_the_secret_is_no_client(factory: DeployedFactory) -> None:
    with serving(factory, secrets={1: SECRET}) as service:
        client = Client(service.addresses[1], "a")
        service.clients.append(client)
        assert client.hear()[0] == 4
        client.socket.sendall(frame(1, b""))
        assert client.hear() == [7, "a secret is wanted"]
        assert client.has_ended()


def test_beyond_this_machine_a_secret_is_wanted(factory: DeployedFactory) -> None:
    with neighbours(factory, 1) as watched, pytest.raises(BadRequest, match="a secret is wanted"):
        watched.cluster.members[1].open_service(Address("0.0.0.0", 0))
