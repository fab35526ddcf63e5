"""A cluster that is none: it answers at once, and does only what its test tells it to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from raftmark.raft import Command, Entry, Role, Settings
from raftmark.raft.client import Applied, Done, Outcome, Query, Reading, Value
from raftmark.raft.cluster import (
    Cluster,
    ClusterConfig,
    Counters,
    Events,
    LogSlice,
    NodeStatus,
    RoleChange,
)
from raftmark.raft.errors import NotLeader, OutcomeUnknown, RaftError
from raftmark.raft.host.control import Control
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import NOOP
from raftmark.raft.storage import StorageError

SETTINGS = Settings((1, 2, 3), (150_000_000, 300_000_000), 1_000_000)
CONFIG = ClusterConfig(SETTINGS)


class FakeCluster(Cluster):
    """Node 1 leads from the start; where the leader crashes, the next node up follows it."""

    def __init__(self, config: ClusterConfig, events: Events) -> None:
        self.ids = config.settings.nodes
        self.events = events
        self.up = set(self.ids)
        self.leader, self.term = 1, 1
        self.calls: list[tuple[Any, ...]] = []
        self.outstanding: list[Done] = []
        self.queries: list[Query] = []
        self.voters = self.ids
        self.transferable = True
        self.storage_error: StorageError | None = None
        self.storage_lost = False
        self.replicate_outcome: dict[str, Any] | Exception = {"workload": "replicate"}
        self.answering = False
        self.refusal: RaftError | None = None
        self.applied: list[Command] = []
        self.catches_up = True

    def announce(self, node: int, role: Role, leader: int | None) -> None:
        """A node tells of its role."""
        now_ns = time.monotonic_ns()
        self.events.role_changed(RoleChange(node, role, self.term, leader, now_ns))

    def follow(self, leader: int) -> None:
        """All nodes that are up follow a leader."""
        self.leader = leader
        for node in sorted(self.up):
            role = Role.LEADER if node == leader else Role.FOLLOWER
            self.announce(node, role, leader)

    def elect(self, leader: int) -> None:
        """A node stands for election and wins it."""
        self.term += 1
        self.announce(leader, Role.CANDIDATE, None)
        self.follow(leader)

    def fail(self, node: int) -> None:
        """A node ceases by a fault of its own."""
        self.up.discard(node)
        self.events.failed(node, RuntimeError("made to fail"))

    def start(self) -> None:
        """Announce the first leader."""
        if self.storage_error is not None:
            raise self.storage_error
        self.follow(1)

    def stop(self) -> None:
        """Note it, and leave no one waiting."""
        self.calls.append(("stop",))
        while self.outstanding:
            self.outstanding.pop()(OutcomeUnknown("stopped"))
        while self.queries:
            self.queries.pop().done(OutcomeUnknown("stopped"))

    def submit(self, node: int, command: Command, done: Done) -> None:
        """Keep the command's client waiting, or answer it if `answering`."""
        self.calls.append(("submit", node, command))
        if self.answering:
            done(self._outcome(node, command))
        else:
            self.outstanding.append(done)

    def _outcome(self, node: int, command: Command) -> Outcome:
        if node not in self.up or node != self.leader:
            return NotLeader(self.leader)
        if self.refusal is not None:
            return self.refusal
        self.applied.append(command)
        return Applied(len(self.applied), self.term, None)

    def read(self, node: int, query: Query) -> None:
        """Keep the query's client waiting."""
        self.calls.append(("read", node, query.key))
        self.queries.append(query)

    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Tell at once, or never."""
        self.calls.append(("when_applied", node, index))
        if self.catches_up:
            done(Value(index, None))

    def counters(self, node: int) -> Counters:
        """They rise by one with each call of whatever kind."""
        count = len(self.calls)
        return Counters(count, None, count, count, count)

    def status(self, node: int) -> NodeStatus:
        """The same for all, but for the role."""
        role = "leader" if node == self.leader else "follower"
        return NodeStatus(
            role=role,
            term=self.term,
            leader=self.leader,
            voted_for=None,
            last_index=1,
            commit_index=1,
            applied_index=1,
            first_index=1,
            snapshot_index=0,
            voters=self.voters,
            learners=(),
            state_hash="state",
            log_hash="log",
        )

    def log(self, node: int, first: int, last: int) -> LogSlice:
        """One no-op."""
        entries = (Entry(1, NOOP),) if first == 1 else ()
        return LogSlice(first, entries, 1, 1)

    def crash(self, node: int) -> int:
        """Let the next node follow a leader that crashed."""
        self.calls.append(("crash", node))
        self.up.discard(node)
        ceased_ns = time.monotonic_ns()
        if node == self.leader and self.up:
            self.elect(min(self.up))
        return ceased_ns

    def restart(self, node: int) -> bool:
        """A node is up again, and hears of the leader."""
        self.calls.append(("restart", node))
        if self.storage_error is not None:
            raise self.storage_error
        self.up.add(node)
        self.follow(self.leader)
        return self.storage_lost

    def join(self, node: int, *, joins: bool) -> None:
        """A new node is up, and a voter as soon as its client has heard."""
        self.calls.append(("join", node, joins))
        if self.storage_error is not None:
            raise self.storage_error
        self.up.add(node)

    def pause(self, node: int) -> NodeStatus:
        """Note it."""
        self.calls.append(("pause", node))
        return self.status(node)

    def resume(self, node: int) -> None:
        """Note it."""
        self.calls.append(("resume", node))

    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Note it."""
        self.calls.append(("partition", groups))

    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Note it."""
        self.calls.append(("block", ways))

    def degrade(self, faults: Faults) -> None:
        """Note it."""
        self.calls.append(("degrade", faults))

    def transfer(self, node: int, to: int) -> bool:
        """Let the other node stand for election, and win it."""
        self.calls.append(("transfer", node, to))
        if self.transferable:
            self.elect(to)
        return self.transferable

    def compact(self, node: int) -> tuple[int, int]:
        """Note it."""
        self.calls.append(("compact", node))
        return 1, 1

    def heartbeat(self, node: int) -> None:
        """Note it."""
        self.calls.append(("heartbeat", node))

    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """What the test has set."""
        self.calls.append(("replicate", node, spec))
        if isinstance(self.replicate_outcome, Exception):
            raise self.replicate_outcome
        return self.replicate_outcome

    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Note it."""
        self.calls.append(("offered", node, spec))
        return {"workload": "offered"}


class Fixture:
    """A control over a cluster that is none."""

    def __init__(self, config: ClusterConfig = CONFIG) -> None:
        self.failures: list[int] = []
        self.control = Control(
            self._make, config, lambda change: None, lambda node, error: self.failures.append(node)
        )

    def _make(self, config: ClusterConfig, events: Events) -> Cluster:
        self.cluster = FakeCluster(config, events)
        return self.cluster

    def submit(self, node: int | None = None) -> list[Outcome]:
        """Submit a command; what its client hears."""
        heard: list[Outcome] = []
        self.control.submit(node, Command("noop"), heard.append)
        return heard
