"""What a client hears when its command cannot be committed, and that it always hears something."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .cluster import LIVELY, STEADY, ClusterUnderTest, Status, get, set_
from .conftest import StartCluster
from .waiting import DEADLINE_S

pytestmark = pytest.mark.level("survives")


def code_of(answer: Future[dict[str, Any]]) -> str:
    """Wait for a request's error, and return its code."""
    with pytest.raises(ContenderError) as refusal:
        print(answer.result(DEADLINE_S))
    return refusal.value.code


def test_a_follower_names_the_leader_and_proposes_nothing(start: StartCluster) -> None:
    cluster = start(**STEADY)

    def ask_followers(leader: int) -> None:
        last = cluster.status()[leader].last_index
        for follower in cluster.others(leader):
            refusal = cluster.refused("not_leader", "submit", command=set_("k", "v"), node=follower)
            assert refusal.extra == {"leader": leader}
        assert cluster.status()[leader].last_index == last

    cluster.undisturbed(ask_followers)


def test_a_candidate_names_nobody(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    survivor = cluster.lonely_follower()
    cluster.eventually("a candidate", lambda status: status[survivor].role == "candidate")
    refusal = cluster.refused("not_leader", "submit", command=get("k"), node=survivor)
    assert refusal.extra == {"leader": None}
    assert not cluster.refused("unavailable", "submit", command=get("k")).extra


@pytest.mark.parametrize("fault", ["crash", "pause"])
def test_a_node_that_is_down_is_unavailable(start: StartCluster, fault: str) -> None:
    cluster = start(**STEADY)
    leader = cluster.elected_leader()
    for node in (cluster.others(leader)[0], leader):
        cluster.crash(node) if fault == "crash" else cluster.pause(node)
        refusal = cluster.refused("unavailable", "submit", command=set_("k", "v"), node=node)
        assert not refusal.extra
        cluster.refused("unavailable", "log", node=node)


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("status", {}),
        ("submit", {"command": get("k")}),
        ("log", {"node": 1}),
        ("crash", {"node": 1}),
        ("restart", {"node": 1}),
        ("pause", {"node": 1}),
        ("resume", {"node": 1}),
        ("partition", {"groups": [[1]]}),
        ("heal", {}),
        ("links", {"drop": 0.5}),
        pytest.param(
            "run", {"workload": {"name": "election"}}, marks=pytest.mark.needs("election")
        ),
        ("stop", {}),
    ],
)
def test_without_a_cluster_nothing_is_available(
    start: StartCluster, op: str, fields: dict[str, Any]
) -> None:
    cluster = start(1, **LIVELY)
    cluster.stop()
    cluster.refused("unavailable", op, **fields)


def test_a_command_that_cannot_be_committed_in_time_has_an_unknown_outcome(
    start: StartCluster,
) -> None:
    cluster = start(**LIVELY)
    leader = cluster.isolated_leader()
    cluster.refused("timeout", "submit", command=set_("k", "v"), node=leader, timeout_ms=100)
    cluster.refused("timeout", "submit", command=get("k"), node=leader, timeout_ms=1)


def test_whose_index_another_leader_took_has_lost(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "before")
    leader = cluster.isolated_leader()
    waiting = [
        cluster.contender.send(
            "submit", command=set_("k", f"lost {n}"), node=leader, timeout_ms=600_000
        )
        for n in range(3)
    ]
    majority = cluster.others(leader)
    for number in range(5):
        cluster.committed("k", str(number), through=majority)
    assert not any(answer.done() for answer in waiting)
    cluster.heal()
    assert [code_of(answer) for answer in waiting] == ["lost"] * 3
    log = cluster.all_agree()
    assert not any("lost" in entry.command.get("value", "") for entry in log)


def outstanding(cluster: ClusterUnderTest, timeout_ms: int) -> tuple[int, Future[dict[str, Any]]]:
    """Submit a command that cannot be committed; return the leader that holds it, the answer."""
    leader = cluster.isolated_leader()
    last = cluster.status()[leader].last_index or 0
    answer = cluster.contender.send(
        "submit", command=set_("k", "v"), node=leader, timeout_ms=timeout_ms
    )

    def proposed(status: Status) -> bool:
        return (status[leader].last_index or 0) > last

    cluster.eventually("the command is proposed", proposed)
    return leader, answer


def test_a_waiter_hears_of_the_crash_or_of_its_timeout(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader, answer = outstanding(cluster, timeout_ms=2000)
    cluster.crash(leader)
    assert code_of(answer) == "timeout", "the entry was saved: nobody can say that it is gone"


def test_a_waiter_at_a_paused_node_hears_of_its_timeout(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader, answer = outstanding(cluster, timeout_ms=500)
    cluster.pause(leader)
    assert code_of(answer) == "timeout"


def test_a_waiter_is_answered_when_the_cluster_stops(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    _, answer = outstanding(cluster, timeout_ms=600_000)
    cluster.stop()
    assert code_of(answer) == "timeout"


def test_a_command_answered_late_is_answered_once(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.elected_leader()
    answers = [
        cluster.contender.send("submit", command=set_("k", str(n)), timeout_ms=1)
        for n in range(2000)
    ]
    for answer in answers:
        error = answer.exception(DEADLINE_S)
        assert error is None or (isinstance(error, ContenderError) and error.code == "timeout")
    cluster.all_agree()
    with pytest.raises(TimeoutError):
        cluster.contender.next_unmatched(0)
