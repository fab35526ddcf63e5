"""Members come and go one at a time (Ongaro's thesis, section 4), and majorities with them."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .clients import BusyClients, check_nothing_lost
from .cluster import LIVELY, STEADY, UNSHAKABLE, ClusterUnderTest, Status, cas, set_
from .conftest import Launch, StartCluster
from .messages import LogEntry
from .processes import Footprint, footprint
from .waiting import DEADLINE_S, looks

pytestmark = [pytest.mark.level("complete"), pytest.mark.needs("membership")]

BOTH: dict[str, Any] = {"pre_vote": True, "check_quorum": True}


def check_members(cluster: ClusterUnderTest, members: list[int]) -> list[LogEntry]:
    """Check that all nodes run, agree, and take these for the voters; return the log."""
    assert cluster.nodes == members
    log = cluster.all_agree()
    for node in cluster.status().values():
        assert (node.voters, node.learners) == (members, []), node
    return log


def changes_in(log: list[LogEntry]) -> list[tuple[str, str]]:
    return [
        (entry.command["op"], entry.command["key"])
        for entry in log
        if entry.command["op"] in ("add_server", "promote_server", "remove_server")
    ]


def in_vain(cluster: ClusterUnderTest, nodes: list[int]) -> None:
    """Wait until one of these nodes, which are no majority, has stood twice, and see none lead."""
    before = cluster.status()

    def stood(status: Status) -> bool:
        assert all(status[node].role != "leader" for node in nodes)
        return any((status[node].term or 0) >= (before[node].term or 0) + 2 for node in nodes)

    cluster.eventually("they stand for election in vain", stood)


# Added


@pytest.mark.needs("read")
@pytest.mark.needs("transfer", "snapshot")
@pytest.mark.parametrize("compacted", [False, True], ids=["whole", "compacted"])
@pytest.mark.parametrize("nodes", [1, 3])
def test_a_new_node_gets_the_whole_state_and_a_vote(
    start: StartCluster, storage: dict[str, Any], nodes: int, compacted: bool
) -> None:
    cluster = start(nodes, **STEADY, **storage)
    for number in range(20):
        cluster.committed(f"key-{number}", str(number))
    cluster.insist(cas("k", None, "1"), {"client": "anna", "serial": 1})
    if compacted:
        cluster.all_agree()
        for node in cluster.nodes:
            cluster.snapshot(node)
    new = nodes + 1
    cluster.add_server(new)
    assert new in (cluster.status()[cluster.elected_leader()].voters or [])
    log = check_members(cluster, list(range(1, new + 1)))
    assert changes_in(log) == [("add_server", str(new)), ("promote_server", str(new))]
    assert ((cluster.status()[new].snapshot_index or 0) > 0) == compacted
    cluster.hand_over(new)
    assert cluster.read_value("key-19") == "19"
    assert cluster.insist(cas("k", "1", "2"), {"client": "anna", "serial": 1}) is True
    assert cluster.read_value("k") == "1"


@pytest.mark.needs("read")
def test_a_cluster_grows_from_one_to_nine_and_shrinks_to_one(start: StartCluster) -> None:
    cluster = start(1, **STEADY)
    for node in range(2, 10):
        cluster.add_server(node)
    check_members(cluster, list(range(1, 10)))
    while len(cluster.nodes) > 1:
        cluster.remove_server(cluster.elected_leader())
        cluster.committed("k", f"{len(cluster.nodes)} left")
    assert cluster.read_value("k") == "1 left"
    check_members(cluster, cluster.nodes)
    cluster.refused("bad_request", "remove_server", node=cluster.nodes[0])


def test_a_node_that_cannot_be_reached_stays_a_learner_without_a_say(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.committed("k", "1")
    cluster.partition([1])
    cluster.refused("timeout", "add_server", node=5, timeout_ms=200)
    cluster.expect(5)
    status = cluster.status()
    assert (status[1].voters, status[1].learners) == ([1], [5])
    assert status[5].last_index == 0
    cluster.committed("k", "one of one is a majority")
    assert cluster.status()[5].term == 0, "it does not stand for election"
    cluster.refused("bad_request", "add_server", node=5)
    cluster.heal()

    def votes(status: Status) -> bool:
        return all(node.voters == [1, 5] for node in status.values())

    cluster.eventually("it becomes a voter by itself", votes)
    check_members(cluster, [1, 5])


def test_a_new_node_leaves_a_partition_in_force(start: StartCluster) -> None:
    cluster = start(**UNSHAKABLE)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    unheard, other = cluster.others(leader)
    cluster.block((unheard, leader))
    cluster.add_server(4)
    cluster.crash(other)
    # Of four it has itself and the new one; the third is there, but its answers are not.
    cluster.refused("timeout", "submit", command=set_("k", "2"), node=leader, timeout_ms=300)
    cluster.heal()
    assert cluster.value_of("k") == "2"
    cluster.restart(other)
    check_members(cluster, [1, 2, 3, 4])


def test_a_new_node_is_added_over_bad_links(start: StartCluster, seed: int) -> None:
    cluster = start(**STEADY, seed=seed)
    cluster.committed("k", "1")
    cluster.links(drop=0.1, duplicate=0.2, delay_ms=[0, 5])
    cluster.add_server(4)
    cluster.links()
    check_members(cluster, [1, 2, 3, 4])


# Removed


@pytest.mark.needs("transfer", "snapshot", "read")
@pytest.mark.parametrize("settings", [{}, BOTH], ids=["plain", "both"])
@pytest.mark.parametrize("state", ["running", "crashed", "paused", "leader"])
def test_a_removed_node_is_gone(start: StartCluster, state: str, settings: dict[str, Any]) -> None:
    cluster = start(**STEADY, **settings)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    node = leader if state == "leader" else cluster.others(leader)[0]
    if state == "crashed":
        cluster.crash(node)
    elif state == "paused":
        cluster.pause(node)
    cluster.remove_server(node)
    assert set(cluster.status()) == set(cluster.nodes)
    for op in ("restart", "crash", "snapshot", "log", "transfer", "remove_server"):
        cluster.refused("bad_request", op, node=node)
    cluster.refused("bad_request", "read", key="k", node=node)
    cluster.committed("k", "2")
    assert changes_in(check_members(cluster, cluster.nodes)) == [("remove_server", str(node))]


@pytest.mark.parametrize("state", ["running", "crashed", "paused", "leader"])
def test_a_removal_that_timed_out_ends_the_node_when_it_is_committed(
    start: StartCluster, state: str
) -> None:
    cluster = start(**UNSHAKABLE)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    first, second = cluster.others(leader)
    node = leader if state == "leader" else first
    last = cluster.status()[leader].last_index or 0
    if state == "crashed":
        cluster.crash(node)
    elif state == "paused":
        cluster.pause(node)
    # It hears no answers, so that it does not know what the others have.
    cluster.block((first, leader), (second, leader))
    cluster.refused("timeout", "remove_server", node=node, timeout_ms=100)
    cluster.eventually("another one has it", lambda s: (s[second].last_index or 0) > last)
    if state == "leader":
        cluster.crash(leader)
    cluster.heal()
    # Nobody waits for it any more.
    cluster.forget(node)
    for _ in looks():
        if {view["id"] for view in cluster.contender.call("status")["nodes"]} == {*cluster.nodes}:
            break
    cluster.refused("bad_request", "restart", node=node)
    cluster.committed("k", "2")
    assert changes_in(check_members(cluster, cluster.nodes)) == [("remove_server", str(node))]


def test_a_removed_leader_has_told_another_node_to_stand(start: StartCluster) -> None:
    cluster = start(5, **UNSHAKABLE)
    cluster.committed("k", "1")

    def remove(leader: int) -> None:
        term = cluster.status()[leader].term or 0
        cluster.remove_server(leader)
        cluster.committed("k", "2")
        # An election by timeout would have had its candidate wait, and often split the vote.
        first = next(e for e in cluster.role_events() if e.role == "candidate" and e.term > term)
        last = [e for e in cluster.role_events() if e.node == leader][-1]
        assert first.at_ns - last.at_ns < 1_500_000_000, "the least election timeout"

    cluster.undisturbed(remove)
    check_members(cluster, cluster.nodes)


def test_a_removed_node_can_be_added_again(start: StartCluster, storage: dict[str, Any]) -> None:
    cluster = start(**STEADY, **storage)
    for life in range(3):
        cluster.committed("k", str(life))
        node = cluster.others(cluster.elected_leader())[0]
        cluster.remove_server(node)
        cluster.committed("without", str(node))
        cluster.add_server(node)
        check_members(cluster, [1, 2, 3])


def test_a_node_that_comes_back_and_hears_nobody_does_not_stand(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    """By its log it is a voter, and each candidacy would depose the leader (thesis §4.2.3)."""
    cluster = start(**LIVELY, **storage)
    cluster.committed("k", "1")
    node = cluster.others(cluster.elected_leader())[0]
    cluster.partition(cluster.others(node), [node])
    cluster.remove_server(node)
    removed_ns = time.monotonic_ns()
    cluster.doubt(node)
    for _ in looks():
        with pytest.raises(ContenderError) as answer:
            cluster.contender.call("add_server", node=node, timeout_ms=500)
        if answer.value.code == "timeout":
            break
    cluster.expect(node)
    told = [e for e in cluster.role_events() if e.node == node and e.at_ns > removed_ns]
    assert [e.role for e in told if e.role != "follower"] == []
    assert node in cluster.status(), "it runs"
    cluster.committed("k", "2")
    cluster.heal()
    cluster.eventually(
        "it is a voter again", lambda status: all(n.voters == [1, 2, 3] for n in status.values())
    )
    check_members(cluster, [1, 2, 3])


@pytest.mark.needs("disk")
def test_nothing_piles_up_as_nodes_come_and_go(launch: Launch, tmp_path: Path) -> None:
    contender = launch()
    settings = {**STEADY, "storage": "disk", "data_dir": str(tmp_path)}
    cluster = ClusterUnderTest(contender, **settings)
    cluster.committed("k", "1")

    def held() -> Footprint:
        cluster.add_server(4)
        cluster.remove_server(4)
        # Threads aside: a runtime may keep some for later use.
        return footprint(contender.pid)._replace(threads=0)

    first = held()
    assert f"{tmp_path}/node-4.log" not in first.files
    for _ in range(3):
        latest = held()
    for _ in looks():
        if latest == first:
            break
        latest = footprint(contender.pid)._replace(threads=0)
    assert latest == first
    cluster.committed("k", "2")
    cluster.stop()


# Majorities


@pytest.mark.needs("read")
def test_two_of_four_are_no_majority(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "before")
    cluster.add_server(4)

    def commit_nothing(_leader: int) -> None:
        leader = cluster.stalled_leader(set_("k", "?"))
        _, *half = cluster.others(leader)
        cluster.refused("timeout", "read", key="k", node=leader, timeout_ms=100)
        in_vain(cluster, half)

    cluster.undisturbed(commit_nothing)
    cluster.heal()
    cluster.committed("k", "after")
    check_members(cluster, [1, 2, 3, 4])


@pytest.mark.parametrize("way", ["from one", "from three"])
def test_one_of_two_is_no_majority(start: StartCluster, way: str) -> None:
    cluster = start(1 if way == "from one" else 3, **LIVELY)
    cluster.committed("k", "before")
    if way == "from one":
        cluster.add_server(2)
    else:
        cluster.remove_server(3)
    leader = cluster.isolated_leader()
    other = cluster.others(leader)
    cluster.refused("timeout", "submit", command=set_("k", "?"), node=leader, timeout_ms=200)
    in_vain(cluster, other)
    cluster.heal()
    cluster.committed("k", "after")
    check_members(cluster, [1, 2])


def test_a_removed_node_no_longer_counts(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    node, other = cluster.others(leader)
    cluster.crash(node)
    cluster.remove_server(node)
    cluster.remove_server(other)
    cluster.committed("k", "one of one")
    check_members(cluster, cluster.nodes)


# One at a time


def test_while_a_change_waits_another_is_refused(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.lonely_leader()
    node, other = cluster.others(leader)
    last = cluster.status()[leader].last_index or 0
    waiting = cluster.contender.send("remove_server", node=node, timeout_ms=600_000)
    cluster.eventually("it is proposed", lambda s: (s[leader].last_index or 0) > last)
    cluster.doubt(4)
    first = cluster.contender.send("add_server", node=4, timeout_ms=600_000)
    second = cluster.contender.send("remove_server", node=other, timeout_ms=600_000)
    # What a leader may not do becomes a no-op.
    cluster.eventually("all are proposed", lambda s: (s[leader].last_index or 0) >= last + 3)
    cluster.restart(other)
    for refused in (first, second):
        with pytest.raises(ContenderError) as refusal:
            refused.result(DEADLINE_S)
        assert refusal.value.code == "unavailable"
    assert waiting.result(DEADLINE_S) == {}
    cluster.forget(node)
    assert 4 not in cluster.status(), "nothing is left of what was refused"
    assert changes_in(check_members(cluster, cluster.nodes)) == [("remove_server", str(node))]


def test_a_change_needs_a_leader_and_a_cluster(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.elected_leader()
    for node in cluster.nodes:
        cluster.crash(node)
    cluster.restart(1)  # Alone it cannot be elected, and whoever led has ceased.
    cluster.refused("unavailable", "add_server", node=4)
    cluster.refused("unavailable", "remove_server", node=1)
    assert set(cluster.status()) == {1, 2, 3}
    cluster.stop()
    cluster.refused("unavailable", "add_server", node=4)
    cluster.refused("unavailable", "remove_server", node=1)


def test_a_change_of_what_is_so_already_is_refused(start: StartCluster) -> None:
    cluster = start(1, **LIVELY)
    cluster.committed("k", "1")
    cluster.refused("bad_request", "add_server", node=1)
    cluster.refused("bad_request", "remove_server", node=2)
    cluster.refused("bad_request", "remove_server", node=1)
    assert changes_in(check_members(cluster, [1])) == []


@pytest.mark.parametrize("op", ["add_server", "remove_server"])
def test_a_change_that_waits_is_answered_when_the_cluster_stops(
    start: StartCluster, op: str
) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.lonely_leader()
    node = 4 if op == "add_server" else cluster.others(leader)[0]
    cluster.doubt(4)
    waiting = cluster.contender.send(op, node=node, timeout_ms=600_000)
    cluster.stop()
    with pytest.raises(ContenderError) as refusal:
        waiting.result(DEADLINE_S)
    assert refusal.value.code in ("unavailable", "timeout")


# What endures


@pytest.mark.needs("snapshot")
@pytest.mark.parametrize("compacted", [False, True], ids=["whole", "compacted"])
def test_members_outlive_the_crash_of_all_nodes(
    start: StartCluster, storage: dict[str, Any], compacted: bool
) -> None:
    cluster = start(**LIVELY, **storage)
    cluster.committed("k", "1")
    cluster.add_server(4)
    cluster.remove_server(1)
    check_members(cluster, [2, 3, 4])
    for node in cluster.nodes:
        if compacted:
            cluster.snapshot(node)
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
        assert cluster.status()[node].voters == [2, 3, 4]
    cluster.committed("k", "2")
    check_members(cluster, [2, 3, 4])


@pytest.mark.needs("disk", "snapshot")
@pytest.mark.parametrize("compacted", [False, True], ids=["whole", "compacted"])
def test_members_outlive_the_cluster(start: StartCluster, tmp_path: Path, compacted: bool) -> None:
    on_disk = {**LIVELY, "storage": "disk", "data_dir": str(tmp_path)}
    cluster = start(1, **on_disk)
    cluster.committed("k", "1")
    cluster.add_server(2)
    cluster.add_server(3)
    check_members(cluster, [1, 2, 3])
    if compacted:
        for node in cluster.nodes:
            cluster.snapshot(node)
    cluster.stop()
    again = start(1, members=[1, 2, 3], **on_disk)
    again.committed("k", "2")
    check_members(again, [1, 2, 3])


@pytest.mark.needs("snapshot")
@pytest.mark.parametrize("settings", [{}, BOTH], ids=["plain", "both"])
def test_nothing_is_lost_while_members_change(
    start: StartCluster, seed: int, settings: dict[str, Any]
) -> None:
    cluster = start(**STEADY, **settings, seed=seed, snapshot_entries=30)
    chance = random.Random(seed)
    with BusyClients(cluster, 8) as clients:
        for new in (4, 5, 6):
            cluster.add_server(new)
            clients.wait_for_more(10)
            cluster.remove_server(chance.choice(cluster.nodes))
            clients.wait_for_more(10)
    check_members(cluster, cluster.nodes)
    for counter in clients.counters:
        assert cluster.value_of(counter.name) == str(counter.acknowledged)
    if len(log := cluster.all_agree()) == log[-1].index:
        check_nothing_lost(log, clients.counters)
