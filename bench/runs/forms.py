"""What a run keeps: its manifest, who takes part in it, and each of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from raftmark.bench.contenders.conformance import COMPLETE, FAILS
from raftmark.bench.contenders.registry import NOT_SYNCED, Peer
from raftmark.bench.contenders.variants import TCP as MIXED
from raftmark.bench.design.cells import NATIVE
from raftmark.bench.design.specification import Cell, Specification
from raftmark.bench.files import file_name
from raftmark.bench.runs import meanings

SCHEMA = 1


class ContenderEntry(msgspec.Struct, frozen=True):
    """A contender of a run: its answer to `hello`, or why it could not run.

    `base` is the entry of the contenders' table that it is a form of, None if it is that entry
    itself: on another interpreter or loop, or, as a `twin`, the very same once more, which shows
    what differs where nothing does. `color` and `marker` are the table's, None in runs from before
    they were kept; `env` are the variables that it starts with besides those that all have.
    `transports` are those that its clusters can have: `tcp` where it has a node program.
    `level` is what the conformance suite has found it able to do (`raftmark conform`), None if it
    was not examined as it is. `peer` says what it is, where it is somebody else's Raft.
    """

    name: str
    label: str
    hello: dict[str, Any] | None
    unavailable: str | None
    base: str | None = None
    twin: bool = False
    color: str | None = None
    marker: str | None = None
    env: dict[str, str] = {}
    level: str | None = None
    transports: list[str] = msgspec.field(default_factory=lambda: [NATIVE])
    peer: Peer | None = None

    @property
    def title(self) -> str:
        """The label, with what makes it less than an equal of those that pass the whole suite."""
        if self.level is None or self.level == COMPLETE:
            return self.label
        less = "fails the suite" if self.level == FAILS else f"{self.level} only"
        return f"{self.label} ({less})"

    @property
    def title_on_disk(self) -> str:
        """The title beside figures on disk: with a word for one that does not sync its saves."""
        return self.title + self._unsynced

    @property
    def label_on_disk(self) -> str:
        """The label in the same way, for what is read by programs."""
        return self.label + self._unsynced

    @property
    def _unsynced(self) -> str:
        return "" if self.peer is None or self.peer.synced else f", {NOT_SYNCED}"

    def lacks(self, cell: Cell) -> frozenset[str]:
        """Return what the cell needs and the contender, by its `hello`, does not offer.

        It is then not asked for the cell, which is neither a failure nor a gap.
        """
        offered = cell.needs if self.hello is None else self.hello.get("features", ())
        transport = {cell.transport} - {*self.transports}
        mixed = cell.followers is not None and self.name.startswith(MIXED)
        lead = {"one program to lead"} if mixed else set()
        return cell.needs - set(offered) | transport | lead


class Resumption(msgspec.Struct, frozen=True):
    """A later time at which the run went on, and the environment as it was then."""

    at: str
    environment: dict[str, Any]


class Elsewhere(msgspec.Struct, frozen=True):
    """What of a run is spread over the hosts of a Ray cluster, whose address nobody keeps.

    Whole blocks, or the nodes of each cluster, with `pack` several on a host.
    """

    spread: Literal["nodes", "blocks"] = "blocks"
    pack: bool = False


class Asked(msgspec.Struct, frozen=True):
    """What the command line asked for besides what the specification says.

    The contenders' `table`, None for the project's own, other interpreters for `python`, and
    variables for the contenders' environment, as they were given; `elsewhere`, None where all is
    measured on this host.
    """

    table: str | None = None
    python: list[str] = []
    env: dict[str, str] = {}
    elsewhere: Elsewhere | None = None


class Manifest(msgspec.Struct, frozen=True):
    """What a run is. Times are ISO 8601 in UTC.

    `counting` is the version of Raftmark's own counting (see `meanings`), `FIRST` in runs from
    before it was kept.
    """

    run: str
    profile: str
    seed: int
    started_at: str
    specification: Specification
    contenders: list[ContenderEntry]
    environment: dict[str, Any]
    resumptions: list[Resumption] = []
    asked: Asked = Asked()
    counting: int = meanings.FIRST
    schema: int = SCHEMA

    @property
    def adaptive(self) -> bool:
        """Whether what is measured next follows from what was found, as in a comparison."""
        return self.profile == "compare"


Stage = Literal["launch", "start", "run", "check", "stop"]


class Failure(msgspec.Struct, frozen=True):
    """Why a trial failed: at which stage, and the end of what the contender said of it."""

    stage: Stage
    message: str
    stderr: str = ""


class CheckOutcome(msgspec.Struct, frozen=True):
    """What the check found: its problems, and the number of log entries it read.

    `read_back_s`: how long it took to kill the contender and to read back what it had acknowledged;
    None where that was not tried.
    """

    passed: bool
    problems: list[str]
    entries: int
    read_back_s: float | None = None


class Cost(msgspec.Struct, frozen=True):
    """The resources that a contender's process tree used during `run`.

    `cpu_s`: CPU seconds, user and system, of processes that ended meanwhile too.
    `peak_rss_bytes`: the sum of each process's peak resident size since `run` was asked for (since
    its start in runs from before 26 November 2026); pages that processes share count once for each.
    Peaks and context switches are those of the processes and threads that are alive at the end: the
    system forgets the others. `idle_memory_bytes`, `end_memory_bytes`: what all held before and
    after, of shared pages each its part; where the cluster has a load beside its leader, once it
    has settled. They are None in a process that had loads before, which has kept of them. Only
    Linux tells these; None elsewhere, and in records of before they were read.
    """

    cpu_s: Annotated[float, msgspec.Meta(ge=0)]
    peak_rss_bytes: Annotated[int, msgspec.Meta(ge=0)] | None
    voluntary_switches: int | None
    involuntary_switches: int | None
    idle_memory_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    end_memory_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


class MachineState(msgspec.Struct, frozen=True):
    """The machine around one trial.

    `load_1m`: the load average at the trial's end. `steal_share`, `busy_share`: of all CPU time
    during the trial, what the hypervisor took for others (None where the system does not tell), and
    what anybody here used. The pressures
    are shares of the trial's time in which at least one process of the machine waited for a
    processor, for memory or for a disk, as the kernel's pressure stall information has it; None
    where the kernel has none, and in records of before they were read.
    """

    load_1m: float
    steal_share: float | None
    busy_share: float
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None


Turn = tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]]
"""From when to when a contender ran while its other was stopped: ns of CLOCK_MONOTONIC."""


class NodeHost(msgspec.Struct, frozen=True):
    """The host of a node that did not run where the harness does, and what was known of its clock.

    `offset_ns`: what its clock showed beyond the harness's, which was taken off all moments that it
    told of; `uncertainty_ns`: by how much that may be wrong, from before the trial to its end.
    """

    node: int
    host: str
    offset_ns: int
    uncertainty_ns: Annotated[int, msgspec.Meta(ge=0)]


class Trial(msgspec.Struct, frozen=True):
    """One trial; `result` is the contender's own, as it came.

    `turns`: those of one that was measured in turns with its other, between which it was stopped;
    None for one that ran by itself. `stages_s`: how many seconds each stage took, as far as it
    came; None where that was not kept. `host`: where its block was measured, None where the harness
    ran itself. `node_hosts`: where its nodes ran, if they had hosts of their own; its cost is
    unknown then.
    """

    trial: str
    cell: str
    block: int
    order: int
    contender: str
    status: Literal["ok", "failed"]
    failure: Failure | None
    result: dict[str, Any] | None
    check: CheckOutcome | None
    cost: Cost | None
    machine: MachineState | None
    started_at: str
    duration_s: float
    turns: list[Turn] | None = None
    stages_s: dict[Stage, float] | None = None
    host: str | None = None
    node_hosts: list[NodeHost] | None = None
    schema: int = SCHEMA

    @property
    def clock_uncertainty_ns(self) -> int:
        """By how much moments of two nodes may be off against each other; 0 on one host."""
        known = sorted(each.uncertainty_ns for each in self.node_hosts or [])
        return sum(known[-2:])

    @property
    def log(self) -> str | None:
        """The name of the file in `logs/`, which a failed trial has if it was tried at all."""
        tried = self.machine is not None
        return log_name(self.trial) if tried and self.status == "failed" else None


def log_name(trial: str) -> str:
    """Return the name of the file with what a trial's contender wrote to standard error."""
    return f"{file_name(trial.replace('/', '_'))}.stderr"


def pairs(entries: Iterable[ContenderEntry]) -> list[tuple[str, str]]:
    """Return the A/A pairs of a run by name: base and twin."""
    return [(entry.base, entry.name) for entry in entries if entry.twin and entry.base is not None]
