"""How the core's work a command grows with what a cluster has to carry, counted and not timed.

python -m raftmark.replay.growth

Three or more servers in one thread serve commands, and the bytecode instructions that this takes
are divided by the commands: exact, and the same each time. One thing is varied, all else stays.
What C code does is in no count, so that the CPU time of a command is printed beside it; that is
measured without the count, and varies.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from raftmark.raft.client import Outcome, Proposal
from raftmark.raft.cluster import Events, ignore
from raftmark.raft.errors import RaftError
from raftmark.raft.messages import Command, Message
from raftmark.raft.node import Node, Settings
from raftmark.raft.server import Server
from raftmark.replay.__main__ import bytecodes


class Setting(NamedTuple):
    """What is varied: each is its own at the beginning of a line, and one of them at its end."""

    outstanding: int = 64
    nodes: int = 3
    payload: int = 64
    entries: int = 0
    """How many are in the log, or were before a snapshot, when the counting begins."""
    sessions: int = 64
    """How many the state machine knows."""


LINES: dict[str, Sequence[int]] = {
    "outstanding": (1, 16, 64, 256, 1024, 4096),
    "nodes": (3, 5, 7, 9),
    "payload": (16, 64, 1024, 16_384, 65_536),
    "entries": (0, 10_000, 100_000, 1_000_000, 10_000_000),
    "sessions": (64, 1_000, 10_000, 100_000),
}
SNAPSHOT_ENTRIES = 16_384


class Growth(NamedTuple):
    """What a command took at one setting."""

    bytecodes: float
    seconds: float


class Loaded:
    """A cluster in one thread, whose messages arrive at once, and its clients."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._answered = 0
        self._asked = 0
        self._sent: list[Message] = []
        nodes = tuple(range(1, setting.nodes + 1))
        settings = Settings(nodes, (150, 300), heartbeat_ns=50, snapshot_entries=SNAPSHOT_ENTRIES)
        events = Events(role_changed=ignore, failed=lambda _node, _error: None)
        self._servers = {
            n: Server(Node(n, settings, lambda: 0.5), self._sent.extend, ignore, events, lambda: 0)
            for n in nodes
        }
        self._leader = self._servers[1]
        self._turn(self._leader)
        self._leader.time_out()
        self._turn(self._leader)
        while self._sent:
            self._settle()
        self.serve(max(setting.sessions, setting.entries), batch=1024)

    def serve(self, commands: int, batch: int | None = None) -> None:
        """Serve so many commands, as many at once as are outstanding."""
        outstanding = batch or self._setting.outstanding
        value = "x" * self._setting.payload
        answered = self._answered
        for begin in range(0, commands, outstanding):
            proposals = [
                Proposal(self._command(value), self._hear)
                for _ in range(min(outstanding, commands - begin))
            ]
            self._leader.take(proposals, [])
            self._turn(self._leader)
            while self._sent:
                self._settle()
        if self._answered - answered != commands:
            raise RuntimeError(f"{self._answered - answered} of {commands} commands were answered")

    def _command(self, value: str) -> Command:
        number = self._asked
        self._asked += 1
        serial, session = divmod(number, self._setting.sessions)
        return Command("set", f"key-{number % 1000}", value, None, f"s-{session}", serial + 1)

    def _hear(self, outcome: Outcome) -> None:
        if isinstance(outcome, RaftError):
            raise outcome
        self._answered += 1

    def _settle(self) -> None:
        sent = self._sent[:]
        self._sent.clear()
        for message in sent:
            self._servers[message.to].receive(message)
        for node in dict.fromkeys(message.to for message in sent):
            self._turn(self._servers[node])

    @staticmethod
    def _turn(server: Server) -> None:
        for _ in server.carry_out():
            pass  # It is saved as soon as the next is asked for.


def grown(setting: Setting) -> Growth:
    """What a command takes at a setting."""
    commands = max(setting.outstanding, 256)
    cluster = Loaded(setting)
    began = time.thread_time()
    cluster.serve(commands)
    seconds = time.thread_time() - began
    return Growth(bytecodes(lambda: cluster.serve(commands)) / commands, seconds / commands)


def main(say: Callable[[str], object] = print) -> None:
    """Print a table for each thing that grows."""
    gc.disable()  # As in the contenders; otherwise it looks through a long log again and again.
    for name, values in LINES.items():
        say(f"{name:>12}  bytecodes a command   CPU a command")
        for value in values:
            if value > 1_000_000 and "--long" not in sys.argv:
                say(f"{value:>12,}  with --long")
                continue
            counted, seconds = grown(Setting()._replace(**{name: value}))
            say(f"{value:>12,}  {counted:>19,.0f}  {seconds * 1e6:>11.2f} us")


if __name__ == "__main__":
    main()
