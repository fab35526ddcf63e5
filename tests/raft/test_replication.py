"""What must hold for replication. A test's name is the rule, its docstring the paper's section."""

from __future__ import annotations

import pytest

from raftmark.raft import (
    AppendEntries,
    AppendEntriesReply,
    HardState,
    RequestVote,
    RequestVoteReply,
    Role,
)

from .scenario import Scenario, Server, append, entry, log_of, settings_of


def leading(scenario: Scenario, n: int = 1) -> Scenario:
    """Elect node `n` without any of its AppendEntries arriving."""
    scenario.time_out(n)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    assert scenario.node(n).role is Role.LEADER
    scenario.take(AppendEntries)
    return scenario


def accept(scenario: Scenario, sender: int, index: int, to: int = 1) -> None:
    """The leader hears that `sender` matches up to `index`."""
    term = scenario.node(to).term
    scenario.node(to).step(AppendEntriesReply(term, sender, to, success=True, log_index=index))


def figure_8c() -> Scenario:
    """The paper's figure 8, at (c): the entry of term 2 is on a majority, term 4's is not."""
    scenario = Scenario(5, {1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3]}, max_entries=1)
    scenario.isolate(4, 5)
    scenario.time_out(1)
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    assert (scenario.node(1).role, scenario.node(1).term) == (Role.LEADER, 4)
    scenario.deliver(AppendEntries)  # Node 2 takes the entry of term 4, node 3 refuses it,
    scenario.deliver(AppendEntriesReply)
    scenario.deliver(AppendEntries, to=3)  # and takes that of term 2 instead.
    scenario.deliver(AppendEntriesReply, sender=3)
    assert [scenario.servers[n].terms for n in (1, 2, 3)] == [[1, 2, 4], [1, 2, 4], [1, 2]]
    return scenario


def test_a_majority_holding_an_old_term_entry_does_not_commit_it_by_counting() -> None:
    """§5.4.2, figure 8: at (c) nothing is committed, since (d) may still come."""
    scenario = figure_8c()
    assert scenario.node(1).commit_index == 0

    # (d): the leader crashes, node 5 is elected and replaces the entry of term 2 everywhere.
    scenario.crash(1)
    scenario.under_way.clear()
    scenario.heal()
    scenario.time_out(5)
    scenario.settle()
    scenario.elect(5)
    scenario.restart(1)
    scenario.time_out(5)
    scenario.settle()
    assert [server.terms for server in scenario.servers.values()] == [[1, 3, 5]] * 5
    assert set(scenario.commit_indexes().values()) <= {2, 3}


def test_a_current_term_entry_on_a_majority_commits_all_before_it() -> None:
    """§5.4.2, figure 8: at (e) the entry of term 4 is on a majority, and commits term 2's."""
    scenario = figure_8c()
    scenario.deliver(AppendEntries, to=3)
    scenario.deliver(AppendEntriesReply, sender=3)
    assert scenario.node(1).commit_index == 3


def test_a_delayed_shorter_append_entries_does_not_truncate() -> None:
    """§5.3, figure 2 (AppendEntries 3): only a conflict deletes entries."""
    server = Server(1, settings_of(3), log_of([1, 1, 1, 1]), HardState(1, None))
    [reply] = server.hear(append(1, 1, (1, 1), [1]))
    assert server.terms == [1, 1, 1, 1]
    assert isinstance(reply, AppendEntriesReply)
    assert (reply.success, reply.log_index) == (True, 2)
    server.hear(append(1, 1, (0, 0)))
    assert server.terms == [1, 1, 1, 1]


def test_a_true_conflict_deletes_the_whole_tail() -> None:
    """§5.3, figure 2 (AppendEntries 3): in memory and in the storage."""
    server = Server(1, settings_of(3), log_of([1, 1, 2, 2, 2]), HardState(2, None))
    server.hear(append(3, 1, (1, 1), [1, 3]))
    assert server.terms == [1, 1, 3]
    server.crash()
    server.begin()
    assert server.terms == [1, 1, 3]
    assert server.node.log.slice(3, 3) == (entry(3, 3),)


def test_a_conflict_and_its_repair_in_one_step_are_saved_as_one() -> None:
    """§5.3: what was appended and deleted again between two saves leaves no trace."""
    server = Server(1, settings_of(3), log_of([1, 1]), HardState(1, None))
    server.hear(
        append(1, 1, (2, 1), [1, 1, 1]),
        append(2, 1, (1, 1), [2])._replace(sender=2),
        append(2, 1, (2, 2), [2])._replace(sender=2),
    )
    assert server.terms == [1, 2, 2]
    server.crash()
    server.begin()
    assert server.terms == [1, 2, 2]


def test_commit_index_is_at_most_previous_index_plus_entries_received() -> None:
    """Figure 2 (AppendEntries 5): what lies beyond may be another leader's."""
    server = Server(1, settings_of(3), log_of([1, 1, 1, 1]), HardState(1, None))
    server.hear(append(2, 1, (1, 1), commit=4))
    assert server.node.commit_index == 1
    server.hear(append(2, 1, (1, 1), [1, 1], commit=4))
    assert server.node.commit_index == 3
    assert server.applied == log_of([1, 1, 1])


def test_commit_index_never_falls_and_never_passes_the_logs_end() -> None:
    """Figure 2 (volatile state): it increases monotonically."""
    server = Server(1, settings_of(3), log_of([1, 1, 1]), HardState(1, None))
    server.hear(append(1, 1, (3, 1), commit=9))
    assert server.node.commit_index == 3
    server.hear(append(1, 1, (3, 1), commit=1))
    server.hear(append(1, 1, (0, 0), [1], commit=1))
    assert server.node.commit_index == 3

    scenario = Scenario(3)
    scenario.elect(1)
    scenario.propose(1, "a", "b")
    scenario.settle()
    assert scenario.node(1).commit_index == 3
    scenario.elect(2)
    scenario.elect(1)
    assert min(scenario.commit_indexes().values()) >= 3


def test_nothing_takes_the_place_of_what_is_committed() -> None:
    """§5.4.3: it is in the log of every leader to come, so who says otherwise is none."""
    server = Server(2, settings_of(3), log_of([1, 1, 1]), HardState(1, None))
    server.hear(append(1, 2, (3, 1), commit=2))
    assert server.hear(append(3, 2, (0, 0), [1, 2], commit=2)) == []
    assert server.terms == [1, 1, 1]
    server.hear(append(3, 2, (0, 0), [1, 1, 2], commit=2))
    assert server.terms == [1, 1, 2]


def test_nobody_has_what_a_leader_never_sent() -> None:
    """§5.3: an acknowledgement of more than the leader's log counts for nothing."""
    scenario = leading(Scenario(3))
    accept(scenario, 2, 5)
    assert scenario.node(1).commit_index == 0
    accept(scenario, 2, 1)
    assert scenario.node(1).commit_index == 1


def test_a_stale_rejection_never_lowers_next_index_below_match_index() -> None:
    """§5.3: what a follower has acknowledged it has, whatever it refused before."""
    scenario = leading(Scenario(3, {1: [1] * 6}))
    accept(scenario, 2, 5)
    for log_index, hint_index in ((3, 0), (5, 0), (6, 0), (7, 2)):
        refusal = AppendEntriesReply(2, 2, 1, False, log_index, hint_index, min(hint_index, 1))
        scenario.node(1).step(refusal)
        scenario.time_out(1)
        for message in scenario.take(AppendEntries, to=2):
            assert isinstance(message, AppendEntries)
            assert message.prev_log_index >= 5, f"after a refusal of {log_index}"


def test_match_index_never_falls() -> None:
    """Figure 2 (volatile state on leaders): it increases monotonically."""
    scenario = leading(Scenario(5, {1: [1] * 3}))
    accept(scenario, 2, 4)
    accept(scenario, 2, 1)
    accept(scenario, 2, 0)
    accept(scenario, 3, 4)
    assert scenario.node(1).commit_index == 4


def test_replies_after_step_down_are_ignored() -> None:
    """§5.1, §5.2: they answer what this server no longer is, even in the same term."""
    scenario = leading(Scenario(3))
    leader = scenario.servers[1]
    leader.hear(RequestVote(9, 3, 1, 0, 0))
    accepted = AppendEntriesReply(1, 2, 1, success=True, log_index=1)
    assert leader.hear(accepted) == []
    assert leader.node.commit_index == 0

    # Leader of its term once, then crashed: the term is the same, the role is not.
    scenario = leading(Scenario(3))
    leader = scenario.servers[1]
    leader.crash()
    leader.begin()
    assert leader.hear(accepted, accepted._replace(success=False)) == []
    assert leader.hear(RequestVoteReply(1, 2, 1, granted=True)) == []
    assert (leader.node.role, leader.node.commit_index) == (Role.FOLLOWER, 0)


def test_replies_after_step_down_in_the_same_term_are_ignored() -> None:
    """§5.3; thesis §6.2: a leader that hears of no majority steps down, and begins no term."""
    server = Server(1, settings_of(3)._replace(check_quorum=True))
    server.node.election_timeout()
    server.hear(RequestVoteReply(1, 2, 1, granted=True))
    assert server.node.role is Role.LEADER
    while server.node.role is Role.LEADER:
        server.node.heartbeat_timeout()
    server.perform()
    accepted = AppendEntriesReply(1, 2, 1, success=True, log_index=1)
    assert server.hear(accepted, accepted._replace(sender=3)) == []
    assert server.hear(RequestVoteReply(1, 3, 1, granted=True)) == []
    assert (server.node.role, server.node.term, server.node.commit_index) == (Role.FOLLOWER, 1, 0)


@pytest.mark.parametrize(("max_entries", "window"), [(1, 16), (2, 16), (3, 2), (7, 1)])
def test_size_limited_batches_stay_contiguous(max_entries: int, window: int) -> None:
    """§5.3: each begins where the one before it ended, and none exceeds the limit."""
    scenario = Scenario(2, max_entries=max_entries, window=window)
    scenario.elect(1)
    outcomes = scenario.propose(1, *(f"k{n}" for n in range(40)))
    position, batches = 1, 0
    while scenario.under_way:
        messages = scenario.take(AppendEntries)
        assert len(messages) <= window
        for message in messages:
            assert isinstance(message, AppendEntries)
            assert len(message.entries) <= max_entries
            if message.entries:
                assert message.prev_log_index == position
                position += len(message.entries)
                batches += 1
        scenario.under_way += scenario.servers[2].hear(*messages)
        scenario.deliver(AppendEntriesReply)
    assert position == 41
    assert batches == -(-40 // max_entries)
    assert len(outcomes) == 40


def test_a_leader_that_reaches_only_a_minority_commits_nothing() -> None:
    """§5.3: however often it tries."""
    scenario = Scenario(5)
    scenario.elect(1)
    scenario.isolate(3, 4, 5)
    outcomes = scenario.propose(1, "a")
    for _ in range(5):
        scenario.settle()
        scenario.time_out(1)
    assert scenario.commit_indexes()[1] == 1
    assert outcomes == []
    assert scenario.node(2).log.last_index == 2

    scenario.heal()
    scenario.time_out(1)
    scenario.settle()
    assert scenario.commit_indexes()[1] == 2
    assert len(outcomes) == 1


def test_each_acknowledgement_counts_for_the_peer_that_sent_it() -> None:
    """§5.3: match index is kept for each server."""
    scenario = leading(Scenario(5, {1: [1] * 4}))
    accept(scenario, 4, 5)
    scenario.node(1).step(AppendEntriesReply(2, 2, 1, False, 4, hint_index=2, hint_term=1))
    assert scenario.node(1).commit_index == 0
    scenario.time_out(1)
    previous = {m.to: m.prev_log_index for m in scenario.take() if isinstance(m, AppendEntries)}
    assert previous == {2: 2, 3: 4, 4: 5, 5: 4}
    accept(scenario, 2, 5)
    assert scenario.node(1).commit_index == 5


def test_entries_are_applied_in_order_without_gaps_once_per_life() -> None:
    """§5.3, figure 2 (all servers): whatever the order in which news of commits arrives."""
    server = Server(1, settings_of(3))
    log = log_of([1] * 6)
    server.hear(append(1, 1, (0, 0), [1, 1, 1], commit=0))
    assert server.applied == []
    server.hear(append(1, 1, (3, 1), commit=2))
    server.hear(append(1, 1, (3, 1), commit=2), append(1, 1, (3, 1), commit=1))
    assert server.applied == log[:2]
    server.hear(append(1, 1, (3, 1), [1, 1, 1], commit=5))
    assert server.applied == log[:5]
    server.hear(append(1, 1, (0, 0), [1], commit=1), append(1, 1, (6, 1), commit=6))
    assert server.applied == log
    assert server.machine.applied_index == 6

    server.crash()
    server.begin()
    assert server.applied == []
    server.hear(append(1, 1, (6, 1), commit=4))
    assert server.applied == log[:4]


@pytest.mark.parametrize(("nodes", "copies_needed"), [(2, 2), (4, 3), (6, 4)])
def test_a_majority_of_an_even_cluster_is_more_than_half_to_commit(
    nodes: int, copies_needed: int
) -> None:
    """§5.3: two halves of a cluster must not commit an entry each at one index."""
    scenario = Scenario(nodes)
    scenario.elect(1)
    outcomes = scenario.propose(1, "a")
    for copies, follower in enumerate(range(2, nodes + 1), 2):
        assert len(outcomes) == 0
        accept(scenario, follower, 2)
        assert scenario.node(1).commit_index == (2 if copies >= copies_needed else 1)
        if copies >= copies_needed:
            break
    scenario.servers[1].perform()
    assert len(outcomes) == 1


# -- how replication is made fast -----------------------------------------------------------


def test_a_new_leader_commits_an_entry_of_its_own_without_any_client() -> None:
    """§8: a no-op at the start of its term tells it what is committed."""
    scenario = Scenario(3, {1: [1, 1], 2: [1, 1], 3: [1]})
    scenario.elect(1)
    scenario.time_out(1)
    scenario.settle()
    assert [server.terms for server in scenario.servers.values()] == [[1, 1, 2]] * 3
    assert scenario.commit_indexes() == {1: 3, 2: 3, 3: 3}
    assert scenario.servers[1].applied[-1].command.op == "noop"


@pytest.mark.parametrize(
    ("leaders", "followers"),
    [
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 5, 5, 6, 6]),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4]),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 4, 4, 4, 4]),
        ([1, 1, 1, 4, 4, 5, 5, 6, 6, 6], [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
    ],
    ids=list("abcdef"),
)
def test_log_repair_backs_up_by_term(leaders: list[int], followers: list[int]) -> None:
    """§5.3, figure 7: any log of a follower becomes the leader's, a round trip a term at most."""
    scenario = Scenario(3, {1: leaders, 2: leaders, 3: followers})
    scenario.isolate(3)
    scenario.time_out(1)
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(1).term == 8
    scenario.heal()
    scenario.time_out(1)
    refusals = 0
    while scenario.under_way:
        message = scenario.under_way[0]
        refusals += isinstance(message, AppendEntriesReply) and not message.success
        scenario.deliver(type(message), sender=message.sender, to=message.to)
    assert scenario.servers[3].terms == [*leaders, 8]
    assert refusals <= len(set(leaders) | set(followers))


@pytest.mark.parametrize("terms", [(3, 2), (2, 3)], ids=["the leader's", "the follower's"])
def test_log_repair_skips_a_thousand_entries_of_either_log_at_once(terms: tuple[int, int]) -> None:
    """§5.3, the end: one AppendEntries a conflicting term, not one an entry."""
    leaders, followers = ([1, *[term] * 1000] for term in terms)
    scenario = Scenario(3, {1: leaders, 2: leaders, 3: followers})
    scenario.isolate(3)
    scenario.time_out(1)
    scenario.elect(1)
    scenario.heal()
    scenario.time_out(1)
    scenario.deliver(AppendEntries, to=3)
    scenario.deliver(AppendEntriesReply, sender=3)
    scenario.deliver(AppendEntries, to=3)
    assert scenario.servers[3].terms == scenario.servers[1].terms


def test_what_has_queued_up_is_one_save_and_one_message_per_follower() -> None:
    """Group commit: however many clients proposed since the last step."""
    scenario = Scenario(3)
    scenario.elect(1)
    for n in range(20):
        scenario.propose(1, f"k{n}", serve=False)
    ready = scenario.node(1).ready()
    assert ready.save is not None
    assert len(ready.save.entries) == 20
    assert [len(m.entries) for m in ready.messages if isinstance(m, AppendEntries)] == [20, 20]


def test_replication_is_pipelined_within_a_window() -> None:
    """Entries leave before those ahead of them are acknowledged, up to the window."""
    scenario = Scenario(2, max_entries=1, window=3)
    scenario.elect(1)
    outcomes = scenario.propose(1, *"abcde")
    in_flight = scenario.take(AppendEntries)
    assert [m.prev_log_index for m in in_flight if isinstance(m, AppendEntries)] == [1, 2, 3]
    scenario.under_way += scenario.servers[2].hear(in_flight[0])
    scenario.deliver(AppendEntriesReply)
    [message] = scenario.take(AppendEntries)
    assert isinstance(message, AppendEntries)
    assert message.prev_log_index == 4
    assert len(outcomes) == 1


def test_lost_entries_are_sent_again_after_a_heartbeat() -> None:
    """§5.3: a leader retries indefinitely, also when the whole window was lost."""
    scenario = Scenario(3, max_entries=1, window=2)
    scenario.elect(1)
    scenario.isolate(2)
    outcomes = scenario.propose(1, *"abcde")
    scenario.settle()
    assert len(outcomes) == 5
    assert scenario.node(2).log.last_index == 1
    scenario.heal()
    scenario.time_out(1)
    scenario.settle()
    assert scenario.servers[2].terms == scenario.servers[1].terms


def test_a_follower_that_does_not_answer_is_probed_once_a_heartbeat() -> None:
    """A probe that is under way is not repeated by every proposal, and by heartbeats without
    its entries: these would pile up in front of a node that is gone."""
    scenario = leading(Scenario(2))
    scenario.servers[1].perform()
    scenario.propose(1, "a")
    scenario.propose(1, "b")
    assert scenario.under_way == []
    for _ in range(3):
        scenario.time_out(1)
        [probe] = scenario.take(AppendEntries)
        assert isinstance(probe, AppendEntries)
        assert probe.entries == ()
    scenario.servers[1].hear(AppendEntriesReply(1, 2, 1, success=True, log_index=0))
    scenario.time_out(1)
