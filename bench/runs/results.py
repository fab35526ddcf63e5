"""What the workloads answer, typed: the results of `run` in docs/protocol.md."""

from __future__ import annotations

from typing import Any

import msgspec


class ReplicateResult(msgspec.Struct, frozen=True):
    """The closed loop's result; times in nanoseconds."""

    node: int
    client: str
    started_ns: int
    ended_ns: int
    commands: int
    latency_ns: list[tuple[int, int]]
    slices: list[tuple[int, int]]
    acknowledged: list[int]
    counters: dict[str, int | None]

    def __post_init__(self) -> None:
        if self.ended_ns <= self.started_ns:
            raise ValueError("the measured time is not longer than nothing")
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

    crashed: int
    term: int
    crash_ns: int
    candidate_ns: int | None
    leader_ns: int | None
    settled_ns: int | None
    leader: int | None
    leader_term: int | None
    candidacies: int
    lagging: list[int] = []

    @property
    def decided(self) -> bool:
        """Whether every survivor followed a new leader before the cap."""
        return self.settled_ns is not None


class ElectionResult(msgspec.Struct, frozen=True):
    """The elections of one trial, in their order."""

    elections: list[Election]


class OfferedResult(msgspec.Struct, frozen=True):
    """The open loop's result; times in nanoseconds, `latency_ns` from when a command was due."""

    node: int
    client: str
    started_ns: int
    ended_ns: int
    rate: float
    sent: int
    commands: int
    saturated: bool
    latency_ns: list[tuple[int, int]]
    service_ns: list[tuple[int, int]]
    slices: list[tuple[int, int]]
    acknowledged: list[int]
    counters: dict[str, int | None]

    def __post_init__(self) -> None:
        if self.ended_ns <= self.started_ns:
            raise ValueError("the measured time is not longer than nothing")
        if sum(count for _, count in self.latency_ns) != self.commands:
            raise ValueError("there are not as many latencies as commands")

    @property
    def throughput(self) -> float:
        """Commands acknowledged per second, of those that were due in the measured time."""
        return self.commands / ((self.ended_ns - self.started_ns) / 1e9)


class FailoverResult(msgspec.Struct, frozen=True):
    """A leader's crash under load; times in nanoseconds, None what did not happen."""

    client: str
    crashed: int
    leader: int | None
    started_ns: int
    crash_ns: int
    candidate_ns: int | None
    leader_ns: int | None
    first_ns: int | None
    ended_ns: int
    commands: int
    retries: int
    slices: list[tuple[int, int]]
    acknowledged: list[int]

    @property
    def outage_ns(self) -> int | None:
        """From the crash to the first command that the new leader acknowledged."""
        return None if self.first_ns is None else self.first_ns - self.crash_ns


class CatchUpResult(msgspec.Struct, frozen=True):
    """A follower's return; times in nanoseconds, None if it did not catch up before the cap."""

    node: int
    leader: int
    entries: int
    by: str
    restart_ns: int
    running_ns: int
    caught_up_ns: int | None
    acknowledged: list[int]
    counters: dict[str, int | None]


class StabilityResult(msgspec.Struct, frozen=True):
    """Elections that nobody needed, while nothing was done to the cluster."""

    started_ns: int
    ended_ns: int
    candidacies: int
    terms: int
    commands: int
    acknowledged: list[int]


Result = (
    ReplicateResult
    | ElectionResult
    | OfferedResult
    | FailoverResult
    | CatchUpResult
    | StabilityResult
)

RESULT_TYPES: dict[str, type[Result]] = {
    "replicate": ReplicateResult,
    "election": ElectionResult,
    "offered": OfferedResult,
    "failover": FailoverResult,
    "catch_up": CatchUpResult,
    "stability": StabilityResult,
}


def parse_result(workload: str, raw: dict[str, Any]) -> Result:
    """Check and type a raw result. Raises `msgspec.ValidationError` when it is not one."""
    return msgspec.convert(raw, RESULT_TYPES[workload])
