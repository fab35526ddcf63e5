"""Members that come and go, one at a time (thesis §4)."""

from __future__ import annotations

from typing import Any

import pytest

from raftmark.raft import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    HardState,
    RequestVote,
    Role,
    StateMachine,
)
from raftmark.raft.client import Applied, Outcome
from raftmark.raft.errors import NotLeader
from raftmark.raft.messages import (
    ADD_SERVER,
    NOOP,
    PROMOTE_SERVER,
    REMOVE_SERVER,
    Command,
    Configuration,
    RequestVoteReply,
    TimeoutNow,
)

from .scenario import Scenario, Server, append, applied, settings_of


def add(server: int) -> Command:
    """A server is to be added."""
    return Command(ADD_SERVER, str(server))


def promote(server: int) -> Command:
    """A learner is to vote."""
    return Command(PROMOTE_SERVER, str(server))


def remove(server: int) -> Command:
    """A server is to go."""
    return Command(REMOVE_SERVER, str(server))


def leading(nodes: int = 3, joining: int | None = None, **others: Any) -> Scenario:
    """A cluster that node 1 leads, with its first entry committed everywhere."""
    scenario = Scenario(nodes, **others)
    scenario.time_out(1)
    scenario.settle()
    scenario.time_out(1)
    scenario.settle()
    if joining is not None:
        scenario.join(joining)
    return scenario


def change(scenario: Scenario, command: Command) -> Outcome:
    """Propose a change to node 1, let it be committed, and return its outcome."""
    outcomes = scenario.propose(1, command)
    scenario.settle()
    return outcomes[0]


def beat(scenario: Scenario, times: int = 2, leader: int = 1) -> None:
    """Heartbeats pass, and are answered."""
    for _ in range(times):
        scenario.time_out(leader)
        scenario.settle()


def members(scenario: Scenario, n: int = 1) -> Configuration:
    """The configuration that a node goes by."""
    return scenario.node(n).log.configuration


# -- adding ----------------------------------------------------------------------------------


def test_a_new_server_learns_first_and_votes_once_it_has_caught_up() -> None:
    """Thesis §4.2.1: or the cluster could commit nothing while it is behind."""
    scenario = leading(joining=4)
    scenario.propose(1, "a", "b")
    assert applied(change(scenario, add(4))).result is True
    assert members(scenario) == Configuration((1, 2, 3), (4,))
    beat(scenario, 1)
    assert members(scenario).learners == (4,)
    assert scenario.servers[4].machine.get("b") == "b"
    beat(scenario, 1)
    assert members(scenario) == Configuration((1, 2, 3, 4))
    assert members(scenario, 4) == Configuration((1, 2, 3, 4))
    assert [e.command for e in scenario.node(4).log.slice(4, 5)] == [add(4), promote(4)]


def test_a_learner_that_does_not_keep_up_does_not_vote() -> None:
    """Thesis §4.2.1: it must have by one heartbeat what was in the log by the one before."""
    scenario = leading(joining=4)
    change(scenario, add(4))
    scenario.isolate(4)
    for key in "abcde":
        scenario.propose(1, key)
        beat(scenario, 1)
    assert members(scenario).learners == (4,)
    scenario.heal()
    beat(scenario, 3)
    assert members(scenario).learners == ()


def test_a_server_that_joins_by_log_knows_the_members_it_was_added_to() -> None:
    """Thesis §4.1: the first configuration is in no entry, so that it begins with it too.

    Otherwise it would take itself for the only voter once it is promoted, and lead alone.
    """
    scenario = leading(joining=4)
    change(scenario, add(4))
    beat(scenario)
    scenario.isolate(4)
    scenario.node(4).election_timeout()
    scenario.servers[4].perform()
    assert scenario.node(4).role is Role.CANDIDATE
    scenario.crash(4)
    scenario.restart(4)
    assert members(scenario, 4).voters == (1, 2, 3, 4)


def test_a_server_that_joins_by_snapshot_has_the_members_from_it() -> None:
    """Thesis §5.1; §7."""
    scenario = leading(joining=4)
    change(scenario, remove(3))
    scenario.compact(1)
    change(scenario, add(4))
    beat(scenario)
    assert members(scenario, 4) == Configuration((1, 2, 4))
    assert scenario.node(4).snapshot.configuration == Configuration((1, 2))


def test_a_learner_is_in_no_majority_of_copies() -> None:
    """Thesis §4.2.1: entries are committed without it, and not by it."""
    scenario = leading(joining=4)
    change(scenario, add(4))
    scenario.isolate(2, 3)
    outcomes = scenario.propose(1, "a")
    scenario.settle()
    assert scenario.node(4).log.last_index == scenario.node(1).log.last_index
    assert outcomes == []
    scenario.heal()
    scenario.isolate(3, 4)
    beat(scenario)
    assert len(outcomes) == 1


def test_a_learner_is_not_asked_for_its_vote_and_does_not_stand() -> None:
    """Thesis §4.2.1."""
    scenario = leading(joining=4)
    change(scenario, add(4))
    scenario.node(4).timeout()
    assert scenario.servers[4].perform() == []
    assert (scenario.node(4).role, scenario.node(4).leader) == (Role.FOLLOWER, None)
    scenario.node(2).timeout()
    asked = [m for m in scenario.servers[2].perform() if isinstance(m, RequestVote)]
    assert {m.to for m in asked} == {1, 3}
    scenario.servers[2].hear(RequestVoteReply(2, 4, 2, granted=True))
    assert scenario.node(2).role is Role.CANDIDATE, "nor would its vote count"


def test_a_new_voter_counts_from_the_entry_on_that_makes_it_one() -> None:
    """Thesis §4.1: a configuration is in force as soon as it is in the log."""
    scenario = leading(2, joining=3)
    change(scenario, add(3))
    scenario.time_out(1)
    scenario.settle()
    scenario.isolate(2)
    scenario.time_out(1)
    assert members(scenario).voters == (1, 2, 3)
    before = scenario.node(1).commit_index
    scenario.settle()
    assert scenario.node(1).commit_index == before + 1, "with the new voter's copy"


def test_a_server_is_added_to_one_alone() -> None:
    """Thesis §4.1: the majority of two is two."""
    scenario = leading(1, joining=2)
    change(scenario, add(2))
    beat(scenario)
    assert members(scenario, 2) == Configuration((1, 2))
    scenario.isolate(2)
    outcomes = scenario.propose(1, "a")
    assert outcomes == []


# -- removing --------------------------------------------------------------------------------


def test_a_removed_follower_gets_and_counts_nothing_more() -> None:
    """Thesis §4.1."""
    scenario = leading(3)
    scenario.isolate(2, 3)
    scenario.propose(1, remove(3))
    scenario.heal()
    scenario.time_out(1)
    assert {m.to for m in scenario.under_way} == {2}
    leader = scenario.servers[1]
    leader.hear(AppendEntriesReply(1, 3, 1, success=True, log_index=2))
    assert leader.node.commit_index == 1
    scenario.settle()
    assert leader.node.commit_index == 2
    scenario.isolate(2)
    assert scenario.propose(1, "a") == [], "the majority of two is two"


def test_a_removal_may_be_all_that_a_commit_was_waiting_for() -> None:
    """Thesis §4.1: what is counted, is counted by the latest configuration."""
    scenario = leading(2)
    scenario.isolate(2)
    outcomes = scenario.propose(1, "a")
    assert outcomes == []
    scenario.propose(1, remove(2))
    assert len(outcomes) == 1
    assert members(scenario) == Configuration((1,))


def test_a_leader_that_is_removed_leads_until_that_is_committed() -> None:
    """Thesis §4.2.2: it does not count itself, and then has the best follower stand."""
    scenario = leading(4)
    outcomes = scenario.propose(1, remove(1))
    assert members(scenario) == Configuration((2, 3, 4))
    scenario.deliver(AppendEntries, to=3)
    scenario.deliver(AppendEntriesReply, sender=3)
    assert scenario.node(1).role is Role.LEADER, "two copies, of which its own does not count"
    assert scenario.node(1).commit_index == 1
    scenario.propose(1, "a")
    scenario.deliver(AppendEntries, to=4)
    scenario.deliver(AppendEntriesReply, sender=4)
    scenario.take()
    scenario.servers[1].node.ready()
    assert (scenario.node(1).role, scenario.node(1).leader) == (Role.FOLLOWER, None)
    assert applied(outcomes[0]).result is True


def test_the_best_follower_succeeds_a_leader_that_is_removed() -> None:
    """Thesis §4.2.2, §3.10: without waiting for a timeout."""
    scenario = leading(4, check_quorum=True)
    scenario.propose(1, remove(1))
    scenario.deliver(AppendEntries, to=4)
    scenario.deliver(AppendEntries, to=3)
    scenario.deliver(AppendEntriesReply, sender=4)
    scenario.deliver(AppendEntriesReply, sender=3)
    [message] = scenario.take(TimeoutNow)
    assert message.to in (3, 4)
    scenario.under_way.append(message)
    scenario.settle()
    assert scenario.node(message.to).role is Role.LEADER
    assert scenario.node(1).role is Role.FOLLOWER


def test_one_that_is_removed_stands_no_more_once_it_knows() -> None:
    """Thesis §4.2.2, §4.2.3."""
    scenario = leading(3)
    change(scenario, remove(1))
    assert scenario.node(1).role is Role.FOLLOWER
    term = scenario.node(1).term
    for _ in range(3):
        scenario.node(1).timeout()
        assert scenario.servers[1].perform() == []
    assert scenario.node(1).term == term


def test_one_whose_removal_is_not_committed_stands_and_does_not_count_itself() -> None:
    """Thesis §4.2.2: it may be the only one that can lead."""
    scenario = leading(2)
    scenario.isolate(2)
    scenario.propose(1, remove(1))
    scenario.crash(1)
    scenario.restart(1)
    scenario.heal()
    scenario.servers[1].hear(append(1, 1, (1, 1), commit=1))
    scenario.time_out(1)
    assert scenario.node(1).role is Role.CANDIDATE, "its own vote elects nobody"
    scenario.settle()
    assert scenario.node(2).commit_index >= 2
    beat(scenario, 2, leader=2)
    assert members(scenario, 2) == Configuration((2,))
    assert (scenario.node(1).role, scenario.node(2).role) == (Role.FOLLOWER, Role.LEADER)


def test_a_removed_server_that_does_not_know_it_disturbs_nobody() -> None:
    """Thesis §4.2.3: it gets no more heartbeats, and so asks for votes again and again."""
    scenario = leading(4, check_quorum=True)
    scenario.isolate(4)
    change(scenario, remove(4))
    scenario.heal()
    beat(scenario)
    assert members(scenario, 4).voters == (1, 2, 3, 4)
    for _ in range(5):
        scenario.time_out(4)
        scenario.settle()
    assert scenario.node(4).term > 1
    assert [scenario.node(n).term for n in (1, 2, 3)] == [1, 1, 1]


# -- one at a time -----------------------------------------------------------------------------


# -- coming back -----------------------------------------------------------------------------


def removed_without_hearing(n: int) -> Scenario:
    """Node `n` of three was removed and knows nothing of that."""
    scenario = leading()
    scenario.isolate(n)
    assert applied(change(scenario, remove(n))).result is True
    scenario.heal()
    return scenario


def test_a_server_that_comes_back_stands_only_once_it_was_added() -> None:
    """Thesis §4.2.3: by its log it is a voter, and whom it asks would follow its term."""
    scenario = removed_without_hearing(3)
    scenario.come_back(3)
    assert 3 in members(scenario, 3).voters
    for _ in range(3):
        scenario.time_out(3)
        assert scenario.under_way == []
    scenario.node(3).step(TimeoutNow(1, 1, 3))
    assert scenario.node(3).role is Role.FOLLOWER
    assert applied(change(scenario, add(3))).result is True
    beat(scenario, 3)
    assert members(scenario, 3) == Configuration((1, 2, 3))
    scenario.time_out(3)
    assert scenario.node(3).role is Role.CANDIDATE


def test_a_leader_that_was_removed_and_comes_back_does_not_stand_either() -> None:
    """Thesis §4.2.2: its removal is in its log, but no longer does it know that to be committed."""
    scenario = leading()
    change(scenario, remove(1))
    assert members(scenario).voters == (2, 3)
    scenario.come_back(1)
    scenario.time_out(1)
    assert scenario.under_way == []


def test_one_whose_addition_is_in_its_log_awaits_nothing() -> None:
    """It has begun again since, and is promoted by what comes after."""
    scenario = removed_without_hearing(3)
    scenario.come_back(3)
    change(scenario, add(3))
    beat(scenario, 1)
    assert members(scenario, 3).learners == (3,)
    scenario.come_back(3)
    beat(scenario, 3)
    scenario.time_out(3)
    assert scenario.node(3).role is Role.CANDIDATE


def test_those_who_come_back_elect_nobody_who_has_slept_through_it() -> None:
    """§5.4.1, thesis §4.1: to a voter of long ago they are voters still, so their logs stay.

    With empty ones they would vote for it, and it would lead without what is committed.
    """
    scenario = leading(5)
    scenario.isolate(5)
    for joining in (6, 7):
        scenario.join(joining)
        change(scenario, add(joining))
        beat(scenario, 3)
    for leaving in (2, 3):
        assert applied(change(scenario, remove(leaving))).result is True
        scenario.come_back(leaving)
    assert members(scenario) == Configuration((1, 4, 5, 6, 7))
    assert members(scenario, 5) == Configuration((1, 2, 3, 4, 5))
    scenario.isolate(1, 4, 6, 7)
    for _ in range(3):
        scenario.time_out(5)
        scenario.settle()
        assert scenario.node(5).role is Role.CANDIDATE


@pytest.mark.parametrize(
    "command",
    [add(1), add(2), remove(7), promote(2), promote(7)],
    ids=["a member", "a voter", "no member", "a voter to promote", "a stranger to promote"],
)
def test_a_change_that_makes_no_sense_becomes_a_no_op(command: Command) -> None:
    """Thesis §4.1: it is answered, and changes nothing."""
    scenario = leading()
    before = members(scenario)
    outcome = change(scenario, command)
    assert isinstance(outcome, Applied)
    assert outcome.result is None
    assert members(scenario) == before
    assert scenario.servers[2].applied[-1].command == NOOP


def test_the_last_voter_stays() -> None:
    """Thesis §4.1: without a voter there is no cluster."""
    scenario = leading(1, joining=2)
    assert applied(change(scenario, remove(1))).result is None
    change(scenario, add(2))
    assert applied(change(scenario, remove(1))).result is None, "a learner is no voter"
    assert applied(change(scenario, remove(2))).result is True
    assert members(scenario) == Configuration((1,))


def test_a_change_while_another_is_under_way_becomes_a_no_op() -> None:
    """Thesis §4.1: majorities of configurations two changes apart need not overlap."""
    scenario = leading(4)
    scenario.isolate(2, 3, 4)
    first = scenario.propose(1, remove(4))
    second = scenario.propose(1, remove(3))
    assert members(scenario) == Configuration((1, 2, 3))
    scenario.heal()
    beat(scenario)
    assert applied(first[0]).result is True
    assert applied(second[0]).result is None
    assert applied(change(scenario, remove(3))).result is True


def test_two_changes_in_one_batch_are_one() -> None:
    """Thesis §4.1: and the commands around them stay as they are."""
    scenario = leading()
    outcomes = scenario.propose(1, "a", remove(3), remove(2), "b")
    scenario.settle()
    assert [applied(outcome).result for outcome in outcomes] == [None, True, None, None]
    assert members(scenario) == Configuration((1, 2))
    log = scenario.node(2).log.slice(2, 5)
    assert [e.command.op for e in log] == ["set", REMOVE_SERVER, "noop", "set"]


def test_no_change_before_the_first_commit_of_the_term() -> None:
    """Ongaro's correction of 2015 to thesis §4.1.

    A leader that has committed nothing in its term does not know of what its predecessors
    have committed: its change and theirs may be of one configuration, and not overlap.
    """
    scenario = Scenario(4)
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    assert scenario.node(1).role is Role.LEADER
    scenario.propose(1, remove(4))
    assert members(scenario) == Configuration((1, 2, 3, 4))
    scenario.settle()
    scenario.propose(1, remove(4))
    assert members(scenario) == Configuration((1, 2, 3))


def test_a_promotion_waits_for_the_change_before_it() -> None:
    """Thesis §4.1."""
    scenario = leading(4, joining=5)
    change(scenario, add(5))
    beat(scenario, 1)
    scenario.isolate(2, 3, 4)
    scenario.propose(1, remove(4))
    scenario.settle()
    for _ in range(3):
        scenario.time_out(1)
        scenario.settle()
    assert members(scenario) == Configuration((1, 2, 3), (5,))
    scenario.heal()
    beat(scenario, 3)
    assert members(scenario) == Configuration((1, 2, 3, 5))


# -- the log and the configuration ----------------------------------------------------------------


def test_a_configuration_is_rolled_back_with_its_entry() -> None:
    """Thesis §4.1: whoever deletes it from its log returns to the one before."""
    server = Server(1, settings_of(3), hard_state=HardState(1))
    changes = (Entry(1, add(4)), Entry(1, promote(4)), Entry(1, Command("set", "x", "1")))
    server.hear(AppendEntries(1, 2, 1, 0, 0, changes, 0))
    assert server.node.log.configuration == Configuration((1, 2, 3, 4))
    server.hear(append(2, 1, (1, 1), [2])._replace(sender=3))
    assert server.node.log.configuration == Configuration((1, 2, 3), (4,))
    server.hear(append(3, 1, (0, 0), [3])._replace(sender=3))
    assert server.node.log.configuration == Configuration((1, 2, 3))
    server.node.election_timeout()
    assert {message.to for message in server.perform()} == {2, 3}


def test_a_deposed_leader_rolls_its_own_change_back() -> None:
    """Thesis §4.1."""
    scenario = leading(3)
    scenario.isolate(1)
    outcomes = scenario.propose(1, remove(3))
    assert members(scenario) == Configuration((1, 2))
    scenario.elect(2)
    scenario.heal()
    beat(scenario, 2, leader=2)
    assert members(scenario) == Configuration((1, 2, 3))
    assert [type(outcome).__name__ for outcome in outcomes] == ["Lost"]


def test_a_new_life_goes_by_the_configuration_in_its_log() -> None:
    """Thesis §4.1: committed or not."""
    scenario = leading(3)
    scenario.isolate(2, 3)
    scenario.propose(1, remove(3))
    scenario.crash(1)
    scenario.restart(1)
    assert members(scenario) == Configuration((1, 2))
    scenario.heal()
    scenario.time_out(1)
    assert {m.to for m in scenario.under_way} == {2}


def test_an_uncommitted_configuration_survives_a_snapshot() -> None:
    """Thesis §5.1, §4.1: the snapshot has the one that is committed, the log the later one."""
    scenario = leading(3)
    scenario.isolate(2, 3)
    scenario.propose(1, remove(3))
    scenario.compact(1)
    assert scenario.node(1).snapshot.configuration == Configuration((1, 2, 3))
    assert members(scenario) == Configuration((1, 2))
    scenario.crash(1)
    scenario.restart(1)
    assert members(scenario) == Configuration((1, 2))


def test_a_follower_changes_no_members() -> None:
    scenario = leading()
    [outcome] = scenario.propose(2, remove(3))
    assert isinstance(outcome, NotLeader)


def test_the_result_of_a_change_is_kept_for_its_session() -> None:
    """§8: who retries hears the same."""
    machine = StateMachine()
    once = Entry(1, add(4)._replace(client="operator", serial=1))
    assert machine.apply([once, once]) == [True, True]
