"""What the models' networks promise: peers are found again, strangers refused, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from raftmark.impl_asyncio.network import Dialled
from raftmark.raft import Command, Entry, Message, Role, handshake
from raftmark.raft.client import Applied, Outcome
from raftmark.raft.cluster import ClusterConfig, Events, Refusal
from raftmark.raft.connections import address_of, open_socket
from raftmark.raft.deployed import Address, DeployedFactory, DeployedNode, Site
from raftmark.raft.handshake import Dialler, Identity, Listener
from raftmark.raft.links import MAX_HELD, Faults
from raftmark.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from raftmark.raft.wire import Outgoing, encode
from tests.test_wire_vectors import BAD_FRAMES, BAD_HELLOS, refusal_of

from .neighbours import DEPLOYED, Neighbours
from .runtimes import DEADLINE_S, Holdings, Watched

# A port at which nobody listens.
NOBODY = Address("127.0.0.1", 9)


@pytest.fixture(params=DEPLOYED)
def factory(request: pytest.FixtureRequest) -> DeployedFactory:
    return DEPLOYED[request.param]


class Neighbourhood(Watched):
    """A cluster of neighbours, and whom they have refused."""

    cluster: Neighbours
    refusals: list[Refusal]


@contextmanager
def neighbours(
    factory: DeployedFactory,
    nodes: int = 3,
    secrets: dict[int, bytes] | None = None,
    data_dir: Path | None = None,
) -> Iterator[Neighbourhood]:
    """A cluster from its start to its stop."""
    refusals: list[Refusal] = []
    made: list[Watched] = []

    def refused(refusal: Refusal) -> None:
        refusals.append(refusal)
        made[0].changed()

    def neighbours_of(config: ClusterConfig, events: Events) -> Neighbours:
        return Neighbours(factory, config, events._replace(refused=refused), secrets)

    # Three nodes share an interpreter here.
    watched = Neighbourhood(neighbours_of, nodes, data_dir, election_timeout_s=0.5)
    watched.refusals = refusals
    made.append(watched)
    watched.cluster.start()
    try:
        yield watched
    finally:
        watched.cluster.stop()


def test_neighbours_commit_and_leave_nothing_behind(factory: DeployedFactory) -> None:
    with neighbours(factory, 1):
        pass  # What is imported or started once, is so now.
    before = Holdings.now()
    with neighbours(factory) as watched:
        for value in "abc":
            watched.commit(value)
        watched.agree()
    assert Holdings.now() == before
    assert not watched.refusals


def test_who_has_crashed_is_heard_again(factory: DeployedFactory) -> None:
    with neighbours(factory) as watched:
        watched.commit("a")
        for node in (1, 2, 3):
            watched.cluster.crash(node)
            watched.commit("b", {1, 2, 3} - {node})
            watched.cluster.restart(node)
        watched.agree()


def test_who_listens_elsewhere_is_found(factory: DeployedFactory, tmp_path: Path) -> None:
    with neighbours(factory, data_dir=tmp_path) as watched:
        watched.commit("a")
        watched.cluster.replace(3)
        watched.commit("b")
        watched.agree()


def test_links_are_cut_and_slow_here_too(factory: DeployedFactory) -> None:
    with neighbours(factory) as watched:
        old = watched.isolate_leader()
        watched.commit("b", {1, 2, 3} - {old})
        watched.cluster.partition(None)
        watched.cluster.degrade(Faults(drop=0.1, duplicate=0.2, delay_ns=(0, 20_000_000)))
        watched.commit("c")
        watched.agree()


def test_who_hangs_goes_on_with_what_has_come(factory: DeployedFactory) -> None:
    with neighbours(factory) as watched:
        hung = watched.leader()
        watched.cluster.pause(hung)
        watched.commit("b", {1, 2, 3} - {hung})
        watched.cluster.resume(hung)
        watched.agree()


def test_a_hung_node_can_be_stopped(factory: DeployedFactory) -> None:
    with neighbours(factory) as watched:
        watched.cluster.pause(watched.leader())


def test_those_who_have_the_secret_are_a_cluster(factory: DeployedFactory) -> None:
    with neighbours(factory, secrets={1: b"a", 2: b"a", 3: b"b"}) as watched:
        watched.commit("x", {1, 2})
        told = {
            *((node, None, "the secret is wrong") for node in (1, 2, 3)),
            *((3, node, f"node {node} refuses: the secret is wrong") for node in (1, 2)),
            *((node, 3, "node 3 refuses: the secret is wrong") for node in (1, 2)),
        }
        watched.wait_for(
            lambda: told <= {(told.node, told.peer, told.reason) for told in watched.refusals}
        )


# -- strangers -------------------------------------------------------------------------------


class Stranger:
    """A connection to a listener, which says whatever it is told to."""

    def __init__(self, address: Address) -> None:
        self.socket, where = open_socket(address)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(where)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> None:
        """Send bytes; the node may hang up in the middle of them."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def hear(self) -> bytes:
        """All that the node says until it hangs up."""
        heard = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(1 << 16):
                heard += data
        return heard

    def shake_hands(self, own: int, to: int) -> None:
        """Be welcomed as a node."""
        dialler = Dialler(Identity(own, "c-1"), to)
        while not dialler.welcome:
            self.say(dialler.take_output())
            dialler.receive(self.socket.recv(1 << 16))


class Listening(Watched):
    """Node 2 of three, which lives alone, and whom it has refused."""

    def __init__(
        self, factory: DeployedFactory, first: Address = NOBODY, secret: bytes | None = None
    ) -> None:
        self.refusals: list[Refusal] = []
        self.node: DeployedNode

        def node_of(config: ClusterConfig, events: Events) -> DeployedNode:
            events = events._replace(refused=self.noted(self.refusals))
            site = Site(2, "c-1", secret=secret)
            self.node = factory(config._replace(members=(2,)), events, site)
            return self.node

        super().__init__(node_of)
        self.address = self.node.listen()
        self.node.introduce({1: first, 3: NOBODY})
        self.node.restart(2)

    def reason(self) -> str:
        """Wait for a refusal; its reason."""
        self.wait_for(lambda: self.refusals)
        return self.refusals[0].reason


@pytest.fixture
def listening(factory: DeployedFactory) -> Iterator[Listening]:
    listening = Listening(factory)
    yield listening
    listening.node.stop()


@pytest.mark.parametrize("name", BAD_HELLOS)
def test_a_bad_hello_is_refused_in_words(listening: Listening, name: str) -> None:
    reason = refusal_of(BAD_HELLOS[name])
    with Stranger(listening.address) as stranger:
        stranger.say(BAD_HELLOS[name])
        heard = stranger.hear()
    if len(BAD_HELLOS[name]) <= 1000:  # Otherwise what it had not read ends all that is under way.
        assert reason.encode() in heard
    assert listening.reason() == reason


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_costs_a_connection(listening: Listening, name: str) -> None:
    with Stranger(listening.address) as stranger:
        stranger.shake_hands(1, 2)
        stranger.say(BAD_FRAMES[name])
        assert stranger.hear() == b""
    assert listening.reason()
    assert listening.refusals[0].peer == 1
    assert not listening.failures


def test_who_comes_again_takes_the_place_of_its_former_connection(listening: Listening) -> None:
    with Stranger(listening.address) as first, Stranger(listening.address) as second:
        first.shake_hands(1, 2)
        second.shake_hands(1, 2)
        assert first.hear() == b""
        second.say(encode(RequestVote(50, 1, 2, 90, 50)))
        listening.wait_for(lambda: listening.roles[-1].term >= 50)
    assert not listening.refusals


def test_who_is_a_peer_no_more_is_heard_no_more(listening: Listening) -> None:
    with Stranger(listening.address) as former:
        former.shake_hands(3, 2)
        listening.node.introduce({1: NOBODY})
        assert former.hear() == b""
    with Stranger(listening.address) as again:
        again.say(Dialler(Identity(3, "c-1"), 2).take_output())
        assert b"no such peer: 3" in again.hear()


def test_who_is_removed_during_its_handshake_is_not_heard(factory: DeployedFactory) -> None:
    listening = Listening(factory, secret=b"a secret")
    own = Identity(3, "c-1", b"a secret")
    try:
        with Stranger(listening.address) as former:
            dialler = Dialler(own, 2)
            former.say(dialler.take_output())
            dialler.receive(former.socket.recv(1 << 16))
            listening.node.introduce({1: NOBODY})
            former.say(dialler.take_output())
            assert b"no such peer: 3" in former.hear()
        assert listening.reason() == "no such peer: 3"
    finally:
        listening.node.stop()


def test_who_says_nothing_is_not_waited_for(
    factory: DeployedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = factory.__module__.replace("deployed", "network")
    monkeypatch.setattr(f"{network}.HANDSHAKE_S", 0.2)
    listening = Listening(factory)
    try:
        with Stranger(listening.address) as stranger:
            stranger.say(b"\x10")
            assert stranger.hear() == b""
        assert listening.reason() == "no handshake in time"
    finally:
        listening.node.stop()


def test_only_so_many_may_be_strangers_at_a_time(listening: Listening) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(Stranger(listening.address))
            for _ in range(handshake.MAX_HANDSHAKES + 1)
        ]
        assert crowd[-1].hear() == b""
        assert listening.reason() == "too many at once have not shown who they are"
        crowd[0].shake_hands(1, 2)
        with Stranger(listening.address) as peer:
            peer.shake_hands(3, 2)


# -- a peer that is slow ---------------------------------------------------------------------


class SlowPeer:
    """Node 1, which votes for node 2, and takes what it is sent when it is asked to."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.settimeout(DEADLINE_S)
        self._stack = stack
        self._server = server
        self._listener = Listener(Identity(1, "c-1"), lambda node: node == 2)
        self.address = address_of(server)

    def meet(self, node: Listening) -> None:
        """Be dialled, and dial."""
        self._connection = self._stack.enter_context(self._server.accept()[0])
        self._connection.settimeout(DEADLINE_S)
        self._voice = self._stack.enter_context(Stranger(node.address))
        self._voice.shake_hands(1, 2)

    def hear(self) -> Message:
        """Welcome whoever has dialled; the first message that comes."""
        while True:
            for _, message in self._listener.receive(self._connection.recv(1 << 16)):
                return message
            self._connection.sendall(self._listener.take_output())

    def say_where_it_only_hears(self, data: bytes) -> None:
        """Send bytes over the connection that was dialled."""
        self._connection.sendall(data)

    def entries(self) -> Iterator[Entry]:
        """What comes, each acknowledged."""
        while True:
            for _, message in self._listener.receive(self._connection.recv(1 << 16)):
                if isinstance(message, RequestVote):
                    self._say(RequestVoteReply(message.term, 1, 2, granted=True))
                elif isinstance(message, AppendEntries):
                    last = message.prev_log_index + len(message.entries)
                    self._say(
                        AppendEntriesReply(message.term, 1, 2, True, last, round=message.round)
                    )
                    yield from message.entries
            self._connection.sendall(self._listener.take_output())

    def _say(self, message: Message) -> None:
        self._voice.say(encode(message))


def test_what_a_peer_does_not_take_at_once_comes_whole_and_in_order(
    factory: DeployedFactory,
) -> None:
    """More than the system keeps for it, though no more than a leader has under way."""
    with contextlib.ExitStack() as stack:
        peer = SlowPeer(stack)
        listening = Listening(factory, peer.address)
        stack.callback(listening.node.stop)
        peer.meet(listening)
        entries = peer.entries()
        assert next(entries).command.op == "noop"
        listening.wait_for(lambda: listening.roles[-1].role is Role.LEADER)
        keys = [f"key-{n}" for n in range(20)]
        done: list[Outcome] = []
        for key in keys:
            command = Command("set", key, "v" * 500_000)
            listening.node.submit(2, command, listening.noted(done))
        listening.node.heartbeat(2)
        for key in keys:
            assert next(entries).command.key == key
        # The last acknowledgement is sent when more is asked for.
        acknowledging = threading.Thread(target=lambda: list(islice(entries, 1)))
        acknowledging.start()
        listening.wait_for(lambda: len(done) == len(keys))
        listening.node.submit(2, Command("get", "k"), listening.noted(done))
        acknowledging.join()
        assert all(isinstance(outcome, Applied) for outcome in done)
        assert not listening.refusals


def test_what_a_peer_does_not_take_waits_where_it_is_bounded() -> None:
    """Of the event loop's transports only those that are written to by `write` always say so."""

    class Full(asyncio.Transport):
        """A connection that takes nothing."""

        written = 0

        def get_extra_info(self, name: str, default: Any = None) -> socket.socket:
            return sock

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += len(data)
            if self.written > 1 << 16:
                protocol.pause_writing()

        def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
            """As it is in CPython 3.12.0 to 3.12.8: nobody is told."""
            self.written += sum(map(len, list_of_data))

    async def fill() -> None:
        nonlocal protocol
        protocol = Dialled(Identity(2, "c-1"), 1, waiting)
        protocol.connection_made(full)
        for _ in range(100):
            for message in [RequestVote(1, 2, 1, 0, 0)] * 1000:
                waiting.queue(message, encode(message))
            protocol.flush()

    protocol: Dialled
    waiting = Outgoing()
    full = Full()
    with socket.socket() as sock:
        asyncio.run(fill())
    assert full.written < 1 << 19
    frames = 100_000 * len(encode(RequestVote(1, 2, 1, 0, 0)))
    assert 0 < frames - waiting.size < 1 << 19


def test_who_speaks_where_it_is_to_hear_is_hung_up_on(factory: DeployedFactory) -> None:
    with contextlib.ExitStack() as stack:
        peer = SlowPeer(stack)
        listening = Listening(factory, peer.address)
        stack.callback(listening.node.stop)
        peer.meet(listening)
        assert isinstance(peer.hear(), RequestVote)
        peer.say_where_it_only_hears(encode(RequestVote(5000, 1, 2, 90, 50)))
        assert listening.reason() == "node 1 speaks on a connection that is not its own"
        assert listening.roles[-1].term < 5000


def test_who_comes_again_may_do_so_while_its_former_connection_speaks(
    listening: Listening,
) -> None:
    """Both are found at once by whoever looks at all connections at a time."""
    stale = encode(RequestVote(0, 1, 2, 0, 0))
    with contextlib.ExitStack() as stack:
        other, first = (stack.enter_context(Stranger(listening.address)) for _ in range(2))
        other.shake_hands(3, 2)
        first.shake_hands(1, 2)
        # Its file's number is the next one's, which so is looked at before the first one.
        other.socket.close()
        first.say(encode(RequestVote(50, 1, 2, 90, 50)))
        listening.wait_for(lambda: listening.roles[-1].term >= 50)
        listening.node.pause(2)
        second = stack.enter_context(Stranger(listening.address))
        second.say(Dialler(Identity(1, "c-1"), 2).take_output())
        first.say(stale * 20_000)
        listening.node.resume(2)
        first.hear()
        second.say(encode(RequestVote(70, 1, 2, 90, 50)))
        listening.wait_for(lambda: listening.roles[-1].term >= 70)
    assert not listening.failures


def test_what_a_slow_link_holds_is_bounded(listening: Listening) -> None:
    """The first of them are held, and those for which there is no room are lost."""
    with Stranger(listening.address) as stranger:
        stranger.shake_hands(1, 2)
        # In terms to which the node does not come by itself, however long all this takes.
        last = RequestVote(9000, 1, 2, 9000, 5000)
        stranger.say(encode(last, 60_000_000_000) * (MAX_HELD + 1))
        stranger.say(encode(last._replace(term=7000), 1))
        stranger.say(encode(last._replace(term=5000)))
        listening.wait_for(lambda: listening.roles[-1].term >= 5000)
    assert max(change.term for change in listening.roles) < 7000
