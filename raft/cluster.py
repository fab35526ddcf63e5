"""The interface that the three Python implementations share.

The host, the workloads and so the whole test suite know a cluster only by this. Any
thread may call any method, and each returns when what it asks for is done; only a
command's outcome comes later, by a callback.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from raftmark.raft.client import Done, Query, Reading
from raftmark.raft.errors import BadRequest
from raftmark.raft.links import Faults
from raftmark.raft.loads import OfferedSpec, ReplicateSpec
from raftmark.raft.messages import Command, Entry
from raftmark.raft.node import Node, Role, Settings
from raftmark.raft.state_machine import StateMachine, log_hash


class ClusterConfig(NamedTuple):
    """What `start` asks for (docs/protocol.md).

    `members` are those to be started where there is a cluster's data already; None where the
    first voters are.
    """

    settings: Settings
    storage: str = "memory"
    data_dir: str | None = None
    seed: int = 0
    trace: bool = False
    members: tuple[int, ...] | None = None

    @property
    def nodes(self) -> tuple[int, ...]:
        """Those to be started."""
        return self.settings.nodes if self.members is None else self.members


class RoleChange(NamedTuple):
    """A node changed its role, its term or the leader that it knows."""

    node: int
    role: Role
    term: int
    leader: int | None
    at_ns: int


class EntriesLost(NamedTuple):
    """A node had acknowledged these entries to its leader, which finds that it lacks them now."""

    node: int
    first: int
    last: int
    leader: int
    at_ns: int


class Membership(NamedTuple):
    """Who belongs to the cluster as of an index, up to which all is committed.

    A leader tells it, which knows of all changes that were ever committed up to there.
    """

    as_of: int
    members: tuple[int, ...]


class Refusal(NamedTuple):
    """A connection was refused, or thrown away for what came over it.

    `peer` is who was at the other end, None where that is not known.
    """

    node: int
    peer: int | None
    reason: str
    at_ns: int


class NodeStatus(NamedTuple):
    """What a running node is at this moment; hashes as in docs/protocol.md."""

    role: str
    term: int
    leader: int | None
    voted_for: int | None
    last_index: int
    commit_index: int
    applied_index: int
    first_index: int
    snapshot_index: int
    voters: tuple[int, ...]
    learners: tuple[int, ...]
    state_hash: str
    log_hash: str
    lost_entries: Sequence[dict[str, int]] = ()
    """What followers have lost since this node leads."""
    election_timeout_ns: int | None = None
    """The timeout that was drawn last; None where whoever drew it keeps it to himself."""


class Replica(NamedTuple):
    """A node at one moment, handed out so that others may look at it at leisure.

    Hashing a long log takes longer than an election timeout; the node itself must not.
    """

    node: dict[str, Any]
    committed: tuple[Entry, ...]
    machine: StateMachine

    @classmethod
    def of(cls, node: Node, machine: StateMachine) -> "Replica":
        """A copy of what the status tells of."""
        fields = {
            "role": node.role.value,
            "term": node.term,
            "leader": node.leader,
            "voted_for": node.voted_for,
            "last_index": node.log.last_index,
            "commit_index": node.commit_index,
            "applied_index": machine.applied_index,
            "first_index": node.log.first_index,
            "snapshot_index": node.snapshot.last_index,
            "voters": node.log.configuration.voters,
            "learners": node.log.configuration.learners,
            "lost_entries": [lost._asdict() for lost in node.lost],
            "election_timeout_ns": node.election_timeout_ns,
        }
        committed = node.log.slice(node.log.first_index, node.commit_index)
        return cls(fields, committed, machine.copy())

    def status(self) -> NodeStatus:
        """The status, with its hashes."""
        return NodeStatus(
            **self.node,
            state_hash=self.machine.state_hash(),
            log_hash=log_hash(self.committed),
        )


class LogSlice(NamedTuple):
    """A stretch of a node's log, from `first_index` on."""

    first_index: int
    entries: tuple[Entry, ...]
    last_index: int
    commit_index: int

    @classmethod
    def of(cls, node: Node, first: int, last: int) -> "LogSlice":
        """The entries from `first` to `last`, both inclusive, cut to what is kept."""
        first = max(first, node.log.first_index)
        entries = node.log.slice(first, last)
        return cls(first, entries, node.log.last_index, node.commit_index)


def ignore(_: object) -> None:
    """Hear it, and do nothing about it."""


class ClockRelated(NamedTuple):
    """A node's host has a clock of its own, which shows so much beyond the cluster's.

    By `uncertainty_ns` that may be wrong, in either direction. All moments that the cluster tells
    of are given by its own clock.
    """

    node: int
    host: str
    offset_ns: int
    uncertainty_ns: int


class Events(NamedTuple):
    """Whom a cluster tells; all may be called from any thread, and must not block."""

    role_changed: Callable[[RoleChange], None]
    failed: Callable[[int, Exception], None]
    """A node ceased by a fault of its own, its storage's for instance."""
    sent: Callable[[Sequence[dict[str, Any]]], None] | None = None
    """A node sends these messages, as docs/protocol.md tells of them; None without a trace."""
    entries_lost: Callable[[EntriesLost], None] = ignore
    members_committed: Callable[[Membership], None] = ignore
    """A change of members is committed, or was before this leader's time, whoever waits for it."""
    refused: Callable[[Refusal], None] = ignore
    """A node that listens has refused a connection, or thrown one away."""
    clock_related: Callable[[ClockRelated], None] = ignore


class Counters(NamedTuple):
    """What a node has sent and saved; `bytes` is None where messages are objects.

    `save_ns` is for how long the node has waited for its saves, all together.
    """

    messages: int
    bytes: int | None
    saves: int
    save_ns: int
    entries: int


ClusterFactory: TypeAlias = "Callable[[ClusterConfig, Events], Cluster]"


class Cluster(ABC):
    """A Raft cluster of one concurrency model.

    The caller sees to it that a node is in a state that allows what it asks for: only a
    running or paused node is crashed, only a running one paused or asked.
    """

    @abstractmethod
    def start(self) -> None:
        """Start every node; returns once they run.

        StorageError, and Unavailable where the machine lacks what they need, leave none running.
        """

    @abstractmethod
    def stop(self) -> None:
        """End every node; afterwards no thread, process, socket or file is left."""

    @abstractmethod
    def submit(self, node: int, command: Command, done: Done) -> None:
        """Propose a command to a running or paused node.

        `done` is called exactly once, from any thread: when the command is applied on
        that node, or with the reason why that will not be known there.
        """

    @abstractmethod
    def read(self, node: int, query: Query) -> None:
        """Read a key from a running or paused node, without a log entry.

        The query's `done` is called exactly once, from any thread.
        """

    @abstractmethod
    def when_applied(self, node: int, index: int, done: Reading) -> None:
        """Tell when a running node, whoever leads, has applied the entry at `index`.

        `done` is called exactly once, from any thread, as for a read.
        """

    @abstractmethod
    def status(self, node: int) -> NodeStatus:
        """A running node's status."""

    @abstractmethod
    def counters(self, node: int) -> Counters:
        """What a running node has sent and saved in this life."""

    @abstractmethod
    def log(self, node: int, first: int, last: int) -> LogSlice:
        """A running node's log entries from `first` to `last`, cut to what exists."""

    @abstractmethod
    def crash(self, node: int) -> int:
        """Lose all that the node had not saved; the time (ns) when it ceased."""

    @abstractmethod
    def restart(self, node: int) -> bool:
        """Start a crashed node from its storage; whether that was lost with the node's process.

        StorageError, and Unavailable where the machine lacks what a node needs, leave it crashed.
        """

    @abstractmethod
    def join(self, node: int, *, joins: bool) -> None:
        """Start a server that does not run; it `joins` if it is no member (see `Node.join`).

        StorageError, and Unavailable where the machine lacks what it needs, leave it crashed.
        """

    @abstractmethod
    def pause(self, node: int) -> NodeStatus:
        """Hang a node: it keeps its state and does nothing. Its status at that moment."""

    @abstractmethod
    def resume(self, node: int) -> None:
        """Let a paused node go on with what has waited."""

    @abstractmethod
    def partition(self, groups: Sequence[Sequence[int]] | None) -> None:
        """Let only nodes of the same group reach each other; None heals."""

    @abstractmethod
    def block(self, ways: Sequence[tuple[int, int]]) -> None:
        """Cut these links, each from one node to another, and no others."""

    @abstractmethod
    def degrade(self, faults: Faults) -> None:
        """Give every link these faults."""

    @abstractmethod
    def transfer(self, node: int, to: int) -> bool:
        """Let the leader `node` hand over to `to`; False if it does not lead, or `to` may not."""

    @abstractmethod
    def compact(self, node: int) -> tuple[int, int]:
        """Let a running node replace its log by a snapshot; that one's index and term."""

    @abstractmethod
    def heartbeat(self, node: int) -> None:
        """Let a leader broadcast a heartbeat; returns when it was sent."""

    def serve(self) -> dict[int, str]:
        """Let every node listen for clients, if it does not yet; where each does.

        BadRequest where no client could reach a node.
        """
        raise BadRequest("clients connect to deployed clusters only: transport tcp")

    @abstractmethod
    def replicate(self, node: int, spec: ReplicateSpec) -> dict[str, Any]:
        """Run the closed loop *replicate* beside the leader `node`; its raw result.

        Raises the RaftError with which a command failed.
        """

    @abstractmethod
    def offered(self, node: int, spec: OfferedSpec) -> dict[str, Any]:
        """Run the open loop *offered* beside the leader `node`; its raw result.

        Raises the RaftError with which a command failed.
        """
