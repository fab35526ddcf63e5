"""The shapes of a contender's answers, as docs/protocol.md defines them.

Every answer that a test reads goes through one of these, so that a missing, misspelt, superfluous
or mistyped field fails whichever test meets it first.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Role = Literal["follower", "pre_candidate", "candidate", "leader"]
Command = dict[str, Any]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Hello(_Answer, frozen=True):
    """The answer to `hello`."""

    contender: str
    protocol: Literal[1]
    language: str
    runtime: dict[str, Any]
    features: list[str]


class LostEntries(_Answer, frozen=True):
    """What a follower has lost of what it had acknowledged; a contender may leave it out."""

    node: Positive
    first: Positive
    last: Positive


class NodeStatus(_Answer, frozen=True):
    """One node in the answer to `status`."""

    id: Positive
    alive: bool
    paused: bool | None
    role: Role | None
    term: Count | None
    leader: Positive | None
    voted_for: Positive | None
    last_index: Count | None
    commit_index: Count | None
    applied_index: Count | None
    first_index: Positive | None
    snapshot_index: Count | None
    voters: list[Positive] | None
    learners: list[Positive] | None
    state_hash: Sha256 | None
    log_hash: Sha256 | None
    lost_entries: list[LostEntries] | None = None
    election_timeout_ns: Positive | None = None

    def __post_init__(self) -> None:
        may_be_null = {"leader", "voted_for", "lost_entries", "election_timeout_ns"}
        for name in set(self.__struct_fields__) - {"id", "alive", "paused"}:
            value = getattr(self, name)
            if self.alive and value is None and name not in may_be_null:
                raise ValueError(f"a living node's {name} is null")
            if not self.alive and value is not None:
                raise ValueError(f"a crashed node's {name} is {value!r}")


class Submitted(_Answer, frozen=True):
    """The answer to `submit`."""

    index: Positive
    term: Positive
    result: str | bool | None


class Value(_Answer, frozen=True):
    """The answer to `read`."""

    index: Count
    value: str | None


class Snapshotted(_Answer, frozen=True):
    """The answer to `snapshot`."""

    index: Count
    term: Count


class LogEntry(_Answer, frozen=True):
    """One entry in the answer to `log`."""

    index: Positive
    term: Positive
    command: Command


class LogPage(_Answer, frozen=True):
    """The answer to `log`."""

    entries: list[LogEntry]
    last_index: Count
    commit_index: Count


class Column(_Answer, frozen=True):
    """One field of some entries."""

    values: list[Any]
    at: list[Count] | None = None

    def spread(self, count: int) -> list[Any]:
        """Return each entry's value."""
        distinct = [repr(value) for value in self.values]
        assert len(set(distinct)) == len(distinct)
        if self.at is None:
            assert len(self.values) == min(1, count)
            return self.values * count
        assert len(self.at) == count
        assert list(dict.fromkeys(self.at)) == list(range(len(self.values)))
        return [self.values[place] for place in self.at]


class LogColumns(_Answer, frozen=True):
    """The answer to `log` by columns."""

    first_index: Positive
    count: Count
    columns: dict[str, Column]
    last_index: Count
    commit_index: Count


class RoleEvent(_Answer, frozen=True):
    """A node changed its role, its term or the leader it knows."""

    event: Literal["role"]
    node: Positive
    role: Role
    term: Count
    leader: Positive | None
    at_ns: Count

    def __post_init__(self) -> None:
        if self.role == "leader" and self.leader != self.node:
            raise ValueError(f"leader {self.node} takes {self.leader} for the leader")
        if self.role in ("candidate", "pre_candidate") and self.leader is not None:
            raise ValueError(f"{self.role} {self.node} knows leader {self.leader}")


class ProgressEvent(_Answer, frozen=True):
    """How far a workload is."""

    event: Literal["progress"]
    run: Count
    done: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Counters(_Answer, frozen=True):
    """What a leader did during the measured time."""

    messages: Count
    bytes: Count | None
    saves: Count
    save_ns: Count
    entries: Count


class ReplicateResult(_Answer, frozen=True):
    """The answer to `run` of the workload `replicate`."""

    workload: Literal["replicate"]
    node: Positive
    client: str
    started_ns: Count
    ended_ns: Count
    commands: Count
    latency_ns: list[tuple[Count, Positive]]
    slices: list[tuple[Positive, Count]]
    acknowledged: list[Count]
    counters: Counters


class Election(_Answer, frozen=True):
    """One election of the workload `election`; null where it was not decided."""

    crashed: Positive
    term: Positive
    crash_ns: Count
    candidate_ns: Count | None
    leader_ns: Count | None
    settled_ns: Count | None
    leader: Positive | None
    leader_term: Positive | None
    candidacies: Count
    lagging: list[Positive] = []


class ElectionResult(_Answer, frozen=True):
    """The answer to `run` of the workload `election`."""

    workload: Literal["election"]
    elections: list[Election]


class OfferedResult(_Answer, frozen=True):
    """The answer to `run` of the workload `offered`."""

    workload: Literal["offered"]
    node: Positive
    client: str
    started_ns: Count
    ended_ns: Count
    rate: float
    sent: Count
    commands: Count
    saturated: bool
    latency_ns: list[tuple[Count, Positive]]
    service_ns: list[tuple[Count, Positive]]
    lateness_ns: list[tuple[Count, Positive]]
    sender_cpu_ns: Count
    slices: list[tuple[Positive, Count]]
    acknowledged: list[Count]
    counters: Counters


class FailoverResult(_Answer, frozen=True):
    """The answer to `run` of the workload `failover`; null where no new leader acknowledged."""

    workload: Literal["failover"]
    client: str
    crashed: Positive
    leader: Positive | None
    started_ns: Count
    crash_ns: Count
    candidate_ns: Count | None
    leader_ns: Count | None
    first_ns: Count | None
    ended_ns: Count
    commands: Count
    retries: Count
    slices: list[tuple[Positive, Count]]
    acknowledged: list[Count]


class CatchUpResult(_Answer, frozen=True):
    """The answer to `run` of the workload `catch_up`; null where it did not in time."""

    workload: Literal["catch_up"]
    node: Positive
    leader: Positive
    entries: Positive
    by: Literal["entries", "snapshot"]
    restart_ns: Count
    running_ns: Count
    caught_up_ns: Count | None
    acknowledged: list[Count]
    counters: Counters


class StabilityResult(_Answer, frozen=True):
    """The answer to `run` of the workload `stability`."""

    workload: Literal["stability"]
    started_ns: Count
    ended_ns: Count
    candidacies: Count
    terms: Count
    commands: Count
    acknowledged: list[Count]


def read(shape: type[T], answer: Any) -> T:
    """Return `answer` as a `shape`; a difference fails the test."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        shown = repr(answer)
        raise AssertionError(f"{error}: {shown[:1000]}") from error
