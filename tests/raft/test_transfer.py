"""Leadership transfer (thesis §3.10)."""

from __future__ import annotations

from typing import Any

import pytest

from raftmark.raft import AppendEntries, AppendEntriesReply, HardState, RequestVote, Role
from raftmark.raft.errors import NotLeader
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, Command, TimeoutNow

from .scenario import ELECTION_TIMEOUT_NS, HEARTBEAT_NS, Scenario, Server, append, settings_of

BEATS = -(-ELECTION_TIMEOUT_NS[0] // HEARTBEAT_NS)


def leading(**others: Any) -> Scenario:
    """Three nodes, of which the first leads and the others have its log."""
    scenario = Scenario(3, **others)
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(1).role is Role.LEADER
    return scenario


@pytest.mark.parametrize("pre_vote", [False, True])
@pytest.mark.parametrize("check_quorum", [False, True])
def test_the_one_that_is_handed_over_to_leads_the_next_term(
    pre_vote: bool, check_quorum: bool
) -> None:
    """Thesis §3.10: without waiting for any timeout."""
    scenario = leading(pre_vote=pre_vote, check_quorum=check_quorum)
    assert scenario.transfer(1, 2)
    assert scenario.take() == [TimeoutNow(1, 1, 2)]
    votes = scenario.servers[2].hear(TimeoutNow(1, 1, 2))
    assert votes == [RequestVote(2, 2, to, 1, 1, transfer=True) for to in (1, 3)]
    scenario.under_way += votes
    scenario.settle()
    assert (scenario.node(2).role, scenario.node(2).term) == (Role.LEADER, 2)
    assert scenario.node(1).leader_hint == 2


def test_a_follower_that_lacks_entries_gets_them_first() -> None:
    """Thesis §3.10, step 2: else it could not win."""
    scenario = leading()
    scenario.isolate(2)
    scenario.propose(1, "a")
    scenario.settle()
    scenario.heal()
    assert scenario.transfer(1, 2)
    assert not any(isinstance(m, TimeoutNow) for m in scenario.under_way)
    scenario.time_out(1)
    while scenario.under_way and scenario.node(2).log.last_index != 2:
        scenario.deliver(type(scenario.under_way[0]))
    scenario.deliver(AppendEntriesReply)
    assert TimeoutNow(1, 1, 2) in scenario.under_way
    scenario.settle()
    assert scenario.node(2).role is Role.LEADER


def test_a_leader_that_hands_over_takes_no_commands_and_names_its_successor() -> None:
    """Thesis §3.10, step 1: or the successor would never have the whole log."""
    scenario = leading()
    scenario.isolate(2)
    assert scenario.transfer(1, 2)
    [outcome] = scenario.propose(1, "a")
    assert isinstance(outcome, NotLeader)
    assert outcome.leader == 2
    assert scenario.node(1).log.last_index == 1


def test_a_transfer_that_takes_an_election_timeout_is_given_up() -> None:
    """Thesis §3.10: the leader takes commands again, and may hand over to another."""
    scenario = leading()
    scenario.isolate(2)
    scenario.time_out(1)
    assert scenario.transfer(1, 2)
    for _ in range(BEATS - 1):
        scenario.time_out(1)
        scenario.settle()
    assert scenario.node(1).leader_hint == 2
    scenario.time_out(1)
    assert scenario.node(1).leader_hint == 1
    outcomes = scenario.propose(1, "a")
    scenario.settle()
    assert len(outcomes) == 1
    assert scenario.transfer(1, 3)
    scenario.settle()
    assert scenario.node(3).role is Role.LEADER


def test_the_latest_transfer_counts() -> None:
    """Thesis §3.10."""
    scenario = leading()
    scenario.isolate(2)
    assert scenario.transfer(1, 2)
    assert scenario.transfer(1, 3)
    scenario.settle()
    assert scenario.node(3).role is Role.LEADER


@pytest.mark.parametrize("to", [1, 4, 9], ids=["itself", "a learner", "a stranger"])
def test_only_another_voter_can_be_handed_over_to(to: int) -> None:
    """Thesis §3.10, §4.2.1: nobody else could lead."""
    scenario = leading()
    scenario.join(4)
    scenario.propose(1, Command(ADD_SERVER, "4"))
    scenario.settle()
    assert not scenario.node(1).transfer(to)
    assert scenario.node(1).leader_hint == 1


def test_a_follower_hands_nothing_over() -> None:
    scenario = leading()
    assert not scenario.transfer(2, 3)
    assert scenario.under_way == []


def test_a_successor_stands_once_for_each_time_that_it_is_told() -> None:
    """§5.1: a message of an earlier term, repeated or late, is nothing to go by."""
    server = Server(1, settings_of(3), hard_state=HardState(4))
    assert server.hear(TimeoutNow(3, 2, 1)) == []
    assert len(server.hear(TimeoutNow(4, 2, 1), TimeoutNow(4, 2, 1))) == 2
    assert (server.node.role, server.node.term) == (Role.CANDIDATE, 5)


def test_a_successor_that_is_in_an_earlier_term_enters_the_leaders() -> None:
    """§5.1."""
    server = Server(1, settings_of(3))
    server.hear(TimeoutNow(6, 2, 1))
    assert (server.node.role, server.node.term) == (Role.CANDIDATE, 7)


def test_a_leader_or_one_that_may_not_stand_ignores_it() -> None:
    """Thesis §3.10, §4.2.2."""
    scenario = leading()
    assert scenario.servers[1].hear(TimeoutNow(1, 2, 1)) == []
    assert scenario.node(1).role is Role.LEADER
    stranger = Server(4, settings_of(3))
    assert stranger.hear(TimeoutNow(1, 1, 4)) == []
    assert (stranger.node.role, stranger.node.term) == (Role.FOLLOWER, 1)


def test_a_transfer_ends_with_the_leadership() -> None:
    """Thesis §3.10: in a later term nothing is left of it."""
    scenario = leading()
    scenario.isolate(2)
    scenario.transfer(1, 2)
    leader = scenario.servers[1]
    leader.hear(append(2, 1, (1, 1))._replace(sender=3))
    assert leader.node.leader_hint == 3
    scenario.heal()
    scenario.elect(1)
    assert scenario.node(1).leader_hint == 1
    assert scenario.node(1).log.last_term == 3, "the no-op of its term is there"


def test_nobody_is_promoted_or_removed_while_the_leadership_is_handed_over() -> None:
    """Thesis §3.10, step 1: the log does not grow."""
    scenario = leading()
    scenario.join(4)
    scenario.propose(1, Command(ADD_SERVER, "4"))
    scenario.settle()
    scenario.isolate(2)
    scenario.transfer(1, 2)
    scenario.propose(1, Command(REMOVE_SERVER, "2"))
    for _ in range(BEATS - 1):
        scenario.time_out(1)
        scenario.settle()
    assert scenario.node(1).log.configuration.learners == (4,)
    assert scenario.node(1).log.last_index == 2


def test_answers_of_others_do_not_hurry_a_transfer() -> None:
    """Thesis §3.10, step 3: the successor's own log is what counts."""
    scenario = leading()
    scenario.isolate(2)
    scenario.propose(1, "a")
    scenario.transfer(1, 2)
    scenario.deliver(AppendEntries, to=3)
    scenario.servers[1].node.step(AppendEntriesReply(1, 3, 1, success=True, log_index=2))
    assert not any(isinstance(m, TimeoutNow) for m in scenario.servers[1].perform())
