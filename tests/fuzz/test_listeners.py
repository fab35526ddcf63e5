"""Whatever is said to a node's listener costs its own connection, and the cluster nothing.

Every contender's node program is spoken to as a program of whatever language; node 3 of its
cluster is whoever speaks here.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterator

import psutil
import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.raft.handshake import MAX_HANDSHAKES, Dialler, Identity
from raftmark.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Command,
    Configuration,
    Entry,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Message,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from raftmark.raft.wire import HEADER, MAX_BODY, FrameError, Incoming, encode
from tests.conformance.conftest import Contenders
from tests.conformance.waiting import looks

FRAMES = 100_000  # are sent; each connection is read up to its first bad one
FRAMES_A_CONNECTION = 400
MEGABYTE = 1 << 20
PATIENCE_S = 60.0
NOBODY = "127.0.0.1:9"
CLUSTER = "fuzzed"
COMMITTED = {"first", "meanwhile", "afterwards"}
NODES = ["threading", "asyncio", "multiprocessing", "go"]


class Cluster:
    """Nodes 1 and 2 of three, of one contender."""

    def __init__(self, spec: ContenderSpec, stack: contextlib.ExitStack) -> None:
        spec.prepare()
        self.nodes = {
            n: stack.enter_context(Contender(spec.node_argv(), cwd=spec.started_in)) for n in (1, 2)
        }
        self.addresses: dict[int, tuple[str, int]] = {}
        peers = {"3": NOBODY}
        for n, node in self.nodes.items():
            place = node.call(
                "listen",
                node=n,
                cluster=CLUSTER,
                voters=[1, 2, 3],
                # What is said in the name of a node of an earlier term is harmless.
                election_timeout_ms=[1000, 2000],
            )["address"]
            host, _, port = place.rpartition(":")
            self.addresses[n] = host, int(port)
            peers[str(n)] = place
        for node in self.nodes.values():
            node.call("peers", peers=peers)
        for node in self.nodes.values():
            node.call("begin")
        self.commit("first")

    def commit(self, value: str) -> None:
        """Set a key, at whichever node leads."""
        deadline = time.monotonic() + PATIENCE_S
        command = {"op": "set", "key": "k", "value": value}
        while True:
            for node in self.nodes.values():
                with contextlib.suppress(ContenderError):
                    node.call("submit", command=command)
                    return
            assert time.monotonic() < deadline, "nothing is committed"

    def memory(self) -> int:
        """Of both programs, in bytes."""
        return sum(psutil.Process(node.pid).memory_info().rss for node in self.nodes.values())

    def connect(self, node: int) -> socket.socket:
        return socket.create_connection(self.addresses[node], PATIENCE_S)

    def reasons(self, node: int) -> list[str]:
        """Why it has refused connections."""
        return [e["reason"] for e in self.nodes[node].events.all() if e["event"] == "refused"]


@pytest.fixture(scope="module", params=NODES)
def cluster(request: pytest.FixtureRequest, contenders: Contenders) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        yield Cluster(contenders.spec(request.param), stack)


def hello(node: int) -> bytes:
    """What node 3 says first."""
    return Dialler(Identity(3, CLUSTER), node).take_output()


def welcomed(cluster: Cluster, node: int) -> socket.socket:
    """A connection that a node has answered, once it has room for one more handshake."""
    for _ in looks(PATIENCE_S):
        connection = cluster.connect(node)
        with contextlib.suppress(ConnectionError):
            connection.sendall(hello(node))
            if connection.recv(1):
                return connection
        connection.close()
    raise AssertionError("no handshake is answered")


def stale_messages(draw: random.Random, to: int) -> list[Message]:
    """Messages of each kind, of a term that is over."""

    def number() -> int:
        return draw.choice([0, 1, draw.randrange(1 << 7), draw.randrange(1 << 62)])

    entries = (Entry(0, Command("set", "k", "v" * draw.randrange(40))),) * draw.randrange(4)
    items = (Item("k", "v", 0), Item("c", True, 1))
    return [
        RequestVote(0, 3, to, number(), number(), draw.random() < 0.5),
        RequestVoteReply(0, 3, to, granted=True),
        AppendEntries(0, 3, to, number(), 0, entries, number(), number()),
        AppendEntriesReply(0, 3, to, draw.random() < 0.5, number(), number(), number(), number()),
        InstallSnapshot(0, 3, to, number(), number(), Configuration((1, 2)), number(), items, True),
        InstallSnapshotReply(0, 3, to, number(), number()),
        TimeoutNow(0, 3, to),
    ]


def mutated(draw: random.Random, frame: bytes) -> bytes:
    """A frame with some bytes changed, put in or left out, but in no later term.

    What a peer says of a term that is not over is believed, whatever it is.
    """
    data = bytearray(frame)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(data) + 1)
        data[at : at + draw.randrange(3)] = draw.randbytes(draw.randrange(4))
    incoming = Incoming()
    incoming.feed(bytes(data))
    with contextlib.suppress(FrameError):
        if any(message.term for _, message in incoming.messages()):
            return frame
    return bytes(data)


def stream(draw: random.Random, to: int) -> bytes:
    """What one connection says: frames of which some are none, from some moment on."""
    if draw.random() < 0.1:
        return draw.randbytes(draw.randrange(1, 400))
    first = hello(to)
    if draw.random() < 0.1:
        first = mutated(draw, first)
    good = draw.randrange(FRAMES_A_CONNECTION)
    frames = [encode(draw.choice(stale_messages(draw, to))) for _ in range(8)]
    said = [draw.choice(frames) for _ in range(good)]
    said += [mutated(draw, draw.choice(frames)) for _ in range(FRAMES_A_CONNECTION - good)]
    return first + b"".join(said)


def test_frames_of_any_kind_cost_their_connections(cluster: Cluster) -> None:
    draw = random.Random("listeners")
    before = cluster.memory()
    for _ in range(FRAMES // FRAMES_A_CONNECTION):
        node = draw.choice([1, 2])
        with cluster.connect(node) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(stream(draw, node))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
    assert cluster.memory() - before < 64 * MEGABYTE
    assert cluster.reasons(1)
    assert cluster.reasons(2)
    cluster.commit("afterwards")
    logs = [node.call("log", **{"from": 1, "to": 1000}) for node in cluster.nodes.values()]
    commands = [entry["command"] for log in logs for entry in log["entries"]]
    assert {each["value"] for each in commands if each["op"] != "noop"} <= COMMITTED


def test_what_is_announced_takes_no_memory(cluster: Cluster) -> None:
    before = cluster.memory()
    with contextlib.ExitStack() as stack:
        for length in (1 << 30, MAX_BODY + 1):
            connection = stack.enter_context(cluster.connect(1))
            connection.sendall(hello(1) + HEADER.pack(length, 0, 2))
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass  # It is hung up on.
        waiting = stack.enter_context(cluster.connect(1))
        waiting.sendall(hello(1) + HEADER.pack(MAX_BODY, 0, 2) + bytes(1000))
        cluster.commit("meanwhile")
        assert cluster.memory() - before < 32 * MEGABYTE


def test_who_says_nothing_holds_nobody_up(cluster: Cluster) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(cluster.connect(1)) for _ in range(MAX_HANDSHAKES + 1)]
        for connection in crowd:
            with contextlib.suppress(ConnectionError):
                connection.sendall(hello(1)[:9])
        cluster.commit("meanwhile")
        with contextlib.suppress(ConnectionError):
            assert crowd[-1].recv(1) == b""


def test_a_flood_of_messages_takes_no_memory(cluster: Cluster) -> None:
    draw = random.Random("flood")
    before = cluster.memory()
    frames = b"".join(encode(draw.choice(stale_messages(draw, 1))) for _ in range(1000))
    with welcomed(cluster, 1) as connection:
        for _ in range(100):
            connection.sendall(frames)
    cluster.commit("afterwards")
    assert cluster.memory() - before < 64 * MEGABYTE
