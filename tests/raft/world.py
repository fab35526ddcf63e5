"""Clusters whose servers may crash between any two duties, and the properties they must keep.

After every event the nodes are held to the Raft paper's safety properties (figure 3) and
to what its thesis asks of membership changes and reads. How events come about is up to
`simulation` and `interleaving`.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum

from raftmark.raft import Command, Entry, HardState, Message, Ready, Role, Settings, StateMachine
from raftmark.raft.client import Applied, Outcome, Proposal, Query, Value
from raftmark.raft.errors import RaftError
from raftmark.raft.messages import MEMBERSHIP, Configuration, Item, RequestVoteReply

from .scenario import Server, settings_of


class Violation(AssertionError):
    """A safety property does not hold."""


class Boundary(Enum):
    """Where in its duties a node crashes."""

    BEFORE_SAVE = "before it saved"
    AFTER_SAVE = "after it saved, before it sent"
    WHILE_SENDING = "after it sent a part"
    AFTER_SENDING = "before it restored or applied"
    AFTER_RESTORING = "after it restored a snapshot, before it applied"


def settings_from(draw: random.Random, nodes: int) -> Settings:
    """Settings by chance. Messages and windows are small, so that batches are cut."""
    return settings_of(
        nodes,
        max_entries=draw.choice((1, 3, 3)),
        max_bytes=draw.choice((8, 20, 1000, 1000)),
        window=draw.choice((1, 2, 4)),
        pre_vote=draw.random() < 0.5,
        check_quorum=draw.random() < 0.5,
        snapshot_entries=draw.choice((0, 8, 20)),
    )


class Properties:
    """The safety properties, over all nodes and their lives.

    The whole committed history is kept here, whatever the nodes forget of it: after each
    index the state, and the configuration in force.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.leaders: dict[int, int] = {}
        self.committed: list[Entry] = []
        self.states: list[frozenset[Item]] = [frozenset()]
        self.configurations = [configuration]
        self.members = set(configuration.members)
        """All who ever were."""
        self.changes: Counter[str] = Counter()
        self.answered_index = 0
        """The latest index that a client has heard of."""
        self._machine = StateMachine()
        self._predecessors: dict[tuple[int, int], tuple[int, Command]] = {}
        self._committed_in: list[int] = []

    # -- after an event ----------------------------------------------------------------

    def check(self, server: SimulatedServer) -> None:
        """Hold a node to them after an event."""
        node = server.node
        self._check_log(server)
        if node.role is Role.LEADER:
            holder = self.leaders.setdefault(node.term, server.id)
            if holder != server.id:
                raise Violation(f"nodes {holder} and {server.id} both lead term {node.term}")
            if server.led_term != node.term:
                self._check_completeness(server)
        server.led_term = node.term if node.role is Role.LEADER else None
        before, server.commit_before = server.commit_before, node.commit_index
        if not before <= node.commit_index <= node.log.last_index:
            raise Violation(f"node {server.id} goes from commit index {before}: {describe(server)}")

    def forget(self, server: SimulatedServer) -> None:
        """A server crashes before it has saved what its present term is.

        Whoever led a term that it has not saved was a lone voter, which needs no answers: nobody
        else has any entry of that term, and it may lead that term again, with other entries.
        """
        term = server.node.term
        if server.led_term == term > server.storage.load().hard_state.term:
            for known in [known for known in self._predecessors if known[1] == term]:
                del self._predecessors[known]

    def _check_log(self, server: SimulatedServer) -> None:
        """Log matching, leader append-only, and one change of membership at a time.

        An entry's index and term say which it is, and what is before it: all entries that
        any log ever had are remembered, each with the term of the one before.
        """
        node, log = server.node, server.node.log
        first = log.first_index
        entries = log.slice(first, log.last_index)
        first_before, before = server.log_before
        if (first_before, before) == (first, entries):
            return
        server.log_before = (first, entries)
        before = before[first - first_before :]
        grew = entries[: len(before)] == before
        if not grew and node.role is Role.LEADER and server.led_term == node.term:
            raise Violation(f"leader {server.id} of term {node.term} replaced its own entries")

        new = first + len(before) if grew else first
        previous_term = log.term_at(new - 1)
        if new == first and first > 1 and self.committed[first - 2].term != previous_term:
            raise Violation(f"node {server.id} begins its log after an entry not committed")
        for index, entry in enumerate(entries[new - first :], new):
            identity = (previous_term, entry.command)
            known = self._predecessors.setdefault((index, entry.term), identity)
            if known != identity:
                raise Violation(
                    f"two logs differ at or before {index}, of term {entry.term} in both"
                )
            if entry.term < previous_term:
                raise Violation(f"the log of node {server.id} falls in term at {index}")
            previous_term = entry.term

        open_from = max(len(self.committed), node.commit_index) + 1
        changes = [e for e in log.slice(open_from, log.last_index) if e.command.op in MEMBERSHIP]
        if len(changes) > 1:
            raise Violation(f"node {server.id} has {changes} uncommitted at once")

    def _check_completeness(self, server: SimulatedServer) -> None:
        """Leader completeness: a leader has every entry that was committed in an earlier term."""
        log = server.node.log
        first = log.first_index
        count = bisect_left(self._committed_in, server.node.term)
        if list(log.slice(first, count)) != self.committed[first - 1 : count]:
            raise Violation(
                f"leader {server.id} of term {server.node.term} lacks a committed entry"
            )

    # -- between a server's duties -------------------------------------------------------

    def check_durable(self, server: SimulatedServer, ready: Ready) -> None:
        """Durable before sent: when messages leave, a crash would take nothing back."""
        node = server.node
        if not ready.messages:
            return
        hard_state, entries, snapshot, _ = server.storage.load()
        if hard_state != HardState(node.term, node.voted_for):
            raise Violation(f"node {server.id} speaks with term and vote not saved")
        index = node.snapshot.last_index
        if snapshot != (node.snapshot if index else None):
            raise Violation(f"node {server.id} speaks with a snapshot not saved")
        if tuple(entries) != node.log.slice(index + 1, node.log.last_index):
            raise Violation(f"node {server.id} speaks with entries not saved")

    def check_committed(self, server: SimulatedServer) -> None:
        """All nodes commit the same entries. Checked after a save: nobody hears of it before."""
        node, log, committed = server.node, server.node.log, self.committed
        first = log.first_index
        shared = min(node.commit_index, len(committed))
        if list(log.slice(first, shared)) != committed[first - 1 : shared]:
            raise Violation(f"node {server.id} committed another entry than others did")
        if node.commit_index > shared:
            if first > shared + 1:
                raise Violation(f"node {server.id} compacted what nobody has committed")
            # In this term or an earlier one: all that is known of each.
            term = max(node.term, *self._committed_in[-1:], 0)
            for entry in log.slice(shared + 1, node.commit_index):
                self._commit(entry, term)
        self._check_snapshot(server)

    def _commit(self, entry: Entry, term: int) -> None:
        self.committed.append(entry)
        self._committed_in.append(term)
        self._machine.apply([entry])
        self.states.append(frozenset(self._machine.items()))
        old = new = self.configurations[-1]
        if entry.command.op in MEMBERSHIP:
            new = old.changed_by(entry.command)
            self.members.update(new.members)
            self.changes[entry.command.op] += 1
            if not overlap(old.voters, new.voters):
                raise Violation(f"majorities of {old} and {new} need not overlap")
        self.configurations.append(new)

    def _check_snapshot(self, server: SimulatedServer) -> None:
        """A snapshot is the state after the committed entries that it covers (§7)."""
        snapshot = server.node.snapshot
        index, term, configuration, items = snapshot
        if snapshot is server.snapshot_before or index == 0:
            return
        server.snapshot_before = snapshot
        if (
            index > len(self.committed)
            or term != self.committed[index - 1].term
            or configuration != self.configurations[index]
            or len(items) != len(self.states[index])
            or frozenset(items) != self.states[index]
        ):
            raise Violation(f"node {server.id} has {snapshot}, which is not the committed state")

    def check_applied(self, server: SimulatedServer, ready: Ready) -> None:
        """State machine safety: every node applies the committed entries, in order, once."""
        index = server.machine.applied_index
        first = index - len(ready.committed) + 1
        if list(ready.committed) != self.committed[first - 1 : index]:
            raise Violation(f"node {server.id} applied something else than was committed")
        if index != server.node.commit_index:
            raise Violation(f"node {server.id} miscounts what it applied")
        if frozenset(server.machine.items()) != self.states[index]:
            raise Violation(f"node {server.id} is not in the state of index {index}")

    # -- what clients hear ----------------------------------------------------------------

    def check_outcome(self, outcome: Outcome) -> None:
        """An acknowledged command is committed where its client hears that it is."""
        if isinstance(outcome, Applied):
            if self.committed[outcome.log_index - 1].term != outcome.term:
                raise Violation(f"{outcome} was acknowledged, but not committed")
            self.answered_index = max(self.answered_index, outcome.log_index)

    def check_value(self, query: Query, asked_at: int, value: Value) -> None:
        """A read sees all that anybody has heard of before it was asked for (thesis §6.4)."""
        if value.log_index < asked_at:
            raise Violation(f"a read of {query.key} sees {value}, after {asked_at} was answered")
        items = {name: kept for name, kept, serial in self.states[value.log_index] if not serial}
        if items.get(query.key) != value.value:
            raise Violation(f"a read of {query.key} sees {value}, not the committed state")
        self.answered_index = max(self.answered_index, value.log_index)


class SimulatedServer(Server):
    """A server, what waits for its next step, and what is watched of it."""

    def begin(self) -> None:
        """Begin a life."""
        self.inbox: list[Message] = []
        self.proposals: list[Proposal] = []
        self.queries: list[Query] = []
        self.requests: list[Callable[[], None]] = []
        self.stepping = False
        self.deadline_ns = 0
        self.resumes_ns = 0
        self.commit_before = 0
        self.led_term: int | None = None
        self.log_before: tuple[int, tuple[Entry, ...]] = (1, ())
        self.snapshot_before: object = None
        super().begin()


class World:
    """A cluster; `seed` decides everything that happens to it."""

    def __init__(self, settings: Settings, seed: str) -> None:
        self.random = random.Random(seed)
        self.settings = settings
        self.properties = Properties(Configuration(settings.nodes))
        self.crashes: dict[Boundary, int] = dict.fromkeys(Boundary, 0)
        self.counts: Counter[str] = Counter()
        """How often what is worth counting has happened."""
        self.servers = {
            n: SimulatedServer(n, settings, draw=self.random.random) for n in settings.nodes
        }

    def join(self) -> SimulatedServer:
        """A server that was never a member begins its first life."""
        n = max(self.servers) + 1
        self.servers[n] = SimulatedServer(n, self.settings, draw=self.random.random)
        return self.servers[n]

    def come_back(self, n: int) -> SimulatedServer:
        """A server whose removal is committed begins a life in which it is to be added again."""
        server = self.servers[n]
        if server.alive:
            server.crash()
        server.begin()
        server.node.join()
        return server

    def removed(self) -> list[int]:
        """Those who were members and are none any more."""
        return sorted(self.properties.members.difference(self.configuration.members))

    @property
    def configuration(self) -> Configuration:
        """The latest one committed."""
        return self.properties.configurations[-1]

    def proposal(self, command: Command, done: Callable[[Outcome], None] | None = None) -> Proposal:
        """A client's command; its outcome is checked, and then `done` hears it."""
        heard: list[Outcome] = []

        def hear(outcome: Outcome) -> None:
            heard.append(outcome)
            if len(heard) > 1:
                raise Violation(f"{command} was answered {heard}")
            self.properties.check_outcome(outcome)
            if done is not None:
                done(outcome)

        return Proposal(command, hear)

    def query(self, key: str, done: Callable[[Value | RaftError], None] | None = None) -> Query:
        """A client's read, asked now; its answer is checked, and then `done` hears it."""
        asked_at = self.properties.answered_index
        heard: list[Value | RaftError] = []

        def hear(answer: Value | RaftError) -> None:
            heard.append(answer)
            if len(heard) > 1:
                raise Violation(f"a read of {key} was answered {heard}")
            if isinstance(answer, Value):
                self.properties.check_value(query, asked_at, answer)
            if done is not None:
                done(answer)

        query = Query(key, hear)
        return query

    def perform(self, server: SimulatedServer, crash: float) -> tuple[Sequence[Message], bool]:
        """Let a server do its duties; what it sends, and whether it lived to the end.

        With the probability `crash` it does not, and crashes at one of their boundaries; it
        does so more often when it has a snapshot to restore, which is rare.
        """
        ready = server.node.ready()
        boundary = None
        if self.random.random() < (crash if ready.snapshot is None else 200 * crash):
            boundary = self.random.choice(list(Boundary)[: 4 if ready.snapshot is None else 5])
            self.crashes[boundary] += 1
        if boundary is Boundary.BEFORE_SAVE:
            self.properties.forget(server)
            return [], False
        self._count(server, ready)
        server.save(ready)
        self.properties.check_durable(server, ready)
        self.properties.check_committed(server)
        if boundary is Boundary.AFTER_SAVE:
            return [], False
        if boundary is Boundary.WHILE_SENDING:
            return ready.messages[: self.random.randrange(len(ready.messages) + 1)], False
        if boundary is Boundary.AFTER_SENDING:
            return ready.messages, False
        server.restore(ready)
        if boundary is Boundary.AFTER_RESTORING:
            return ready.messages, False
        server.apply(ready)
        self.properties.check_applied(server, ready)
        return ready.messages, True

    def _count(self, server: SimulatedServer, ready: Ready) -> None:
        counts = self.counts
        if ready.snapshot is not None:
            counts["snapshots installed"] += 1
        elif ready.save is not None and ready.save.snapshot is not None:
            counts["snapshots taken"] += 1
        elif ready.save is not None and ready.save.entries:
            saved = server.storage.load()
            compacted = 0 if saved.snapshot is None else saved.snapshot.last_index
            replaced = saved.entries[max(0, ready.save.first_index - compacted - 1) :]
            counts["entries replaced"] += bool(replaced)
            counts["configurations rolled back"] += any(
                entry.command.op in MEMBERSHIP for entry in replaced
            )
        for read in ready.reads:
            counts["reads lost" if read.read_index is None else "reads confirmed"] += 1
        for message in ready.messages:
            if type(message) is RequestVoteReply and message.pre_vote:
                counts["pre-votes granted" if message.granted else "pre-votes refused"] += 1

    def time_out(self, server: SimulatedServer) -> None:
        """The timer of a server expires."""
        led_term = server.led_term
        server.node.timeout()
        self.properties.check(server)
        self.counts["leaders without a quorum"] += led_term is not None and server.led_term is None

    def describe(self) -> str:
        """The nodes, in an error."""
        return "; ".join(map(describe, self.servers.values()))


def overlap(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether any majority of the one shares a server with any of the other."""
    return len({*one, *other}) < (len(one) // 2 + 1) + (len(other) // 2 + 1)


def describe(server: Server) -> str:
    """A server, in an error."""
    node = server.node
    return (
        f"node {server.id} is {node.role.value if server.alive else 'crashed'} of term {node.term},"
        f" commit index {node.commit_index}, last index {node.log.last_index},"
        f" of {node.log.configuration}"
    )
