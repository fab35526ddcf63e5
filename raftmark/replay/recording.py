"""What is recorded: all that happens to three servers, in the order in which it happens.

Two stories, each told by servers of the core of its day: a cluster elects a leader, serves
commands, loses its leader to a long silence, elects another one, and takes the old one back. In one
of them commands come one by one, in the other 64 at a time. They are kept, so that what is counted
on them stays comparable whatever becomes of the core since; they are made anew (`python -m
raftmark.replay --make`) where a core cannot follow them any more.
"""

import gzip
from collections.abc import Iterable, Mapping
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from raftmark.raft.client import Proposal
from raftmark.raft.cluster import Events, ignore
from raftmark.raft.messages import Command, Message
from raftmark.raft.node import Node, Role, Settings
from raftmark.raft.server import Server
from raftmark.raft.wire import TAGS, TYPES

KEPT = Path(__file__).with_name("recording.msgpack.gz")

NODES = (1, 2, 3)
SETTINGS = Settings(
    NODES, election_timeout_ns=(150, 300), heartbeat_ns=50, snapshot_entries=512, window=4
)
PAYLOAD = "x" * 16
STORIES = {"one at a time": (300, 1), "64 at a time": (12, 64)}
"""How often each leader is asked for commands, and for how many at once."""


class Kind(IntEnum):
    """What can happen to a server."""

    TURN = 0
    """It does all that follows from what happened since the turn before."""
    TIMER = 1
    MESSAGE = 2
    COMMANDS = 3


class Happening(NamedTuple):
    """Something happens to a server: a message has come, or clients ask for commands."""

    node: int
    kind: Kind
    value: Any = None


def servers(sent: dict[int, list[Message]], answered: list[Any]) -> dict[int, Server]:
    """Three servers that have just begun, at a clock that stands still.

    What each sends goes to `sent`, by its sender, and the outcomes of commands to `answered`.
    """
    events = Events(role_changed=ignore, failed=lambda _node, _error: None)
    found = {}
    for n in NODES:
        node = Node(n, SETTINGS, lambda: 0.5)
        found[n] = Server(node, sent[n].extend, lambda _after_ns: None, events, lambda: 0)
        found[n].begin()
    return found


def apply(happening: Happening, server: Server, done: Any) -> None:
    """Let it happen."""
    match happening.kind:
        case Kind.TURN:
            for _ in server.carry_out():
                pass  # It is saved as soon as the next is asked for.
        case Kind.TIMER:
            server.time_out()
        case Kind.MESSAGE:
            server.receive(happening.value)
        case Kind.COMMANDS:
            server.take([Proposal(command, done) for command in happening.value], [])


class Recorder:
    """Three servers whose messages arrive in rounds, and what has happened to them."""

    def __init__(self) -> None:
        self.happened: list[Happening] = []
        self.answered: list[Any] = []
        self._sent: dict[int, list[Message]] = {n: [] for n in NODES}
        self._servers = servers(self._sent, self.answered)
        self._serials = count(1)
        self._away: set[int] = set()

    def let(self, *happenings: Happening) -> None:
        """Let these happen, one after the other, each node's turn after its last."""
        for happening in happenings:
            self._record(happening)
        for node in dict.fromkeys(happening.node for happening in happenings):
            self._record(Happening(node, Kind.TURN))

    def settle(self) -> None:
        """Deliver what was sent, round by round, until nothing more is."""
        while any(self._sent.values()):
            messages = [message for n in NODES for message in self._sent[n]]
            for n in NODES:
                self._sent[n].clear()
            self.let(
                *(
                    Happening(n, Kind.MESSAGE, message)
                    for n in NODES
                    for message in messages
                    if message.to == n and n not in self._away
                )
            )

    def commands(self, leader: int, number: int) -> None:
        """Let so many clients ask for a command each, at once."""
        asked = [
            Command("set", f"key-{n % 8}", PAYLOAD, None, f"client-{n}", next(self._serials))
            for n in range(number)
        ]
        self.let(Happening(leader, Kind.COMMANDS, asked))

    def elect(self, node: int) -> None:
        """Let a node's timer expire until it leads."""
        while self._servers[node].replica().node["role"] != Role.LEADER.value:
            self.beat(node)

    def beat(self, leader: int) -> None:
        """Let a leader's timer expire."""
        self.let(Happening(leader, Kind.TIMER))
        self.settle()

    def leave(self, node: int) -> None:
        """Let a node hear nothing from now on."""
        self._away.add(node)

    def come_back(self, node: int) -> None:
        """Let it hear again."""
        self._away.remove(node)

    def _record(self, happening: Happening) -> None:
        self.happened.append(happening)
        apply(happening, self._servers[happening.node], self.answered.append)


def record(times: int, outstanding: int) -> list[Happening]:
    """Return all that happens in a story; see the module and `STORIES`."""
    recorder = Recorder()

    def serve(leader: int) -> None:
        for number in range(times):
            recorder.commands(leader, outstanding)
            if outstanding > 1:  # More come before the first are through.
                recorder.commands(leader, outstanding)
            recorder.settle()
            if number % 50 == 49:
                recorder.beat(leader)

    recorder.elect(1)
    serve(1)
    recorder.leave(1)
    recorder.elect(2)
    serve(2)
    recorder.come_back(1)
    recorder.beat(2)
    serve(2)
    recorder.beat(2)
    return recorder.happened


def keep(stories: Mapping[str, Iterable[Happening]], path: Path = KEPT) -> None:
    """Write a recording of each story."""
    rows = {
        name: [(h.node, h.kind, _plain(h)) for h in happened] for name, happened in stories.items()
    }
    path.write_bytes(gzip.compress(msgspec.msgpack.encode(rows), mtime=0))


def kept(path: Path = KEPT) -> dict[str, list[Happening]]:
    """Read the recordings that are kept."""
    stories = msgspec.msgpack.decode(gzip.decompress(path.read_bytes()), type=dict[str, list[_Row]])
    return {
        name: [Happening(node, Kind(kind), _read(Kind(kind), value)) for node, kind, value in rows]
        for name, rows in stories.items()
    }


_Row = tuple[int, int, msgspec.Raw]


def _plain(happening: Happening) -> Any:
    if happening.kind is Kind.MESSAGE:
        return TAGS[type(happening.value)], happening.value
    return happening.value


def _read(kind: Kind, value: msgspec.Raw) -> Any:
    if kind is Kind.MESSAGE:
        tag, body = msgspec.msgpack.decode(value, type=tuple[int, msgspec.Raw])
        return msgspec.msgpack.decode(body, type=TYPES[tag])
    if kind is Kind.COMMANDS:
        return msgspec.msgpack.decode(value, type=list[Command])
    return None
