"""What pre-votes and the check of the quorum prevent (Ongaro's thesis, sections 9.6 and 6.2)."""

from __future__ import annotations

from typing import Any

import pytest

from .cluster import LIVELY, STEADY, Status
from .conftest import StartCluster
from .messages import ElectionResult, read

pytestmark = pytest.mark.level("complete")

BOTH: dict[str, Any] = {"pre_vote": True, "check_quorum": True}


@pytest.mark.needs("check_quorum", "pre_vote")
@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("settings", [{"pre_vote": True}, {"check_quorum": True}, BOTH], ids=str)
def test_leaders_are_elected_and_replaced_as_without(
    start: StartCluster, nodes: int, settings: dict[str, Any]
) -> None:
    cluster = start(nodes, **LIVELY, **settings)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    cluster.crash(leader)
    if nodes > 2:
        cluster.committed("k", "2")
    cluster.restart(leader)
    cluster.committed("k", "3")
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.restart(node)
    assert cluster.value_of("k") == "3"
    cluster.all_agree()
    roles = {event.role for event in cluster.role_events()}
    assert ("pre_candidate" in roles) == (bool(settings.get("pre_vote")) and nodes > 1)


@pytest.mark.needs("pre_vote")
@pytest.mark.parametrize("pre_vote", [False, True])
def test_a_node_that_was_alone_disturbs_unless_it_asks_first(
    start: StartCluster, pre_vote: bool
) -> None:
    cluster = start(**STEADY, pre_vote=pre_vote)
    cluster.committed("k", "1")

    def rejoin(leader: int) -> None:
        node = cluster.others(leader)[0]
        term = cluster.status()[leader].term or 0
        cluster.partition(cluster.others(node))
        begun = len(cluster.role_events())

        def stood(status: Status) -> bool:
            if not pre_vote:
                return (status[node].term or 0) > term + 1
            assert status[node].role != "leader", "it was elected just before"
            since = [event for event in cluster.role_events()[begun:] if event.node == node]
            assert all(event.term == term for event in since)
            return any(event.role == "pre_candidate" for event in since)

        cluster.eventually("it would stand for election", stood)
        cluster.submit({"op": "get", "key": "k"}, node=leader)
        cluster.heal()
        cluster.all_agree()
        after = cluster.status()
        if pre_vote:
            assert {each.term for each in after.values()} == {term}
            assert {each.leader for each in after.values()} == {leader}
        else:
            assert (after[leader].term or 0) > term

    cluster.undisturbed(rejoin)


@pytest.mark.needs("check_quorum")
def test_an_isolated_leader_steps_down_by_itself(start: StartCluster) -> None:
    cluster = start(5, **LIVELY, check_quorum=True)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    others = cluster.others(leader)
    cluster.partition([leader, others[0]], others[1:])
    cluster.eventually("it steps down", lambda status: status[leader].role != "leader")
    cluster.committed("k", "2", through=others[1:])
    cluster.heal()
    cluster.committed("k", "3")
    cluster.all_agree()


@pytest.mark.needs("check_quorum")
def test_a_leader_with_half_of_four_steps_down(start: StartCluster) -> None:
    cluster = start(4, **LIVELY, check_quorum=True)
    cluster.committed("k", "1")
    leader = cluster.elected_leader()
    companion, *half = cluster.others(leader)
    cluster.partition([leader, companion], half)
    cluster.eventually("it steps down", lambda status: status[leader].role != "leader")
    cluster.heal()
    cluster.committed("k", "2")
    cluster.all_agree()


@pytest.mark.needs("check_quorum", "pre_vote")
@pytest.mark.parametrize("settings", [{"check_quorum": True}, {"pre_vote": True}, BOTH], ids=str)
def test_who_does_not_hear_the_leader_does_not_replace_it(
    start: StartCluster, settings: dict[str, Any]
) -> None:
    """A follower that only the leader's messages do not reach asks in vain for votes."""
    cluster = start(**STEADY, **settings)
    cluster.committed("k", "1")

    def deafen(leader: int) -> None:
        node, other = cluster.others(leader)
        term = cluster.status()[leader].term or 0
        cluster.block((leader, node))
        begun = len(cluster.role_events())

        def asked_again(status: Status) -> bool:
            assert status[leader].role == "leader", "another was elected"
            since = [event for event in cluster.role_events()[begun:] if event.node == node]
            if not settings.get("pre_vote"):
                return sum(event.role == "candidate" for event in since) >= 3
            return any(event.role == "pre_candidate" for event in since)

        cluster.eventually("it asks for votes", asked_again)
        cluster.submit({"op": "get", "key": "k"}, node=leader)
        status = cluster.status()
        for each in (leader, other):
            assert (status[each].term, status[each].leader) == (term, leader)

    cluster.undisturbed(deafen)
    cluster.heal()
    cluster.committed("k", "2")
    cluster.all_agree()


@pytest.mark.needs("read")
@pytest.mark.needs("check_quorum", "pre_vote", "transfer")
def test_a_leader_hands_over_though_all_hear_it(start: StartCluster) -> None:
    cluster = start(**STEADY, **BOTH)
    cluster.committed("k", "1")
    for node in cluster.nodes:
        cluster.hand_over(node)
        assert cluster.read_value("k") == "1"
    cluster.all_agree()


@pytest.mark.needs("election", "pre_vote")
def test_elections_are_measured_from_the_pre_vote(start: StartCluster) -> None:
    cluster = start(**STEADY, **BOTH)
    answer = cluster.run({"name": "election", "elections": 3})
    told = {event.at_ns: event for event in cluster.role_events()}
    for election in read(ElectionResult, answer).elections:
        assert election.leader_ns is not None
        assert election.candidate_ns is not None
        assert election.crash_ns <= election.candidate_ns <= election.leader_ns
        assert told[election.candidate_ns].role == "pre_candidate"
        assert election.candidacies >= 1
    cluster.all_agree()
