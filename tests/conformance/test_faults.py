"""Nodes crash, hang and lose sight of each other; nothing acknowledged is lost."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from raftmark.bench.contenders.contender import ContenderError

from .clients import BusyClients, check_nothing_lost
from .cluster import LIVELY, STEADY, Status, get, set_
from .conftest import StartCluster
from .messages import LogEntry
from .model import Store
from .processes import memory_bytes

pytestmark = pytest.mark.level("survives")

MIB = 2**20


def values_in(log: list[LogEntry]) -> dict[str, str]:
    return Store(log).values


# Crashes


def test_a_crashed_node_shows_nothing(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    node = cluster.elected_leader()
    cluster.crash(node)
    status = cluster.status()
    assert not status[node].alive
    assert all(status[other].alive for other in cluster.others(node))


@pytest.mark.deployed
def test_nothing_acknowledged_is_lost_with_the_leader(start: StartCluster) -> None:
    cluster = start(5, **LIVELY)
    for number in range(10):
        cluster.committed(f"key-{number}", "before")
    first = cluster.elected_leader()
    cluster.crash(first)
    for number in range(10):
        assert cluster.value_of(f"key-{number}") == "before"
    cluster.committed("key-0", "after")
    second = cluster.elected_leader()
    cluster.crash(second)
    assert cluster.value_of("key-0") == "after"
    cluster.restart(first)
    cluster.restart(second)
    values = values_in(cluster.all_agree())
    assert values == {"key-0": "after"} | {f"key-{n}": "before" for n in range(1, 10)}


def test_a_crash_and_restart_of_every_node_in_turn_keeps_the_state(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**LIVELY, **storage)
    for node in cluster.nodes:
        cluster.committed(f"before the crash of {node}", "1")
        cluster.crash(node)
        cluster.committed(f"without {node}", "1")
        cluster.restart(node)
        cluster.all_agree()
    assert len(values_in(cluster.all_agree())) == 6


def test_a_crash_of_all_nodes_at_once_keeps_the_state(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**LIVELY, **storage)
    for number in range(20):
        cluster.committed(f"key-{number}", str(number))
    before = cluster.all_agree()
    terms = {node.id: node.term or 0 for node in cluster.status().values()}
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
        assert (cluster.status()[node].term or 0) >= terms[node], "the term must be saved"
    for number in range(20):
        assert cluster.value_of(f"key-{number}") == str(number)
    assert cluster.all_agree()[: len(before)] == before


def test_a_restarted_node_remembers_its_vote(start: StartCluster, storage: dict[str, Any]) -> None:
    cluster = start(**LIVELY, **storage)

    def restart_alone(leader: int) -> None:
        node = cluster.others(leader)[0]
        cluster.partition(cluster.others(node))
        term = cluster.status()[node].term or 0

        def stood(status: Status) -> bool:
            assert status[node].role != "leader", "it was elected just before"
            return (status[node].term or 0) > term

        cluster.eventually("it stands for election", stood)
        cluster.crash(node)
        term = cluster._terms[node]
        cluster.restart(node)
        reborn = cluster.status()[node]
        assert (reborn.term or 0) >= term
        assert reborn.voted_for == node, "it voted for itself in every term since"

    cluster.undisturbed(restart_alone)


def test_a_paused_node_can_be_crashed(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    node = cluster.elected_leader()
    cluster.pause(node)
    cluster.crash(node)
    cluster.committed("k", "2")
    cluster.restart(node)
    status = cluster.status()[node]
    assert status.alive
    assert not status.paused
    assert values_in(cluster.all_agree()) == {"k": "2"}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("crash", "crash"),
        ("crash", "pause"),
        ("crash", "resume"),
        ("pause", "pause"),
        ("pause", "restart"),
        (None, "restart"),
        (None, "resume"),
    ],
)
def test_what_a_node_s_state_does_not_allow_is_refused(
    start: StartCluster, first: str | None, then: str
) -> None:
    cluster = start(5, **LIVELY)
    node = cluster.others(cluster.elected_leader())[0]
    if first == "crash":
        cluster.crash(node)
    elif first == "pause":
        cluster.pause(node)
    before = cluster.status()[node]
    cluster.refused("bad_request", then, node=node)
    after = cluster.status()[node]
    assert (after.alive, after.paused) == (before.alive, before.paused)
    cluster.committed("k", "and all goes on")


# Partitions


@pytest.mark.deployed
def test_the_majority_goes_on_and_the_minority_stalls_until_it_heals(start: StartCluster) -> None:
    cluster = start(5, **LIVELY)
    cluster.committed("k", "old")
    # More than the majority will have, so that healing must cut the old leader's log.
    leader = cluster.stalled_leader(set_("k", "minority"), timeout_ms=5, times=20)
    companion, *majority = cluster.others(leader)
    stalled_at = cluster.status()[leader].commit_index
    # But for what it took before an election had it cut off once more.
    in_vain = [
        entry
        for entry in cluster.log(leader)
        if entry.index > (stalled_at or 0) and entry.command.get("value") == "minority"
    ]
    assert len(in_vain) >= 20
    cluster.committed("k", "majority", through=majority)
    assert cluster.elected_leader(among=majority) in majority
    assert cluster.value_of("k", through=majority) == "majority"

    minority = cluster.status()
    assert minority[leader].commit_index == stalled_at
    assert (minority[companion].commit_index or 0) <= (stalled_at or 0)
    cluster.heal()
    log = cluster.all_agree()
    assert values_in(log)["k"] == "majority"
    assert not any(entry in log for entry in in_vain)


def test_an_isolated_leader_serves_no_stale_read(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "old")
    leader = cluster.isolated_leader()
    majority = cluster.others(leader)
    cluster.committed("k", "new", through=majority)
    for _ in range(3):
        with pytest.raises(ContenderError) as refusal:
            cluster.submit(get("k"), node=leader, timeout_ms=100)
        assert refusal.value.code in ("timeout", "unavailable", "not_leader")
    assert cluster.status()[leader].role == "leader", "or this tested nothing"
    assert cluster.value_of("k", through=majority) == "new"


def test_a_node_in_no_group_is_alone(start: StartCluster) -> None:
    cluster = start(**LIVELY)

    def leave_alone(leader: int) -> None:
        node = cluster.others(leader)[0]
        cluster.partition(cluster.others(node))
        term = cluster.status()[node].term or 0

        def alone(status: Status) -> bool:
            assert status[node].role != "leader", "it was elected just before"
            return (status[node].term or 0) >= term + 2

        cluster.eventually("it stands for election in vain", alone)
        cluster.committed("k", "without it", through=cluster.others(node))

    cluster.undisturbed(leave_alone)
    cluster.heal()
    cluster.all_agree()


def test_a_leader_that_hears_nobody_commits_nothing(start: StartCluster) -> None:
    """Its heartbeats keep the others from electing, and their answers never reach it."""
    cluster = start(**STEADY)

    def deafen(leader: int) -> None:
        term = cluster.status()[leader].term
        cluster.block(*((other, leader) for other in cluster.others(leader)))
        cluster.refused("timeout", "submit", command=set_("k", "1"), node=leader, timeout_ms=1000)
        last = cluster.status()[leader].last_index

        def arrived(status: Status) -> bool:
            for node in status.values():
                assert (node.term, node.leader) == (term, leader), "its heartbeats still arrive"
                assert (node.commit_index or 0) < (last or 0)
            return all(node.last_index == last for node in status.values())

        cluster.eventually("its entries arrive, too", arrived)
        cluster.heal()
        assert cluster.value_of("k") == "1", "the leader replicates what it had"

    cluster.undisturbed(deafen)


def test_a_leader_that_nobody_hears_is_replaced(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader = cluster.elected_leader()
    others = cluster.others(leader)
    cluster.block(*((leader, other) for other in others))
    cluster.committed("k", "1", through=others)
    new = cluster.elected_leader()
    assert new != leader, "it hears of its successor, and follows it"
    cluster.heal()
    assert values_in(cluster.all_agree()) == {"k": "1"}


def test_each_form_of_partition_replaces_the_other(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    first, *others = cluster.nodes
    cluster.partition([first], others)
    cluster.block((first, others[0]), (others[0], first))
    cluster.committed("k", "by way of the third")
    cluster.partition([first], others)
    cluster.committed("k", "without the first", through=others)
    cluster.block()
    assert values_in(cluster.all_agree()) == {"k": "without the first"}


def test_all_alone_nobody_leads_anew(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "1")
    leader = cluster.isolated_leader()
    cluster.partition()
    cluster.refused("timeout", "submit", command=set_("k", "2"), node=leader, timeout_ms=200)
    cluster.heal()
    cluster.committed("k", "3")
    assert values_in(cluster.all_agree())["k"] == "3"


def test_a_new_partition_replaces_the_one_before(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    leader = cluster.isolated_leader()
    second = cluster.elected_leader(among=cluster.others(leader))
    third = cluster.others(leader, second)[0]
    cluster.partition([leader, third], [second])
    cluster.committed("k", "through the old leader's side", through=[leader, third])
    assert cluster.elected_leader(among=[leader, third]) != second
    cluster.heal()
    cluster.all_agree()


def test_a_node_that_comes_back_catches_up(start: StartCluster, storage: dict[str, Any]) -> None:
    cluster = start(**STEADY, **storage)
    node = cluster.others(cluster.elected_leader())[0]
    cluster.crash(node)
    with ThreadPoolExecutor(20) as pool:
        sessions = [{"client": f"client-{n}", "serial": 1} for n in range(1000)]
        list(pool.map(lambda session: cluster.insist(set_("k", "v" * 100), session), sessions))
    cluster.restart(node)
    assert len(cluster.all_agree()) >= 1000


# Hung nodes


def test_a_paused_follower_does_not_stall_the_others(
    start: StartCluster, storage: dict[str, Any]
) -> None:
    cluster = start(**STEADY, **storage)
    cluster.committed("k", "v")
    follower = cluster.others(cluster.elected_leader())[0]
    cluster.pause(follower)
    asleep = cluster.status()[follower]
    before = memory_bytes(cluster.contender.pid)
    with ThreadPoolExecutor(20) as pool:
        sessions = [{"client": f"client-{n}", "serial": 1} for n in range(2000)]
        list(pool.map(lambda session: cluster.insist(set_("k", "v" * 4096), session), sessions))
    # 8 MiB of values in each of three logs; what waits for the sleeper must not come to more.
    assert memory_bytes(cluster.contender.pid) - before < 128 * MIB
    assert cluster.status()[follower] == asleep
    cluster.resume(follower)
    log = cluster.all_agree()
    assert len(Store(log).sessions) == 2001


def test_a_paused_leader_proposes_nothing_and_wakes_to_the_new_state(start: StartCluster) -> None:
    cluster = start(**LIVELY)
    cluster.committed("k", "before")
    leader = cluster.elected_leader()
    cluster.pause(leader)
    cluster.refused("unavailable", "submit", command=set_("k", "asleep"), node=leader)
    cluster.committed("k", "meanwhile", through=cluster.others(leader))
    cluster.resume(leader)
    log = cluster.all_agree()
    assert values_in(log)["k"] == "meanwhile"
    assert not any(entry.command.get("value") == "asleep" for entry in log)


# Bad links


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"drop": 0.2}, id="lossy"),
        pytest.param({"duplicate": 0.2}, id="duplicating"),
        pytest.param({"delay_ms": [0, 20]}, id="delaying"),
        pytest.param({"drop": 0.2, "duplicate": 0.2, "delay_ms": [0, 20]}, id="bad"),
    ],
)
def test_bad_links_lose_nothing(start: StartCluster, seed: int, faults: dict[str, Any]) -> None:
    cluster = start(**STEADY, seed=seed)
    cluster.links(**faults)
    with BusyClients(cluster, 8, limit=15) as clients:
        pass
    assert clients.acknowledged == 8 * 15
    cluster.links()
    check_nothing_lost(cluster.all_agree(), clients.counters)


@pytest.mark.slow
def test_bad_links_and_crashes_lose_nothing(
    start: StartCluster, seed: int, storage: dict[str, Any]
) -> None:
    cluster = start(5, **STEADY, **storage, seed=seed)
    chance = random.Random(seed)
    cluster.links(drop=0.1, duplicate=0.2, delay_ms=[0, 10])
    with BusyClients(cluster, 8) as clients:
        for _ in range(4):
            clients.wait_for_more(10)
            gone = chance.sample(cluster.nodes, 2)
            for node in gone:
                cluster.crash(node)
            clients.wait_for_more(5)
            for node in gone:
                cluster.restart(node)
    cluster.links()
    check_nothing_lost(cluster.all_agree(), clients.counters)


@pytest.mark.slow
def test_changing_faults_of_all_kinds_lose_nothing(start: StartCluster, seed: int) -> None:
    cluster = start(5, **STEADY, seed=seed)
    chance = random.Random(seed)
    with BusyClients(cluster, 8) as clients:
        for _ in range(12):
            nodes = chance.sample(cluster.nodes, 5)
            fault = chance.choice(["partition", "pause", "crash", "links"])
            if fault == "partition":
                cluster.partition(nodes[:2], nodes[2:])
            elif fault == "links":
                cluster.links(drop=0.3, delay_ms=[0, 30])
            else:
                for node in nodes[:2]:
                    cluster.crash(node) if fault == "crash" else cluster.pause(node)
            clients.wait_for_more(5)
            cluster.heal()
            cluster.links()
            for seen in cluster.status().values():
                if seen.paused:
                    cluster.resume(seen.id)
                elif not seen.alive:
                    cluster.restart(seen.id)
    check_nothing_lost(cluster.all_agree(), clients.counters)
