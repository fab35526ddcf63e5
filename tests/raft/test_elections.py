"""What must hold for elections. A test's name is the rule, its docstring the paper's section."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftmark.raft import (
    AppendEntries,
    AppendEntriesReply,
    HardState,
    Message,
    Node,
    RequestVote,
    RequestVoteReply,
    Role,
)

from .scenario import (
    ELECTION_TIMEOUT_NS,
    HEARTBEAT_NS,
    MILLISECOND,
    Scenario,
    Server,
    append,
    log_of,
    settings_of,
)
from .simulation import Simulation, Weather


def ask_vote(term: int, sender: int, last: tuple[int, int] = (0, 0), to: int = 1) -> RequestVote:
    """A RequestVote from `sender`, whose log ends with `last` (index, term)."""
    return RequestVote(term, sender, to, *last)


def test_stepping_down_in_the_same_term_keeps_the_vote_a_higher_term_clears_it() -> None:
    """§5.2, figure 2: at most one vote a term."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    server.hear(append(1, 1, (0, 0))._replace(sender=2))
    assert (server.node.role, server.node.voted_for) == (Role.FOLLOWER, 1)
    assert server.hear(ask_vote(1, sender=3)) == [RequestVoteReply(1, 1, 3, granted=False)]

    assert server.hear(ask_vote(2, sender=3)) == [RequestVoteReply(2, 1, 3, granted=True)]


@pytest.mark.parametrize(
    ("message", "hard_state", "log"),
    [
        (ask_vote(3, 2, (9, 2)), HardState(3, 2), [1, 1]),
        (ask_vote(2, 2, (9, 2)), HardState(2, 2), [1, 1]),
        (ask_vote(3, 2, (1, 1)), HardState(3, None), [1, 1]),
        (append(2, 1, (2, 1), [2, 2])._replace(sender=2), HardState(2, None), [1, 1, 2, 2]),
        (append(2, 1, (1, 1), [2])._replace(sender=2), HardState(2, None), [1, 2]),
        (append(3, 1, (7, 2))._replace(sender=2), HardState(3, None), [1, 1]),
    ],
    ids=[
        "vote",
        "vote in the same term",
        "higher term",
        "entries",
        "entries for a conflict",
        "higher term, refused",
    ],
)
def test_term_vote_and_log_are_durable_before_a_reply_leaves(
    message: Message, hard_state: HardState, log: list[int]
) -> None:
    """Figure 2: persistent state is updated on stable storage before responding to RPCs."""
    server = Server(1, settings_of(3), log_of([1, 1]), HardState(2, None))

    server.node.step(message)
    server.node.ready()  # The crash is here: nothing was saved, and so nothing was sent.
    server.crash()
    server.begin()
    assert (server.node.term, server.node.voted_for, server.terms) == (2, None, [1, 1])

    server.node.step(message)
    ready = server.node.ready()
    server.save(ready)
    assert ready.messages, "the reply leaves with what must be saved before it"
    server.crash()
    server.begin()
    assert HardState(server.node.term, server.node.voted_for) == hard_state
    assert server.terms == log


def test_a_candidates_own_term_and_vote_are_saved_before_request_vote_leaves() -> None:
    """§5.2, figure 2: a candidate that forgot its own vote could give it again."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    ready = server.node.ready()
    assert ready.messages == [ask_vote(1, 1, to=2), ask_vote(1, 1, to=3)]
    assert ready.save is not None
    assert ready.save.hard_state == HardState(1, 1)

    server.save(ready)
    server.crash()
    server.begin()
    assert server.hear(ask_vote(1, sender=2)) == [RequestVoteReply(1, 1, 2, granted=False)]


def test_a_repeated_request_vote_from_the_same_candidate_is_granted_again() -> None:
    """§5.1, §5.5: a reply may be lost, and RPCs are idempotent; a restart changes nothing."""
    server = Server(1, settings_of(3))
    granted = [RequestVoteReply(1, 1, 2, granted=True)]
    assert server.hear(ask_vote(1, sender=2)) == granted
    assert server.hear(ask_vote(1, sender=2)) == granted
    server.crash()
    server.begin()
    assert server.hear(ask_vote(1, sender=2)) == granted


def test_two_replies_from_one_peer_count_once() -> None:
    """§5.2: a candidate wins with the votes of a majority of the servers, not of the replies."""
    server = Server(1, settings_of(5))
    server.node.election_timeout()
    vote = RequestVoteReply(1, 2, 1, granted=True)
    server.hear(vote, vote)
    server.hear(vote)
    assert (server.node.role, server.node.commit_index) == (Role.CANDIDATE, 0)
    server.hear(vote._replace(sender=3))
    assert (server.node.role, server.node.commit_index) == (Role.LEADER, 0)

    acknowledgement = AppendEntriesReply(1, 2, 1, success=True, log_index=1)
    server.hear(acknowledgement, acknowledgement)
    server.hear(acknowledgement)
    assert server.node.commit_index == 0
    server.hear(acknowledgement._replace(sender=3))
    assert server.node.commit_index == 1


def test_a_vote_from_an_earlier_term_is_ignored() -> None:
    """§5.1, §5.2: a vote is for one term."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    server.node.election_timeout()
    server.hear(RequestVoteReply(1, 2, 1, granted=True))
    assert (server.node.role, server.node.term) == (Role.CANDIDATE, 2)


def test_an_acknowledgement_from_an_earlier_term_is_ignored() -> None:
    """§5.1: what a follower had in an earlier term, it may have replaced since."""
    scenario = Scenario(3, {1: [1, 1], 2: [1, 1], 3: [1, 1]})
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    leader = scenario.node(1)
    assert (leader.role, leader.term, leader.log.last_index) == (Role.LEADER, 2, 3)
    leader.step(AppendEntriesReply(1, 2, 1, success=True, log_index=3))
    assert leader.commit_index == 0
    leader.step(AppendEntriesReply(2, 2, 1, success=True, log_index=3))
    assert leader.commit_index == 3


@pytest.mark.parametrize(
    ("own", "candidates", "granted"),
    [
        ([], (0, 0), True),
        ([1, 1], (2, 1), True),
        ([1, 1], (3, 1), True),
        ([1, 1], (1, 1), False),
        ([1, 1, 1], (1, 2), True),
        ([1, 2], (5, 1), False),
        ([1], (0, 0), False),
    ],
    ids=[
        "both empty",
        "equal",
        "same term, longer",
        "same term, shorter",
        "later term, shorter",
        "earlier term, longer",
        "empty against one entry",
    ],
)
def test_up_to_date_means_last_term_first_then_length(
    own: list[int], candidates: tuple[int, int], granted: bool
) -> None:
    """§5.4.1, the last paragraph."""
    server = Server(1, settings_of(3), log_of(own))
    assert server.hear(ask_vote(7, 2, candidates)) == [RequestVoteReply(7, 1, 2, granted)]


@pytest.mark.parametrize(
    ("message", "resets"),
    [
        (ask_vote(3, 2, (2, 2)), True),
        (ask_vote(2, 2, (2, 2)), True),
        (append(2, 1, (2, 2))._replace(sender=2), True),
        (append(2, 1, (2, 2), [2])._replace(sender=2), True),
        (append(3, 1, (2, 2))._replace(sender=2), True),
        (append(2, 1, (9, 2))._replace(sender=2), True),
        (append(2, 1, (2, 1))._replace(sender=2), True),
        (ask_vote(2, 2, (1, 1)), False),
        (ask_vote(3, 2, (1, 1)), False),
        (ask_vote(1, 2, (9, 1)), False),
        (append(1, 1, (2, 2))._replace(sender=2), False),
        (RequestVoteReply(2, 2, 1, granted=True), False),
        (RequestVoteReply(3, 2, 1, granted=False), False),
        (AppendEntriesReply(2, 2, 1, success=True, log_index=2), False),
        (AppendEntriesReply(3, 2, 1, success=False, log_index=2), False),
    ],
    ids=[
        "vote granted in a higher term",
        "vote granted in the same term",
        "heartbeat",
        "entries",
        "heartbeat of a higher term",
        "heartbeat refused, log too short",
        "heartbeat refused, another term",
        "vote refused",
        "vote refused in a higher term",
        "vote refused in an earlier term",
        "heartbeat of an earlier term",
        "someone's vote",
        "someone's higher term",
        "acknowledgement",
        "refusal of a higher term",
    ],
)
def test_the_election_timer_resets_on_a_granted_vote_and_the_leaders_append_entries_only(
    message: Message, resets: bool
) -> None:
    """§5.2, figure 2 (followers): otherwise a server may be kept from standing, or stand early."""
    server = Server(1, settings_of(3), log_of([1, 2]), HardState(2, None))
    before = len(server.timers_ns)
    server.hear(message)
    assert (len(server.timers_ns) > before) is resets


def test_a_candidate_that_hears_a_higher_term_keeps_its_timer() -> None:
    """§5.2: stepping down alone is no reason to wait for longer."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    server.perform()
    before = len(server.timers_ns)
    server.hear(RequestVoteReply(5, 2, 1, granted=False))
    assert (server.node.role, server.node.term) == (Role.FOLLOWER, 5)
    assert len(server.timers_ns) == before


def test_a_timer_that_the_same_step_restarts_has_not_expired() -> None:
    """§5.2: a heartbeat that came in time counts, even if it is read after the timeout.

    A busy or hung runtime finds both waiting, and tells of the message first.
    """
    server = Server(1, settings_of(3))
    server.node.step(append(1, 1, (0, 0))._replace(sender=2))
    server.node.timeout()
    server.perform()
    assert (server.node.role, server.node.term) == (Role.FOLLOWER, 1)
    assert len(server.timers_ns) == 2


def test_a_deposed_leaders_heartbeat_timer_starts_no_election() -> None:
    """§5.2: what expired was not an election timeout."""
    scenario = Scenario(3)
    scenario.elect(1)
    leader = scenario.servers[1]
    leader.node.step(append(2, 1, (0, 0))._replace(sender=2))
    leader.node.timeout()
    leader.perform()
    assert (leader.node.role, leader.node.term) == (Role.FOLLOWER, 2)
    low, high = ELECTION_TIMEOUT_NS
    assert low <= leader.timers_ns[-1] <= high


def test_the_timeout_is_drawn_anew_for_every_election() -> None:
    """§5.2, §9.3: a timeout that stays the same would repeat every split vote."""
    draws = iter([0.0, 0.25, 0.5, 1.0])
    server = Server(1, settings_of(3), draw=lambda: next(draws))
    for _ in range(3):
        server.node.timeout()
        server.perform()
    low, high = ELECTION_TIMEOUT_NS
    assert server.timers_ns == [low, low + (high - low) // 4, low + (high - low) // 2, high]
    assert HEARTBEAT_NS not in server.timers_ns


def test_a_candidate_steps_down_on_a_same_term_append_entries() -> None:
    """§5.2: another server won this election; late votes make no second leader of the term."""
    server = Server(1, settings_of(3))
    server.node.election_timeout()
    server.hear(append(1, 1, (0, 0))._replace(sender=2))
    assert (server.node.role, server.node.leader, server.node.term) == (Role.FOLLOWER, 2, 1)
    server.hear(RequestVoteReply(1, 3, 1, granted=True))
    assert server.node.role is Role.FOLLOWER


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 7])
def test_duelling_candidates_make_progress(nodes: int, seed: int) -> None:
    """§5.2, §9.3: randomised timeouts resolve split votes, however the first round goes.

    All stand for election at the same moment, with one message delay for everybody, so
    that every vote of the first round is for oneself.
    """
    equal_delays = Weather(delay_ns=(15 * MILLISECOND, 15 * MILLISECOND), hesitation_ns=0)
    for run in range(20):
        settings = settings_of(nodes, pre_vote=run % 2 == 1)
        simulation = Simulation(settings, f"{seed}/duel/{run}", weather=equal_delays)
        for server in simulation.servers.values():
            simulation.expire(server)
        simulation.run_until(simulation.has_leader, within_s=60)


def test_a_rejoining_node_with_a_higher_term_and_a_short_log_cannot_win() -> None:
    """§5.4.1: it costs the cluster an election, never an entry."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.isolate(3)
    for _ in range(5):
        scenario.time_out(3)
    scenario.propose(1, "a", "b")
    scenario.settle()
    scenario.heal()
    assert scenario.node(3).term == 6

    scenario.time_out(3)
    scenario.settle()
    assert scenario.node(3).role is Role.CANDIDATE
    assert [scenario.node(n).term for n in (1, 2, 3)] == [7, 7, 7]

    scenario.elect(2)
    assert [scenario.servers[n].terms for n in (1, 2, 3)] == [[1, 1, 1, 8]] * 3


@pytest.mark.parametrize(
    ("nodes", "votes_needed"), [(1, 1), (2, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_a_majority_of_an_even_cluster_is_more_than_half_to_elect(
    nodes: int, votes_needed: int
) -> None:
    """§5.2: two halves of a cluster must not elect a leader each."""
    server = Server(1, settings_of(nodes))
    server.node.election_timeout()
    for voter in range(2, nodes + 1):
        assert (server.node.role is Role.LEADER) is (voter - 1 >= votes_needed)
        server.hear(RequestVoteReply(1, voter, 1, granted=True))
    assert server.node.role is Role.LEADER


@pytest.mark.parametrize(
    "event",
    [
        lambda node: node.step(ask_vote(2, 3, (9, 1))),
        lambda node: node.step(append(2, 1, (0, 0))._replace(sender=3)),
        lambda node: node.step(RequestVoteReply(2, 3, 1, granted=False)),
        lambda node: node.step(AppendEntriesReply(2, 3, 1, success=False, log_index=0)),
    ],
    ids=["RequestVote", "AppendEntries", "RequestVoteReply", "AppendEntriesReply"],
)
def test_a_leader_that_hears_a_higher_term_becomes_a_follower_with_an_election_timer(
    event: Callable[[Node], None],
) -> None:
    """§5.1: and its election timer runs at once, or it might follow nobody for ever."""
    scenario = Scenario(3)
    scenario.elect(1)
    leader = scenario.servers[1]
    assert leader.timers_ns[-1] == HEARTBEAT_NS
    event(leader.node)
    leader.perform()
    assert (leader.node.role, leader.node.term) == (Role.FOLLOWER, 2)
    assert leader.timers_ns[-1] >= ELECTION_TIMEOUT_NS[0]


def test_a_leader_speaks_at_once_when_elected_and_at_every_heartbeat() -> None:
    """§5.2: it prevents new elections, idle or not."""
    scenario = Scenario(3)
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply, sender=2)
    assert {m.to for m in scenario.take(AppendEntries)} == {2, 3}
    for _ in range(3):
        scenario.time_out(1)
        assert {m.to for m in scenario.take(AppendEntries)} == {2, 3}
        assert scenario.servers[1].timers_ns[-1] == HEARTBEAT_NS


def test_messages_of_an_earlier_term_are_refused_and_change_nothing() -> None:
    """§5.1: their sender hears the present term."""
    server = Server(1, settings_of(3), log_of([1, 3]), HardState(3, 2))
    assert server.hear(append(2, 1, (1, 1), [2])._replace(sender=2)) == [
        AppendEntriesReply(3, 1, 2, success=False, log_index=1)
    ]
    assert server.hear(ask_vote(2, sender=3, last=(9, 2))) == [
        RequestVoteReply(3, 1, 3, granted=False)
    ]
    assert (server.node.term, server.node.voted_for, server.terms) == (3, 2, [1, 3])


def test_only_a_leader_sends_heartbeats() -> None:
    """§5.2: a host that asks a follower for one is late."""
    server = Server(1, settings_of(3))
    timers = len(server.timers_ns)
    server.node.heartbeat_timeout()
    assert server.perform() == []
    assert len(server.timers_ns) == timers


def test_a_server_alone_elects_itself_and_commits() -> None:
    """§5.2: it is a majority of one."""
    scenario = Scenario(1)
    scenario.elect(1)
    scenario.propose(1, "a")
    assert scenario.commit_indexes() == {1: 2}
    assert [e.command.op for e in scenario.servers[1].applied] == ["noop", "set"]
