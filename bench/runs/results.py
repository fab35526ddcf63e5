"""What the workloads answer, typed: the results of `run` in docs/protocol.md.

A result that contradicts itself is none, whoever hands it in: times run forward, counts are not
negative, and every number has room in 64 bits, so that whatever is computed of a result can be.
What it says against what was asked and seen is looked at by `experiment/claims`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

import msgspec

Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A moment of CLOCK_MONOTONIC, or a duration: a century and a half at most."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]

Pieces = list[tuple[Nanoseconds, Count]]
"""Buckets of a histogram by their lowest value, or slices of the time by their end."""


def _in_order(**moments: int | None) -> None:
    """Refuse moments of which one does not come after the one before; None did not happen."""
    happened = [(name, ns) for name, ns in moments.items() if ns is not None]
    for (earlier, first_ns), (later, second_ns) in pairwise(happened):
        if second_ns <= first_ns:
            raise ValueError(f"{later} is not after {earlier}")


class ReplicateResult(msgspec.Struct, frozen=True):
    """The closed loop's result; times in nanoseconds."""

    node: Count
    client: str
    started_ns: Nanoseconds
    ended_ns: Nanoseconds
    commands: Count
    latency_ns: Pieces
    slices: Pieces
    acknowledged: list[Count]
    counters: dict[str, Count | None]

    def __post_init__(self) -> None:
        _in_order(started_ns=self.started_ns, ended_ns=self.ended_ns)
        if self.commands < 1:
            raise ValueError("no command was acknowledged in the measured time")
        if sum(count for _, count in self.latency_ns) != self.commands:
            raise ValueError("there are not as many latencies as commands")

    @property
    def throughput(self) -> float:
        """Commands acknowledged per second."""
        return self.commands / ((self.ended_ns - self.started_ns) / 1e9)


class Election(msgspec.Struct, frozen=True):
    """One election; times in nanoseconds, None what did not happen before the cap."""

    crashed: Count
    term: Count
    crash_ns: Nanoseconds
    candidate_ns: Nanoseconds | None
    leader_ns: Nanoseconds | None
    settled_ns: Nanoseconds | None
    leader: Count | None
    leader_term: Count | None
    candidacies: Count
    lagging: list[Count] = []

    def __post_init__(self) -> None:
        _in_order(crash_ns=self.crash_ns, candidate_ns=self.candidate_ns, leader_ns=self.leader_ns)
        if len({self.leader is None, self.leader_term is None, self.leader_ns is None}) > 1:
            raise ValueError("a leader has an id, a term and a moment")
        if self.settled_ns is not None:
            if self.leader_ns is None or self.candidate_ns is None:
                raise ValueError("an election is settled that nobody stood for and won")
            if self.settled_ns < self.leader_ns:
                raise ValueError("settled_ns is before leader_ns")
        if self.leader_term is not None and self.leader_term <= self.term:
            raise ValueError("leader_term is not after term")

    @property
    def decided(self) -> bool:
        """Whether every survivor followed a new leader before the cap."""
        return self.settled_ns is not None


class ElectionResult(msgspec.Struct, frozen=True):
    """The elections of one trial, in their order."""

    elections: list[Election]


class OfferedResult(msgspec.Struct, frozen=True):
    """The open loop's result; times in nanoseconds, `latency_ns` from when a command was due.

    `lateness_ns`: how long after it was due each was sent. `sender_cpu_ns`: the CPU time of the
    sender, a process of the contender's tree that is none of its own.
    """

    node: Count
    client: str
    started_ns: Nanoseconds
    ended_ns: Nanoseconds
    rate: Annotated[float, msgspec.Meta(gt=0, le=1e12)]
    sent: Count
    commands: Count
    saturated: bool
    latency_ns: Pieces
    service_ns: Pieces
    slices: Pieces
    acknowledged: list[Count]
    counters: dict[str, Count | None]
    # None in results of before a sender's own lateness was told.
    lateness_ns: Pieces | None = None
    sender_cpu_ns: Count | None = None

    def __post_init__(self) -> None:
        _in_order(started_ns=self.started_ns, ended_ns=self.ended_ns)
        if sum(count for _, count in self.latency_ns) != self.commands:
            raise ValueError("there are not as many latencies as commands")

    @property
    def throughput(self) -> float:
        """Commands acknowledged per second, of those that were due in the measured time."""
        return self.commands / ((self.ended_ns - self.started_ns) / 1e9)


class FailoverResult(msgspec.Struct, frozen=True):
    """A leader's crash under load; times in nanoseconds, None what did not happen."""

    client: str
    crashed: Count
    leader: Count | None
    started_ns: Nanoseconds
    crash_ns: Nanoseconds
    candidate_ns: Nanoseconds | None
    leader_ns: Nanoseconds | None
    first_ns: Nanoseconds | None
    ended_ns: Nanoseconds
    commands: Count
    retries: Count
    slices: Pieces
    acknowledged: list[Count]

    def __post_init__(self) -> None:
        _in_order(started_ns=self.started_ns, crash_ns=self.crash_ns, ended_ns=self.ended_ns)
        _in_order(
            crash_ns=self.crash_ns,
            candidate_ns=self.candidate_ns,
            leader_ns=self.leader_ns,
            first_ns=self.first_ns,
        )
        if len({self.leader is None, self.leader_ns is None, self.first_ns is None}) > 1:
            raise ValueError("a new leader has an id, a moment, and a first command")

    @property
    def outage_ns(self) -> int | None:
        """From the crash to the first command that the new leader acknowledged."""
        return None if self.first_ns is None else self.first_ns - self.crash_ns


class CatchUpResult(msgspec.Struct, frozen=True):
    """A follower's return; times in nanoseconds, None if it did not catch up before the cap."""

    node: Count
    leader: Count
    entries: Count
    by: str
    restart_ns: Nanoseconds
    running_ns: Nanoseconds
    caught_up_ns: Nanoseconds | None
    acknowledged: list[Count]
    counters: dict[str, Count | None]

    def __post_init__(self) -> None:
        _in_order(
            restart_ns=self.restart_ns, running_ns=self.running_ns, caught_up_ns=self.caught_up_ns
        )


class StabilityResult(msgspec.Struct, frozen=True):
    """Elections that nobody needed, while nothing was done to the cluster."""

    started_ns: Nanoseconds
    ended_ns: Nanoseconds
    candidacies: Count
    terms: Count
    commands: Count
    acknowledged: list[Count]

    def __post_init__(self) -> None:
        _in_order(started_ns=self.started_ns, ended_ns=self.ended_ns)


class ServiceResult(msgspec.Struct, frozen=True):
    """Many clients of a deployed cluster; times in nanoseconds, `latency_ns` from a command's due.

    The harness's own program tells this, not the contender. `connected_ns`: how long it took to
    have all connected. `longest_ns`: the longest wait of each client. Memory is what the contender
    held before and after they were, and `connecting_` what that cost it of CPU time and of context
    switches; None where the system does not tell. `crash_ns`: when the leader, `crashed`, ceased;
    None where it was let be.
    """

    node: Count
    client: str
    started_ns: Nanoseconds
    ended_ns: Nanoseconds
    connections: Count
    connected_ns: Nanoseconds
    rate: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    commands: Count
    saturated: bool
    latency_ns: Pieces
    service_ns: Pieces
    lateness_ns: Pieces
    longest_ns: Pieces
    slices: Pieces
    acknowledged: list[Count]
    connects: Count
    redirects: Count
    retries: Count
    generator_cpu_ns: Count
    idle_memory_bytes: Count | None = None
    connected_memory_bytes: Count | None = None
    connecting_cpu_ns: Count | None = None
    connecting_switches: Count | None = None
    crashed: Count | None = None
    crash_ns: Nanoseconds | None = None

    def __post_init__(self) -> None:
        _in_order(started_ns=self.started_ns, ended_ns=self.ended_ns)
        if sum(count for _, count in self.latency_ns) != self.commands:
            raise ValueError("there are not as many latencies as commands")

    @property
    def throughput(self) -> float:
        """Commands acknowledged per second."""
        return self.commands / ((self.ended_ns - self.started_ns) / 1e9)

    @property
    def memory_a_connection(self) -> float | None:
        """Bytes that the cluster took for each; None where the system does not tell."""
        if self.idle_memory_bytes is None or self.connected_memory_bytes is None:
            return None
        return max(0, self.connected_memory_bytes - self.idle_memory_bytes) / self.connections

    @property
    def shares(self) -> list[int]:
        """How many commands each client had acknowledged, from the least to the most."""
        return sorted(self.acknowledged[: self.connections])


Result = (
    ReplicateResult
    | ElectionResult
    | OfferedResult
    | FailoverResult
    | CatchUpResult
    | StabilityResult
    | ServiceResult
)

RESULT_TYPES: dict[str, type[Result]] = {
    "replicate": ReplicateResult,
    "election": ElectionResult,
    "offered": OfferedResult,
    "failover": FailoverResult,
    "catch_up": CatchUpResult,
    "stability": StabilityResult,
    "service": ServiceResult,
}


def parse_result(workload: str, raw: dict[str, Any]) -> Result:
    """Check and type a raw result. Raises `msgspec.ValidationError` when it is not one."""
    return msgspec.convert(raw, RESULT_TYPES[workload])


def contradictions(result: Result) -> Iterator[str]:
    """Yield where a result contradicts itself, beyond what its type refuses."""
    if isinstance(result, ReplicateResult | OfferedResult):
        yield from _unsound("latency_ns", result.latency_ns)
        if sum(result.acknowledged) < result.commands:
            yield "has more commands than were acknowledged"
    if isinstance(result, OfferedResult):
        yield from _unsound("service_ns", result.service_ns)
        yield from _unsound("lateness_ns", result.lateness_ns or [])
        if result.commands > result.sent:
            yield "has more commands acknowledged than sent"
    if isinstance(result, ReplicateResult | FailoverResult):
        counted = sum(count for _, count in result.slices)
        if counted != result.commands:
            yield "has slices that do not add up to its commands"
    if isinstance(result, ServiceResult):
        for name in ("latency_ns", "service_ns", "lateness_ns", "longest_ns"):
            yield from _unsound(name, getattr(result, name))
        if sum(result.shares) < result.commands:
            yield "has more commands than were acknowledged"
        if sum(count for _, count in result.longest_ns) != result.connections:
            yield "has not the longest wait of each client"
    if isinstance(result, ReplicateResult | FailoverResult | OfferedResult | ServiceResult):
        ends = [end for end, _ in result.slices]
        cut = ends == sorted(set(ends)) and bool(ends) and ends[0] > 0
        if not cut or ends[-1] != result.ended_ns - result.started_ns:
            yield "has slices that do not cut its measured time"


def _unsound(name: str, histogram: Pieces) -> Iterator[str]:
    lowest = [value for value, _ in histogram]
    if lowest != sorted(set(lowest)):
        yield f"has buckets of {name} that are not in ascending order"
    if any(value % (1 << max(0, value.bit_length() - 8)) for value in lowest):
        yield f"has {name} that is no bucket's lowest value"
    if any(count < 1 for _, count in histogram):
        yield f"has a bucket of {name} without a count"
