"""A leader's crash under load, a follower's return, and elections that nobody needs."""

from __future__ import annotations

from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .cluster import LIVELY, SLOW, STEADY, ClusterUnderTest
from .conftest import StartCluster
from .messages import (
    CatchUpResult,
    ElectionResult,
    FailoverResult,
    ProgressEvent,
    StabilityResult,
    read,
)
from .waiting import DEADLINE_S, looks
from .workloads import check_election, commands_by_client

pytestmark = pytest.mark.level("complete")

WHOLE: dict[str, Any] = {**STEADY, "snapshot_entries": 0}
# In which a follower is sent 75 MiB by entries.
PATIENT: dict[str, Any] = {
    "election_timeout_ms": [700, 900],
    "heartbeat_ms": 50,
    "snapshot_entries": 0,
}
PIECE_NS = 10_000_000


def check_acknowledged(cluster: ClusterUnderTest, session: str, acknowledged: list[int]) -> None:
    """Check that each client's commands are in the log in order, at least those it heard of.

    A command that was sent again, as leaders changed, may be there again.
    """
    commands = commands_by_client(cluster.all_agree(), session)
    for client, last in enumerate(acknowledged):
        serials = [command["serial"] for command in commands.get(f"{session}-{client}", [])]
        first_times = list(dict.fromkeys(serials))
        assert first_times == list(range(1, len(first_times) + 1))
        assert len(first_times) >= last


# Failover

BRIEF = {"name": "failover", "outstanding": 2, "before_s": 0.1, "after_s": 0.7}


def fail_over(cluster: ClusterUnderTest, **workload: Any) -> tuple[str, FailoverResult]:
    """Run the workload until a leader was crashed and another one found; its session, too."""
    refusal: object = None
    for attempt, _ in enumerate(looks()):
        session = f"run{attempt}"
        try:
            answer = cluster.run(BRIEF | {"session": session} | workload)
        except ContenderError as error:
            if error.code != "unavailable":
                raise
            refusal = error  # An election came before the crash.
            continue
        result = read(FailoverResult, answer)
        if result.first_ns is not None:
            return session, result
        check_no_outage(result)
        refusal = result
    raise AssertionError(f"no failover in {DEADLINE_S:g} s; last: {refusal}")


def check_no_outage(result: FailoverResult) -> None:
    """Check that what never ended has no end."""
    assert (result.leader, result.candidate_ns, result.leader_ns) == (None, None, None)


@pytest.mark.needs("failover")
@pytest.mark.parametrize("nodes", [3, 5])
def test_failover_reports_the_outage(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **WHOLE)
    cluster.links(**SLOW)
    session, result = fail_over(cluster)
    assert result.client
    assert result.candidate_ns is not None
    assert result.leader_ns is not None
    assert result.first_ns is not None
    assert result.started_ns < result.crash_ns <= result.candidate_ns <= result.leader_ns
    assert result.leader_ns < result.first_ns <= result.ended_ns
    assert result.crash_ns - result.started_ns >= 0.1e9
    assert result.ended_ns - result.crash_ns >= 0.7e9
    assert result.leader != result.crashed

    events = cluster.role_events()
    assert any(e.node == result.crashed and e.role == "leader" for e in events)
    assert [e.node for e in events if e.role == "leader" and e.at_ns == result.leader_ns] == [
        result.leader
    ]
    assert any(e.role == "candidate" and e.at_ns == result.candidate_ns for e in events)

    duration_ns = result.ended_ns - result.started_ns
    ends = [end for end, _ in result.slices]
    assert ends == [*range(PIECE_NS, duration_ns, PIECE_NS), duration_ns]
    assert sum(count for _, count in result.slices) == result.commands
    outage = range(
        (result.crash_ns - result.started_ns) // PIECE_NS + 1,
        (result.first_ns - result.started_ns) // PIECE_NS,
    )
    # What was committed before the crash may be heard of a moment after it.
    assert sum(result.slices[n][1] for n in outage) <= len(result.acknowledged)

    assert len(result.acknowledged) == 2
    assert sum(result.acknowledged) >= result.commands > 0
    status = cluster.status()
    assert all(node.alive for node in status.values()), "the crashed one is back"
    check_acknowledged(cluster, session, result.acknowledged)


@pytest.mark.needs("failover")
def test_failover_loses_nothing_on_either_storage(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**WHOLE, **storage)
    cluster.links(**SLOW)
    session, result = fail_over(cluster, outstanding=1, payload=0, keys=1)
    check_acknowledged(cluster, session, result.acknowledged)


@pytest.mark.needs("failover")
def test_failover_tells_of_its_progress(start: StartCluster) -> None:
    cluster = start(**STEADY)
    before = len(cluster.contender.events.all())
    fail_over(cluster)
    events = cluster.contender.events.all()[before:]
    progress = [read(ProgressEvent, e) for e in events if e["event"] == "progress"]
    last = [event.done for event in progress if event.run == progress[-1].run]
    assert last == sorted(last)


@pytest.mark.needs("failover")
def test_failover_ends_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**STEADY)
    _, running = cluster.begin_run({"name": "failover", "after_s": 600})
    cluster.refused("bad_request", "run", workload=BRIEF)
    cluster.stop()
    with pytest.raises(ContenderError) as refusal:
        running.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"


@pytest.mark.needs("failover", "catch_up")
@pytest.mark.parametrize("workload", ["failover", "catch_up"])
def test_a_crash_needs_a_majority_of_survivors(start: StartCluster, workload: str) -> None:
    cluster = start(2, **STEADY)
    cluster.refused("bad_request", "run", workload={"name": workload})


# Catching up


def catch_up(cluster: ClusterUnderTest, **workload: Any) -> tuple[str, CatchUpResult]:
    """Run the workload, again if an election came between; its session and its result."""
    sessions = iter(f"run{n}" for n in range(1000))

    def run(_leader: int) -> tuple[str, CatchUpResult]:
        session = next(sessions)
        asked = {"name": "catch_up", "session": session} | workload
        result = read(CatchUpResult, cluster.run(asked))
        if result.by == "snapshot":
            cluster.all_agree()
            snapshot_index = cluster.status()[result.node].snapshot_index or 0
            assert snapshot_index >= result.entries, "the next leader has the whole log"
        return session, result

    return cluster.undisturbed(run)


@pytest.mark.needs("catch_up")
@pytest.mark.parametrize(
    "by", ["entries", pytest.param("snapshot", marks=pytest.mark.needs("snapshot"))]
)
def test_catch_up_reports_a_followers_return(
    start: StartCluster, by: str, storage: dict[str, Any]
) -> None:
    cluster = start(**WHOLE, **storage)
    session, result = catch_up(cluster, entries=500, by=by, payload=8, keys=10)
    assert (result.entries, result.by) == (500, by)
    assert result.node != result.leader
    assert result.restart_ns <= result.running_ns
    assert result.caught_up_ns is not None
    assert result.running_ns <= result.caught_up_ns
    assert len(result.acknowledged) == 64
    assert sum(result.acknowledged) == 500
    assert result.counters.messages > 0

    status = cluster.status()
    assert all(node.alive for node in status.values()), "the follower is back"
    if by == "entries":
        check_acknowledged(cluster, session, result.acknowledged)


@pytest.mark.needs("catch_up")
def test_a_catch_up_with_large_values_elects_nobody(start: StartCluster) -> None:
    """What is sent to a follower that lags keeps nobody from hearing of the leader."""
    # A machine that stalls for longer than an election timeout may well hold one now and then.
    for _ in range(5):
        cluster = start(**PATIENT)
        cluster.elected_leader()
        before = {event.term for event in cluster.role_events()}
        run = {"name": "catch_up", "entries": 1200, "payload": 1 << 16, "cap_s": 120}
        result = read(CatchUpResult, cluster.run(run))
        assert result.caught_up_ns is not None
        if {event.term for event in cluster.role_events()} == before:
            return
        cluster.stop()
    raise AssertionError("an election each time")


@pytest.mark.needs("catch_up")
def test_a_follower_may_miss_less_than_a_command_a_client(start: StartCluster) -> None:
    cluster = start(**WHOLE)
    session, result = catch_up(cluster, entries=3)
    assert len(result.acknowledged) == 64
    assert sum(result.acknowledged) == 3
    check_acknowledged(cluster, session, result.acknowledged)


@pytest.mark.needs("catch_up")
def test_catch_up_ends_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**STEADY)
    workload = {"name": "catch_up", "entries": 1_000_000}
    _, running = cluster.begin_run(workload, lambda s: not all(n.alive for n in s.values()))
    cluster.stop()
    with pytest.raises(ContenderError) as refusal:
        running.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"


# Stability


def candidacies(cluster: ClusterUnderTest, result: StabilityResult) -> set[tuple[int, int]]:
    """Return who stood in which term meanwhile, by the events."""
    return {
        (event.node, event.term)
        for event in cluster.role_events()
        if event.role == "candidate" and result.started_ns <= event.at_ns <= result.ended_ns
    }


def leave_alone(cluster: ClusterUnderTest, **workload: Any) -> StabilityResult:
    """Run the workload, and check its count by the events."""
    asked = {"name": "stability", "duration_s": 0.2} | workload
    result = read(StabilityResult, cluster.run(asked))
    assert result.ended_ns - result.started_ns >= 0.2e9
    stood = candidacies(cluster, result)
    assert result.candidacies == len(stood)
    assert result.terms == len({term for _, term in stood})
    return result


@pytest.mark.needs("stability")
def test_a_cluster_left_alone_is_idle(start: StartCluster) -> None:
    result = leave_alone(start(**STEADY))
    assert (result.commands, result.acknowledged) == (0, [])


@pytest.mark.needs("stability")
def test_needless_elections_are_counted(start: StartCluster) -> None:
    """The leader speaks so seldom that its followers must take it for gone."""
    cluster = start(election_timeout_ms=[20, 40], heartbeat_ms=60_000)
    for _ in looks():
        result = leave_alone(cluster)
        assert result.candidacies >= result.terms
        if result.terms:
            return
    raise AssertionError("no election came of a leader that does not speak")


@pytest.mark.needs("stability")
@pytest.mark.parametrize("settings", [STEADY, LIVELY], ids=["steady", "lively"])
def test_a_cluster_is_left_alone_with_its_clients(
    start: StartCluster, settings: dict[str, Any]
) -> None:
    cluster = start(**{**settings, "snapshot_entries": 0})
    cluster.links(**SLOW)
    result = leave_alone(cluster, outstanding=4, keys=2, session="load")
    assert len(result.acknowledged) == 4
    assert sum(result.acknowledged) >= result.commands
    check_acknowledged(cluster, "load", result.acknowledged)


@pytest.mark.needs("stability")
def test_a_single_node_needs_no_election(start: StartCluster) -> None:
    cluster = start(1, **STEADY)
    for attempt, _ in enumerate(looks()):
        result = leave_alone(cluster, outstanding=1, session=f"run{attempt}")
        assert (result.candidacies, result.terms) == (0, 0)
        if result.commands:  # The machine did not stall for as long as that.
            return
    raise AssertionError(f"no command in {DEADLINE_S:g} s of runs")


# Elections in which some lag


@pytest.mark.needs("election")
@pytest.mark.parametrize(("nodes", "lagging"), [(3, 1), (5, 2), (5, 1)])
def test_who_lags_is_not_elected(start: StartCluster, nodes: int, lagging: int) -> None:
    cluster = start(nodes, **STEADY)
    workload = {"name": "election", "elections": 3, "lagging": lagging}
    result = read(ElectionResult, cluster.run(workload))
    assert len(result.elections) == 3
    for election in result.elections:
        check_election(cluster, election)
        assert len(set(election.lagging)) == len(election.lagging) == lagging
        assert election.crashed not in election.lagging
        assert election.leader not in election.lagging
    # The cut has ended: what was committed without some is everywhere.
    cluster.committed("k", "v")
    cluster.all_agree()


@pytest.mark.needs("election")
def test_nobody_lags_unless_asked(start: StartCluster) -> None:
    cluster = start(**STEADY)
    answer = cluster.run({"name": "election", "elections": 1})
    assert [e.lagging for e in read(ElectionResult, answer).elections] == [[]]


@pytest.mark.needs("election")
@pytest.mark.parametrize(("nodes", "lagging"), [(3, 2), (4, 2), (5, 3)])
def test_only_a_minority_may_lag(start: StartCluster, nodes: int, lagging: int) -> None:
    cluster = start(nodes, **STEADY)
    cluster.refused("bad_request", "run", workload={"name": "election", "lagging": lagging})


# A leader that hangs


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("replicate", "offered")],
)
def test_a_run_whose_leader_hangs_is_answered_before_it_goes_on(
    start: StartCluster, name: str
) -> None:
    cluster = start(**STEADY)
    cluster.committed("k", "1")
    leader, run = cluster.begin_run({"name": name, "warmup_s": 0, "duration_s": 600})
    cluster.pause(leader)
    with pytest.raises(ContenderError) as refusal:
        run.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"
    assert cluster.status()[leader].paused
    cluster.resume(leader)
    cluster.committed("k", "2")
