"""The open loop: every command is due at its time, and is charged what it waited from then on."""

from __future__ import annotations

import math
import time
from concurrent.futures import wait
from typing import Any

import pytest

from raftmark.bench.contenders.contender import Contender, ContenderError

from .cluster import STEADY, UNSHAKABLE, ClusterUnderTest, Status
from .conftest import StartCluster
from .messages import OfferedResult, read
from .waiting import DEADLINE_S, looks
from .workloads import commands_by_client

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("offered")]

WHOLE: dict[str, Any] = {**STEADY, "snapshot_entries": 0}
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def offers(contender: Contender) -> None:
    """Skip where the contender does not offer the workload yet."""
    if "offered" not in contender.call("hello")["features"]:
        pytest.skip("the contender does not offer it")


def offer(cluster: ClusterUnderTest, **workload: Any) -> tuple[str, OfferedResult]:
    """Run the workload, again if an election came between; its session and its result.

    A run that is not given up lasts as long as its result says.
    """
    sessions = iter(f"run{n}" for n in range(1000))

    def run(_leader: int) -> tuple[str, OfferedResult]:
        session = next(sessions)
        asked = {"name": "offered", "session": session} | workload
        result = read(OfferedResult, cluster.run(asked))
        assert result.saturated or time.monotonic_ns() >= result.ended_ns
        return session, result

    return cluster.undisturbed(run)


@pytest.mark.parametrize("nodes", [1, 3])
def test_offered_reports_what_it_measured(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)
    _, result = offer(cluster, rate=400, sessions=7, warmup_s=0.05, duration_s=0.25)
    assert result.node in cluster.nodes
    assert result.client
    assert (result.rate, result.saturated) == (400, False)
    assert result.ended_ns - result.started_ns == SECOND // 4
    assert result.sent == result.commands == 100
    for histogram in (result.latency_ns, result.service_ns):
        assert sum(count for _, count in histogram) == result.commands
        values = [value for value, _ in histogram]
        assert values == sorted(set(values))
        for value in values:
            shift = max(0, value.bit_length() - 8)
            assert value == (value >> shift) << shift, f"{value} is no bucket's lowest value"
    assert sum(count for _, count in result.lateness_ns) == result.sent
    # What a latency is made of; each is known to one part in 128, or to 32 ns.
    sums = [
        sum(value * count for value, count in histogram)
        for histogram in (result.latency_ns, result.service_ns, result.lateness_ns)
    ]
    assert abs(sums[0] - sums[1] - sums[2]) <= sum(sums) / 128 + 3 * 32 * result.sent
    assert result.sender_cpu_ns > 0
    for value, _ in result.service_ns:
        # No command is sent before it is due.
        assert at_least(result.service_ns, value) <= at_least(result.latency_ns, value)
    assert [end for end, _ in result.slices] == [SECOND // 10, SECOND // 5, SECOND // 4]
    # 120 commands in all, the session of command n is n mod 7.
    assert result.acknowledged == [18] + [17] * 6
    assert result.counters.entries >= result.commands
    assert result.counters.saves > 0
    assert (result.counters.messages > 0) == (nodes > 1)


def at_least(histogram: list[tuple[int, int]], value: int) -> int:
    """How many values are in the bucket of `value` or above it."""
    return sum(count for low, count in histogram if low >= value)


def test_offered_puts_every_command_in_the_log_once(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**WHOLE, **storage)
    workload = {"rate": 1000, "sessions": 8, "keys": 50, "payload": 100}
    session, result = offer(cluster, **workload, warmup_s=0.05, duration_s=0.2)
    commands = commands_by_client(cluster.all_agree(), session)
    assert sum(result.acknowledged) == 250
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


def test_a_rate_need_not_be_whole(start: StartCluster) -> None:
    cluster = start(1, **STEADY)
    _, result = offer(cluster, rate=33.3, sessions=1, warmup_s=0, duration_s=0.2)
    # Due after 0, 30, 60, 90, 120, 150 and 180 ms, and a bit.
    assert result.sent == result.commands == math.ceil(0.2 * 33.3)
    assert result.rate == pytest.approx(33.3)


def test_offered_is_given_up_when_too_much_is_outstanding(start: StartCluster) -> None:
    cluster = start(**{**UNSHAKABLE, "snapshot_entries": 0})
    workload = {"rate": 10_000_000, "limit": 10, "sessions": 4}
    session, result = offer(cluster, **workload, warmup_s=0, duration_s=3600)
    assert result.saturated
    assert result.sent == result.commands == sum(result.acknowledged) >= 10
    assert result.ended_ns - result.started_ns == 3600 * SECOND
    commands = commands_by_client(cluster.all_agree(), session)
    assert [len(commands[f"{session}-{c}"]) for c in range(4)] == result.acknowledged


RATE = 500.0


def stalled(cluster: ClusterUnderTest, leader: int) -> tuple[OfferedResult, int, int]:
    """Offer a load and pause the leader for 0.1 s meanwhile; from when to when it was (ns)."""
    last = cluster.status()[leader].last_index or 0
    workload = {"name": "offered", "rate": RATE, "warmup_s": 0, "duration_s": 1}
    session = f"run{time.monotonic_ns()}"
    running = cluster.contender.send("run", workload=workload | {"session": session})

    def under_way(status: Status) -> bool:
        return running.done() or (status[leader].last_index or 0) > last + RATE / 20

    cluster.eventually("the workload runs", under_way)
    cluster.pause(leader)
    paused_ns = time.monotonic_ns()
    wait([running], timeout=0.1)
    resumed_ns = time.monotonic_ns()
    cluster.resume(leader)
    result = read(OfferedResult, running.result(DEADLINE_S))
    assert result.node == leader
    return result, paused_ns, resumed_ns


def test_a_stall_is_charged_to_every_command_that_it_delays(start: StartCluster) -> None:
    """No coordinated omission: latency runs from when a command was due, whenever it was sent.

    The leader hung at least from `paused_ns` to `resumed_ns`, and so did what was due then. How
    long the machine itself stalled is not known, so there is no upper bound here.
    """
    cluster = start(**UNSHAKABLE)
    for _ in looks():
        result, paused_ns, resumed_ns = cluster.undisturbed(lambda leader: stalled(cluster, leader))
        if result.started_ns < paused_ns and resumed_ns < result.ended_ns:
            break
    due_ns = [result.started_ns + n * SECOND / RATE for n in range(result.sent)]
    assert result.sent == result.commands == RATE
    delayed_ns = [resumed_ns - due for due in due_ns if paused_ns <= due < resumed_ns]
    assert len(delayed_ns) >= RATE / 10 - 1
    assert max(value for value, _ in result.latency_ns) * 1.01 >= max(delayed_ns) >= 0.09 * SECOND
    for delay_ns in delayed_ns:
        charged = sum(count for low, count in result.latency_ns if low * 1.01 >= delay_ns)
        assert charged >= sum(each >= delay_ns for each in delayed_ns)
    for value, _ in result.service_ns:
        assert at_least(result.service_ns, value) <= at_least(result.latency_ns, value)


def running_load(cluster: ClusterUnderTest) -> tuple[int, Any]:
    """Begin a long run, and return its leader and its reply to come."""
    return cluster.begin_run({"name": "offered", "warmup_s": 0.05, "duration_s": 600})


def fails(running: Any) -> None:
    """Check that a run ends with the error that there is no leader for it any more."""
    with pytest.raises(ContenderError) as refusal:
        running.result(DEADLINE_S)
    assert refusal.value.code == "unavailable"


def test_offered_fails_when_its_leader_crashes(start: StartCluster) -> None:
    cluster = start(**STEADY)
    leader, running = running_load(cluster)
    cluster.crash(leader)
    fails(running)
    cluster.restart(leader)
    cluster.committed("k", "and all goes on")
    _, result = offer(cluster, rate=100, duration_s=0.05, warmup_s=0)
    assert result.commands == 5


def test_offered_fails_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**STEADY)
    _, running = running_load(cluster)
    cluster.stop()
    fails(running)


def test_a_load_that_sends_next_to_nothing_is_stopped_too(start: StartCluster) -> None:
    cluster = start(1, **STEADY)
    cluster.elected_leader()
    workload = {"name": "offered", "rate": 1, "duration_s": 600}
    _, running = cluster.begin_run(workload, lambda s: (s[1].last_index or 0) >= 2)
    cluster.stop()
    fails(running)
