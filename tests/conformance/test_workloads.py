"""What the workloads report is what the protocol promises, and agrees with the log."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .cluster import LIVELY, STEADY, UNSHAKABLE, ClusterUnderTest
from .conftest import StartCluster
from .messages import (
    ElectionResult,
    LogEntry,
    ProgressEvent,
    ReplicateResult,
    read,
)
from .waiting import DEADLINE_S, looks
from .workloads import check_election, commands_by_client

pytestmark = pytest.mark.level("complete")

# For tests that read a log in which there may be more than fits between two snapshots.
WHOLE: dict[str, Any] = {**STEADY, "snapshot_entries": 0}
BRIEF: dict[str, Any] = {"name": "replicate", "warmup_s": 0.05, "duration_s": 0.2}


def replicate(cluster: ClusterUnderTest, **workload: Any) -> ReplicateResult:
    """Run the workload until it has measured something, and read its result.

    An election may come between, or a stall of the machine that is as long as the run.
    """
    runs = iter(range(1000))

    def run(_leader: int) -> dict[str, Any]:
        session = {"session": f"run{next(runs)}"} | workload
        return cluster.run(BRIEF | session)

    for _ in looks():
        result = read(ReplicateResult, cluster.undisturbed(run))
        if result.commands > 0:
            return result
    raise AssertionError(f"no command in {DEADLINE_S:g} s of runs")


@pytest.mark.needs("replicate")
@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("outstanding", [1, 16])
def test_replicate_reports_what_it_measured(
    start: StartCluster, nodes: int, outstanding: int
) -> None:
    # Without snapshots, which are saves without an entry.
    cluster = start(nodes, **WHOLE)
    result = replicate(cluster, outstanding=outstanding)
    assert result.node in cluster.nodes
    assert result.client
    assert result.commands > 0
    measured_ns = result.ended_ns - result.started_ns
    # But for what a clock that counts microseconds rounds.
    assert measured_ns >= 1e9 * BRIEF["duration_s"] - 2000

    assert sum(count for _, count in result.latency_ns) == result.commands
    values = [value for value, _ in result.latency_ns]
    assert values == sorted(set(values))
    for value in values:
        shift = max(0, value.bit_length() - 8)
        assert value == (value >> shift) << shift, f"{value} is no bucket's lowest value"

    assert sum(count for _, count in result.slices) == result.commands
    ends = [end for end, _ in result.slices]
    assert all(earlier < later for earlier, later in pairwise(ends))
    assert ends[-1] <= measured_ns

    assert len(result.acknowledged) == outstanding
    assert all(serial >= 1 for serial in result.acknowledged)
    assert sum(result.acknowledged) >= result.commands
    assert result.counters.saves <= result.counters.entries <= sum(result.acknowledged)


@pytest.mark.needs("replicate", "slices")
def test_replicate_counts_in_slices_as_short_as_it_is_asked_to(start: StartCluster) -> None:
    result = replicate(start(**WHOLE), outstanding=16, duration_s=0.3, slice_ms=5)
    assert sum(count for _, count in result.slices) == result.commands
    ends = [end for end, _ in result.slices]
    assert ends[-1] == result.ended_ns - result.started_ns
    # None is shorter, but for the last one; a machine that stalls may make some of them longer.
    assert all(later - earlier >= 5e6 for earlier, later in pairwise([0, *ends[:-1]]))


@pytest.mark.needs("replicate")
@pytest.mark.parametrize("nodes", [1, 3])
def test_replicate_counts_what_the_leader_did_meanwhile(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)
    result = replicate(cluster, outstanding=4, duration_s=0.7)
    # Not to the last one: the counters are read a moment beside the first and last command.
    assert abs(result.counters.entries - result.commands) <= max(8, 0.5 * result.commands)
    assert result.counters.saves > 0
    assert result.counters.save_ns > 0
    if nodes > 1:
        assert result.counters.messages > 0
        assert result.counters.bytes is None or result.counters.bytes > result.counters.messages
    else:
        assert result.counters.messages == 0
        assert not result.counters.bytes


@pytest.mark.needs("replicate")
def test_replicate_puts_every_acknowledged_command_in_the_log_once(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**WHOLE, **storage)
    workload = {"outstanding": 8, "payload": 100, "keys": 50, "duration_s": 0.1}
    result = replicate(cluster, **workload)
    log = cluster.all_agree()
    session = next(name for name in reversed(sessions(log)) if commands_by_client(log, name))
    commands = commands_by_client(log, session)
    assert set(commands) == {f"{session}-{c}" for c in range(8)}
    for c, acknowledged in enumerate(result.acknowledged):
        name = f"{session}-{c}"
        assert commands[name] == [
            {
                "op": "set",
                "key": f"key-{(c + serial * 8) % 50}",
                "value": "x" * 100,
                "client": name,
                "serial": serial,
            }
            for serial in range(1, acknowledged + 1)
        ]


def sessions(log: list[LogEntry]) -> list[str]:
    """Return the names of the runs in a log, in their order."""
    names = (entry.command.get("client", "-").rsplit("-", 1)[0] for entry in log)
    return [name for name in dict.fromkeys(names) if name]


@pytest.mark.needs("replicate")
def test_replicate_has_the_documented_defaults(start: StartCluster) -> None:
    cluster = start(1, **WHOLE)
    cluster.elected_leader()
    result = read(ReplicateResult, cluster.run({"name": "replicate"}))
    assert len(result.acknowledged) == 64
    assert result.ended_ns - result.started_ns >= 1e9, "2 s, but for a stall of the machine"
    command = cluster.log(1, to=2)[1].command
    assert command["client"].startswith("client-")
    assert command["value"] == "x" * 64
    assert command["serial"] == 1
    number = int(command["client"].removeprefix("client-"))
    assert command["key"] == f"key-{number + 64}"


@pytest.mark.needs("replicate")
def test_replicate_takes_an_empty_value(start: StartCluster) -> None:
    cluster = start(1, **WHOLE)
    replicate(cluster, outstanding=1, payload=0, keys=1, warmup_s=0)
    last = cluster.status()[1].last_index
    assert last is not None
    command = cluster.log(1, to=min(last, 10))[-1].command
    assert (command["key"], command["value"]) == ("key-0", "")


@pytest.mark.needs("replicate")
def test_progress_grows_from_0_to_1(start: StartCluster) -> None:
    cluster = start(**STEADY)
    before = len(cluster.contender.events.all())
    replicate(cluster, duration_s=0.5)
    events = cluster.contender.events.all()[before:]
    progress = [read(ProgressEvent, e) for e in events if e["event"] == "progress"]
    for earlier, later in pairwise(progress):
        assert earlier.run != later.run or earlier.done <= later.done


@pytest.mark.needs("replicate", "election")
def test_one_workload_runs_at_a_time_and_the_rest_is_answered_beside_it(
    start: StartCluster,
) -> None:
    cluster = start(**STEADY)

    def run_two(_leader: int) -> None:
        _, running = running_replicate(cluster)
        cluster.refused("bad_request", "run", workload=BRIEF)
        cluster.refused("bad_request", "run", workload={"name": "election"})
        cluster.status()
        assert not running.done()

    cluster.undisturbed(run_two)


def running_replicate(cluster: ClusterUnderTest) -> tuple[int, Any]:
    """Begin a long run, and return its leader and its reply to come."""
    return cluster.begin_run(BRIEF | {"duration_s": 600})


@pytest.mark.needs("replicate")
def test_replicate_fails_when_its_leader_crashes(start: StartCluster) -> None:
    cluster = start(**STEADY)
    leader, running = running_replicate(cluster)
    cluster.crash(leader)
    with pytest.raises(ContenderError) as refusal:
        running.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"
    cluster.restart(leader)
    cluster.committed("k", "and all goes on")
    assert replicate(cluster, session="after").commands > 0


@pytest.mark.needs("replicate")
def test_replicate_fails_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**STEADY)
    _, running = running_replicate(cluster)
    cluster.stop()
    with pytest.raises(ContenderError) as refusal:
        running.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"


@pytest.mark.needs("election")
@pytest.mark.parametrize("nodes", [3, 5])
def test_election_reports_every_election(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)
    answer = cluster.run({"name": "election", "elections": 4})
    result = read(ElectionResult, answer)
    assert len(result.elections) == 4
    for election in result.elections:
        check_election(cluster, election)
    for earlier, later in pairwise(result.elections):
        assert (earlier.settled_ns or 0) < later.crash_ns
        assert later.term >= (earlier.leader_term or 0)
    cluster.elected_leader(among=cluster.nodes)
    cluster.committed("k", "and all goes on")
    cluster.all_agree()


@pytest.mark.needs("election")
def test_crashes_fall_anywhere_within_the_heartbeat_interval(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    answer = cluster.run({"name": "election", "elections": 12})
    crashed = Counter(e.crashed for e in read(ElectionResult, answer).elections)
    assert sum(crashed.values()) == 12
    assert len(crashed) >= 2, "leaders crash, not one node"


@pytest.mark.needs("election")
def test_an_election_that_is_not_decided_ends_the_run(start: StartCluster) -> None:
    cluster = start(**UNSHAKABLE)
    cluster.elected_leader()
    cluster.all_agree()
    answer = cluster.run({"name": "election", "elections": 5, "cap_s": 0.05})
    (election,) = read(ElectionResult, answer).elections
    undecided = (election.leader_ns, election.settled_ns, election.leader, election.leader_term)
    assert undecided == (None, None, None, None)
