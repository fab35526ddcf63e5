"""What the workloads claim that run beside all nodes: failover, catch-up, stability and service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raftmark.bench.experiment.claims.asked import CATCH_UP_CLIENTS, Role, Witness
from raftmark.bench.experiment.claims.common import (
    CANDIDATES,
    TURN_NS,
    all_counted,
    clients,
    counted,
    known,
    length,
    possible,
)
from raftmark.bench.runs.results import (
    CatchUpResult,
    FailoverResult,
    ServiceResult,
    StabilityResult,
)

# What happens at the very end of a run may be heard of after it.
_HEARING_NS = 200_000_000


def failover(asked: dict[str, Any], result: FailoverResult, witness: Witness) -> Iterator[str]:
    """Yield what a leader's crash under load cannot have been like."""
    before_ns = result.crash_ns - result.started_ns
    yield from length("under load before the crash", before_ns, asked["before_s"], TURN_NS)
    after_ns = result.ended_ns - result.crash_ns
    yield from length("under load after the crash", after_ns, asked["after_s"], TURN_NS)
    yield from clients(result.acknowledged, asked["outstanding"])
    yield from all_counted(result.commands, result.acknowledged)
    yield from known("the crashed leader", result.crashed, witness)
    yield from known("the leader", result.leader, witness)
    if result.leader == result.crashed:
        yield "the crashed leader was elected"
    roles = witness.roles
    if not any(
        r.role == "leader" and r.node == result.crashed and r.at_ns <= result.crash_ns
        for r in roles
    ):
        yield f"no event tells that node {result.crashed} led before its crash"
    if result.leader_ns is not None and not any(
        (role.role, role.node, role.at_ns) == ("leader", result.leader, result.leader_ns)
        for role in roles
    ):
        yield f"no event tells that node {result.leader} was elected at leader_ns"
    if result.candidate_ns is not None and not any(
        role.role in CANDIDATES and role.at_ns == result.candidate_ns for role in roles
    ):
        yield "no event tells of a candidate at candidate_ns"


def catch_up(asked: dict[str, Any], result: CatchUpResult, witness: Witness) -> Iterator[str]:
    """Yield what a follower's return cannot have been like."""
    yield from known("the follower", result.node, witness)
    yield from known("the leader", result.leader, witness)
    if result.node == result.leader:
        yield "the follower that was crashed is the leader"
    if (result.entries, result.by) != (asked["entries"], asked["by"]):
        yield (
            f"caught up with {result.entries} entries by {result.by} "
            f"where {asked['entries']} by {asked['by']} were asked for"
        )
    yield from clients(result.acknowledged, CATCH_UP_CLIENTS)
    if sum(result.acknowledged) != asked["entries"]:
        yield (
            f"{sum(result.acknowledged)} commands were acknowledged "
            f"where {asked['entries']} were asked for"
        )
    end_ns = result.caught_up_ns or witness.received_ns
    if not any(
        r.node == result.node
        and result.restart_ns - witness.clocks_ns <= r.at_ns <= end_ns + witness.clocks_ns
        for r in witness.roles
    ):
        yield f"no event tells that node {result.node} was restarted"
    if result.caught_up_ns is None:
        waited_ns = witness.received_ns - result.restart_ns
        yield from length("waited for the follower", waited_ns, asked["cap_s"])
    yield from counted(result.counters, sum(result.acknowledged), witness)


def stability(asked: dict[str, Any], result: StabilityResult, witness: Witness) -> Iterator[str]:
    """Yield which needless elections were not told, or told of without any."""
    yield from length("left alone", result.ended_ns - result.started_ns, asked["duration_s"])
    yield from clients(result.acknowledged, asked.get("outstanding", 0))
    yield from all_counted(result.commands, result.acknowledged)
    started_ns, ended_ns = result.started_ns, result.ended_ns
    off_ns, roles = witness.clocks_ns, witness.roles
    sure = _held(roles, started_ns + off_ns, ended_ns - _HEARING_NS - off_ns, ("candidate",))
    most = _held(roles, started_ns - TURN_NS - off_ns, ended_ns + off_ns, ("candidate",))
    # Who was elected in that time, but had stood before it, may count where nobody else stood.
    most |= _held(roles, started_ns - off_ns, ended_ns + off_ns, ("leader",))
    if not len(sure) <= result.candidacies <= len(most):
        yield (f"{result.candidacies} candidacies where events tell of {len(sure)} to {len(most)}")
    if not min(1, result.candidacies) <= result.terms <= result.candidacies:
        yield f"{result.candidacies} candidacies in {result.terms} terms"


def service(asked: dict[str, Any], result: ServiceResult, witness: Witness) -> Iterator[str]:
    """Yield what clients of a deployed cluster were not asked for, or cannot have measured."""
    took_ns = witness.received_ns - witness.sent_ns
    yield from known("the leader", result.node, witness)
    yield from length("measured", result.ended_ns - result.started_ns, asked["duration_s"])
    yield from length("warmed up", result.started_ns - witness.sent_ns, asked["warmup_s"])
    kinds = ("connections", "slow", "flood", "come")
    yield from clients(result.acknowledged, sum(asked[kind] for kind in kinds))
    if (result.connections, result.rate) != (asked["connections"], asked["rate"]):
        yield f"{result.connections} clients offered {result.rate:g} commands a second"
    if (result.crashed is None) != (asked["crash_s"] is None):
        yield "a leader was crashed, or was not, as nobody had asked for"
    yield from possible("latency_ns", result.latency_ns, took_ns)


def _held(
    roles: Sequence[Role], from_ns: int, to_ns: int, beginnings: Sequence[str]
) -> set[tuple[int, int]]:
    meanwhile = [role for role in roles if from_ns <= role.at_ns <= to_ns]
    return {(role.node, role.term) for role in meanwhile if role.role in beginnings}
