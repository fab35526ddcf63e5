"""Clusters whose servers may crash between any two duties, and the properties they must keep.

After every event the nodes are held to the Raft paper's safety properties (figure 3).
How events come about is up to `simulation` and `interleaving`.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum

from raft import Command, Entry, HardState, Message, Ready, Role
from raft.client import Proposal

from .scenario import Server, settings_of


class Violation(AssertionError):
    """A safety property does not hold."""


class Boundary(Enum):
    """Where in its duties a node crashes."""

    BEFORE_SAVE = "before it saved"
    AFTER_SAVE = "after it saved, before it sent"
    WHILE_SENDING = "after it sent a part"
    AFTER_SENDING = "before it applied"


class Properties:
    """The safety properties, over all nodes and their lives."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self._predecessors: dict[tuple[int, int], tuple[int, Command]] = {}
        self._seen: dict[int, tuple[Entry, ...]] = {}
        self._committed_in: list[int] = []
        self.committed: list[Entry] = []

    def check(self, server: SimulatedServer) -> None:
        """Hold a node to them after an event."""
        node = server.node
        self._check_log(server)
        if node.role is Role.LEADER:
            holder = self.leaders.setdefault(node.term, server.id)
            if holder != server.id:
                raise Violation(f"nodes {holder} and {server.id} both lead term {node.term}")
            if not server.was_leader:
                self._check_completeness(server)
        server.was_leader = node.role is Role.LEADER
        before, server.commit_before = server.commit_before, node.commit_index
        if not before <= node.commit_index <= node.log.last_index:
            raise Violation(f"node {server.id} goes from commit index {before}: {describe(server)}")

    def _check_log(self, server: SimulatedServer) -> None:
        """Log matching: an entry's index and term say which it is, and what is before it."""
        log = server.node.log
        entries = log.slice(1, log.last_index)
        seen = self._seen.get(server.id, ())
        if entries == seen:
            return
        self._seen[server.id] = entries
        previous_term = 0
        for index, entry in enumerate(entries, 1):
            identity = (previous_term, entry.command)
            known = self._predecessors.setdefault((index, entry.term), identity)
            if known != identity:
                raise Violation(
                    f"two logs differ at or before {index}, of term {entry.term} in both"
                )
            if entry.term < previous_term:
                raise Violation(f"the log of node {server.id} falls in term at {index}")
            previous_term = entry.term

    def _check_completeness(self, server: SimulatedServer) -> None:
        """Leader completeness: a leader has every entry that was committed in an earlier term."""
        log = server.node.log
        count = bisect_left(self._committed_in, server.node.term)
        if list(log.slice(1, count)) != self.committed[:count]:
            raise Violation(
                f"leader {server.id} of term {server.node.term} lacks a committed entry"
            )

    def check_committed(self, server: SimulatedServer) -> None:
        """All nodes commit the same entries. Checked after a save: nobody hears of it before."""
        log, committed = server.node.log, self.committed
        shared = min(server.node.commit_index, len(committed))
        if list(log.slice(1, shared)) != committed[:shared]:
            raise Violation(f"node {server.id} committed another entry than others did")
        committed += log.slice(shared + 1, server.node.commit_index)
        # In this term or an earlier one: all that is known of each.
        term = max(server.node.term, *self._committed_in[-1:], 0)
        self._committed_in += [term] * (len(committed) - len(self._committed_in))

    def check_durable(self, server: SimulatedServer, ready: Ready) -> None:
        """Durable before sent: when messages leave, a crash would take nothing back."""
        node = server.node
        if not ready.messages:
            return
        hard_state, entries = server.storage.load()
        if hard_state != HardState(node.term, node.voted_for):
            raise Violation(f"node {server.id} speaks with term and vote not saved")
        if tuple(entries) != node.log.slice(1, node.log.last_index):
            raise Violation(f"node {server.id} speaks with entries not saved")

    def check_applied(self, server: SimulatedServer) -> None:
        """State machine safety: every node applies the committed entries, in order, once."""
        applied = server.applied
        if applied != self.committed[: len(applied)]:
            raise Violation(f"node {server.id} applied something else than was committed")
        if server.machine.applied_index != len(applied):
            raise Violation(f"node {server.id} miscounts what it applied")


class SimulatedServer(Server):
    """A server with a mailbox, a timer, and what is remembered of it between two checks."""

    def begin(self) -> None:
        """Begin a life."""
        self.inbox: list[Message] = []
        self.proposals: list[Proposal] = []
        self.stepping = False
        self.deadline_ns = 0
        self.commit_before = 0
        self.was_leader = False
        super().begin()


class World:
    """A cluster of `nodes` servers; `seed` decides everything that happens to it."""

    def __init__(self, nodes: int, seed: str, max_entries: int, window: int) -> None:
        self.random = random.Random(seed)
        self.properties = Properties()
        self.crashes: dict[Boundary, int] = dict.fromkeys(Boundary, 0)
        self.replaced_entries = 0
        settings = settings_of(nodes, max_entries=max_entries, window=window)
        self.servers = {
            n: SimulatedServer(n, settings, draw=self.random.random) for n in settings.nodes
        }

    def perform(self, server: SimulatedServer, crash: float) -> tuple[Sequence[Message], bool]:
        """Let a server do its duties; what it sends, and whether it lived to the end.

        With the probability `crash` it does not, and crashes at one of their boundaries.
        """
        boundary = None
        if self.random.random() < crash:
            boundary = self.random.choice(list(Boundary))
            self.crashes[boundary] += 1
        ready = server.node.ready()
        if boundary is Boundary.BEFORE_SAVE:
            return [], False
        if ready.save is not None and ready.save.entries:
            self.replaced_entries += ready.save.first_index <= len(server.storage.load().entries)
        server.save(ready)
        self.properties.check_durable(server, ready)
        self.properties.check_committed(server)
        if boundary is Boundary.AFTER_SAVE:
            return [], False
        if boundary is Boundary.WHILE_SENDING:
            return ready.messages[: self.random.randrange(len(ready.messages) + 1)], False
        if boundary is Boundary.AFTER_SENDING:
            return ready.messages, False
        server.apply(ready)
        self.properties.check_applied(server)
        return ready.messages, True

    def describe(self) -> str:
        """The nodes, in an error."""
        return "; ".join(map(describe, self.servers.values()))


def describe(server: Server) -> str:
    """A server, in an error."""
    node = server.node
    return (
        f"node {server.id} is {node.role.value if server.alive else 'crashed'} of term {node.term},"
        f" commit index {node.commit_index}, last index {node.log.last_index}"
    )
