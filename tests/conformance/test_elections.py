"""Leaders come, go and are replaced, and no term has two of them.

That no term has two, no term falls, and no two histories differ is checked by every look at a
cluster and at its end (`ClusterUnderTest`); these tests make the occasions.
"""

from __future__ import annotations

import time

import pytest

from .cluster import LIVELY, STEADY, Status, get, set_
from .conftest import StartCluster
from .messages import NodeStatus
from .waiting import looks

pytestmark = pytest.mark.level("elects")


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 7, 9])
def test_a_leader_appears_and_is_the_only_one_of_its_term(start: StartCluster, nodes: int) -> None:
    cluster = start(nodes, **STEADY)

    def settled(status: Status) -> NodeStatus | None:
        terms = {node.term for node in status.values()}
        leaders = [node for node in status.values() if node.role == "leader"]
        followers = [node for node in status.values() if node.role == "follower"]
        return leaders[0] if len(terms) == len(leaders) == nodes - len(followers) == 1 else None

    leader = cluster.eventually("one leader in one term, whom all others follow", settled)
    assert leader.voted_for == leader.id
    cluster.elected_leader()
    cluster.check_events()


def test_the_defaults_make_three_nodes_that_elect(start: StartCluster) -> None:
    cluster = start()
    cluster.elected_leader()
    assert cluster.nodes == [1, 2, 3]


@pytest.mark.level("survives")
def test_durations_may_have_fractions(start: StartCluster) -> None:
    cluster = start(election_timeout_ms=[50.5, 100], heartbeat_ms=10.25)
    cluster.links(drop=0.0, duplicate=0, delay_ms=[0, 0.5])
    cluster.committed("k", "v")


def test_role_events_tell_what_the_status_shows(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    began = time.monotonic_ns()
    cluster.elected_leader()

    def told(status: Status) -> bool:
        latest = {event.node: event for event in cluster.role_events()}
        return all(
            node.id in latest
            and (node.role, node.term, node.leader)
            == (latest[node.id].role, latest[node.id].term, latest[node.id].leader)
            for node in status.values()
        )

    cluster.eventually("the latest events are the status", told)
    elected = [event for event in cluster.role_events() if event.role == "leader"]
    assert elected
    assert all(event.at_ns <= time.monotonic_ns() for event in elected)
    assert all(event.at_ns >= began - 10**9 for event in elected), "not the monotonic clock"


@pytest.mark.deployed
def test_a_crashed_leader_is_replaced_in_a_higher_term(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    for _ in looks():
        leader = cluster.elected_leader()
        term = cluster.status()[leader].term
        assert term is not None
        before = time.monotonic_ns()
        crashed_at = cluster.crash(leader)
        assert before <= crashed_at <= time.monotonic_ns()
        successor = cluster.elected_leader()
        assert successor != leader
        assert (cluster.status()[successor].term or 0) > term
        elected = next(e for e in cluster.role_events() if e.role == "leader" and e.term > term)
        if elected.at_ns > crashed_at:
            return
        cluster.restart(leader)  # An election was under way when it crashed.
    raise AssertionError("no leader stayed one until it crashed")


@pytest.mark.level("replicates")
def test_leaders_are_replaced_while_a_majority_is_left(start: StartCluster) -> None:
    cluster = start(5, **LIVELY)
    gone = []
    for _ in range(2):
        gone.append(cluster.elected_leader())
        cluster.crash(gone[-1])
    for _ in looks():
        last = cluster.elected_leader()
        cluster.crash(last)
        survivors = cluster.others(*gone, last)
        status = cluster.later_status()
        if all(status[node].role != "leader" for node in survivors):
            break
        cluster.restart(last)  # An election was under way when it crashed.
    terms = {node: cluster.status()[node].term or 0 for node in survivors}

    def in_vain(status: Status) -> bool:
        assert all(status[node].role != "leader" for node in survivors)
        return all((status[node].term or 0) >= terms[node] + 3 for node in survivors)

    cluster.eventually("two of five stand for election in vain", in_vain)
    cluster.refused("unavailable", "submit", command=get("x"))
    cluster.restart(gone[0])
    cluster.elected_leader()


def test_a_restarted_node_announces_itself_as_a_follower(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    node = cluster.elected_leader()
    crashed_at = cluster.crash(node)
    cluster.elected_leader()
    cluster.restart(node)

    def first_words(_: Status) -> str | None:
        since = (event for event in cluster.role_events() if event.at_ns > crashed_at)
        return next((event.role for event in since if event.node == node), None)

    assert cluster.eventually("the restarted node speaks", first_words) == "follower"


@pytest.mark.level("survives")
def test_a_paused_leader_is_replaced_and_steps_down_when_it_wakes(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader = cluster.elected_leader()
    cluster.pause(leader)
    asleep = cluster.status()[leader]
    assert asleep.alive
    assert asleep.paused
    successor = cluster.elected_leader(among=cluster.others(leader))
    cluster.committed("x", "while it slept")
    assert successor != leader
    assert cluster.status()[leader] == asleep, "a paused node reports what it was"
    cluster.resume(leader)

    def stepped_down(status: Status) -> bool:
        return status[leader].role == "follower" and not status[leader].paused

    cluster.eventually("the old leader follows", stepped_down)
    cluster.all_agree()


@pytest.mark.level("survives")
def test_four_nodes_split_two_and_two_elect_and_commit_nothing(start: StartCluster) -> None:
    cluster = start(4, **LIVELY)
    cluster.committed("x", "before")
    leader = cluster.stalled_leader(set_("x", "?"))
    _, *other_half = cluster.others(leader)
    before = cluster.status()

    def in_vain(status: Status) -> bool:
        assert all(status[node].role != "leader" for node in other_half)
        return all((status[node].term or 0) >= (before[node].term or 0) + 3 for node in other_half)

    after = cluster.eventually(
        "the other half stands for election in vain",
        lambda status: status if in_vain(status) else None,
    )
    assert committed_by_any(after) == committed_by_any(before)
    cluster.heal()
    cluster.committed("y", "after")
    cluster.all_agree()


def committed_by_any(status: Status) -> int:
    return max(node.commit_index or 0 for node in status.values())
