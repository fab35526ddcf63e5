"""The pre-vote, and the two legs of the election timer that it rests on (thesis §9.6)."""

from __future__ import annotations

import pytest

from raftmark.raft import AppendEntries, HardState, RequestVote, RequestVoteReply, Role

from .scenario import ELECTION_TIMEOUT_NS, Scenario, Server, append, log_of, settings_of

LOW, HIGH = ELECTION_TIMEOUT_NS
GRANTED = RequestVoteReply(1, 2, 1, granted=True, pre_vote=True)


def server_of(nodes: int = 3, log: tuple[int, ...] = (), draw: float = 0.5) -> Server:
    """Server 1 of a cluster with pre-votes, in the term of its last entry."""
    settings = settings_of(nodes, pre_vote=True)
    return Server(1, settings, log_of(log), HardState(max((0, *log))), lambda: draw)


def ask(term: int, last: tuple[int, int] = (0, 0), sender: int = 2) -> RequestVote:
    """The question whether `sender`, whose log ends with `last`, would get a vote in `term`."""
    return RequestVote(term, sender, 1, *last, pre_vote=True)


def heartbeat(term: int = 1) -> AppendEntries:
    """A heartbeat from leader 2, whose log is empty."""
    return append(term, 1, (0, 0))._replace(sender=2)


def test_a_server_asks_before_it_stands_and_changes_nothing_by_it() -> None:
    """Thesis §9.6: it increments its term only if a majority would vote for it."""
    server = server_of(log=(1, 2))
    server.node.timeout()
    assert server.perform() == [
        RequestVote(3, 1, 2, 2, 2, pre_vote=True),
        RequestVote(3, 1, 3, 2, 2, pre_vote=True),
    ]
    assert (server.node.role, server.node.term) == (Role.PRE_CANDIDATE, 2)
    assert server.node.voted_for is None
    assert server.storage.load().hard_state == HardState(2, None)


def test_a_majority_of_pre_votes_begins_the_election() -> None:
    """Thesis §9.6: its own counts, as in the election."""
    server = server_of(5)
    server.node.timeout()
    server.perform()
    server.hear(GRANTED, GRANTED)
    assert server.node.term == 0, "two answers of one server count once"
    votes = server.hear(GRANTED._replace(sender=3))
    assert (server.node.role, server.node.term, server.node.voted_for) == (Role.CANDIDATE, 1, 1)
    assert votes == [RequestVote(1, 1, to, 0, 0) for to in (2, 3, 4, 5)]
    assert server.hear(GRANTED._replace(sender=4)) == []
    assert server.node.role is Role.CANDIDATE, "a pre-vote is no vote"


def test_a_server_alone_needs_no_other() -> None:
    """Thesis §9.6, §5.2: it is a majority of one."""
    server = server_of(1)
    server.node.timeout()
    assert (server.node.role, server.node.term) == (Role.LEADER, 1)


def test_a_refusal_begins_nothing_and_a_later_term_is_entered() -> None:
    """Thesis §9.6; §5.1."""
    server = server_of()
    server.node.timeout()
    server.perform()
    server.hear(GRANTED._replace(term=0, granted=False))
    assert (server.node.role, server.node.term) == (Role.PRE_CANDIDATE, 0)
    server.hear(GRANTED._replace(term=4, granted=False))
    assert (server.node.role, server.node.term) == (Role.FOLLOWER, 4)


def test_a_pre_vote_for_another_term_is_ignored() -> None:
    """§5.1: it answers an earlier question, and tells of no term that anyone is in."""
    server = server_of(log=(1,))
    server.node.timeout()
    server.perform()
    server.hear(GRANTED, GRANTED._replace(term=3))
    assert (server.node.role, server.node.term) == (Role.PRE_CANDIDATE, 1)
    server.hear(heartbeat(1), GRANTED._replace(term=2))
    assert (server.node.role, server.node.term) == (Role.FOLLOWER, 1)


def test_a_pre_candidate_that_waits_in_vain_asks_again_in_the_same_term() -> None:
    """Thesis §9.6: whoever is cut off does not run ahead in term."""
    server = server_of()
    for _ in range(5):
        server.node.timeout()
        assert server.perform() == [RequestVote(1, 1, to, 0, 0, pre_vote=True) for to in (2, 3)]


@pytest.mark.parametrize(
    ("question", "granted"),
    [
        (ask(3, (2, 2)), True),
        (ask(9, (1, 3)), True),
        (ask(3, (1, 2)), False),
        (ask(3, (7, 1)), False),
        (ask(2, (2, 2)), False),
        (ask(1, (2, 2)), False),
    ],
    ids=["as good", "later", "shorter log", "earlier log", "the present term", "an earlier term"],
)
def test_a_pre_vote_needs_a_later_term_and_an_up_to_date_log(
    question: RequestVote, granted: bool
) -> None:
    """Thesis §9.6: it is granted where a vote would be, in the term that it is about."""
    server = server_of(log=(1, 2))
    before = len(server.timers_ns)
    term = question.term if granted else 2
    assert server.hear(question) == [RequestVoteReply(term, 1, 2, granted, pre_vote=True)]
    assert (server.node.term, server.node.voted_for) == (2, None), "it binds to nothing"
    assert server.storage.load().hard_state == HardState(2, None)
    assert len(server.timers_ns) == before


def test_whoever_hears_of_a_leader_refuses_pre_votes_for_the_least_election_timeout() -> None:
    """Thesis §9.6, §4.2.3: until then, whoever asks is taken to be cut off."""
    server = server_of()
    server.hear(heartbeat())
    refused = [RequestVoteReply(1, 1, 3, False, pre_vote=True)]
    assert server.hear(ask(2, sender=3)) == refused
    assert server.timers_ns[-1] == LOW
    server.node.timeout()
    server.perform()
    assert server.node.leader == 2, "its own timeout is longer"
    assert server.timers_ns[-1] == (HIGH - LOW) // 2
    assert server.hear(ask(2, sender=3)) == [RequestVoteReply(2, 1, 3, True, pre_vote=True)]
    server.node.timeout()
    assert server.node.role is Role.PRE_CANDIDATE


def test_a_leader_refuses_pre_votes() -> None:
    """Thesis §9.6: it has heard of a leader, namely of itself."""
    scenario = Scenario(3, pre_vote=True)
    scenario.elect(1)
    question = ask(9, (9, 9))
    assert scenario.servers[1].hear(question) == [RequestVoteReply(1, 1, 2, False, pre_vote=True)]


def test_a_heartbeat_begins_both_legs_anew() -> None:
    """§5.2: with the timeout that was drawn when that leader was first heard of."""
    draws = iter([0.9, 0.2, 0.8])
    settings = settings_of(3, pre_vote=True)
    server = Server(1, settings, draw=lambda: next(draws))
    server.hear(heartbeat())
    server.node.timeout()
    server.perform()
    server.hear(heartbeat())
    server.node.timeout()
    server.perform()
    assert server.timers_ns[1:] == [LOW, int((HIGH - LOW) * 0.2)] * 2
    server.node.timeout()
    server.perform()
    assert server.node.role is Role.PRE_CANDIDATE
    assert server.timers_ns[-1] == LOW + int((HIGH - LOW) * 0.8), "no leader, no legs"


def test_the_shortest_timeout_has_one_leg() -> None:
    """§5.2: nothing is left of it when the least timeout has passed."""
    server = server_of(draw=0.0)
    server.hear(heartbeat())
    server.node.timeout()
    assert server.node.role is Role.PRE_CANDIDATE


def test_a_term_heard_of_in_the_first_leg_takes_nothing_off_the_timeout() -> None:
    """§5.2: or all that heard the same leader would stand at once, and split their votes."""
    server = server_of(log=(1,))
    server.hear(append(1, 1, (1, 1))._replace(sender=2))
    server.hear(RequestVote(7, 3, 1, 0, 0))
    assert (server.node.term, server.node.voted_for) == (7, None)
    server.node.timeout()
    assert server.perform() == []
    assert server.timers_ns[-2:] == [LOW, (HIGH - LOW) // 2]
    server.node.timeout()
    assert server.node.role is Role.PRE_CANDIDATE


@pytest.mark.parametrize("check_quorum", [False, True])
def test_a_server_that_was_cut_off_does_not_disturb_when_it_returns(check_quorum: bool) -> None:
    """Thesis §9.6: its term has not grown, and its questions are refused."""
    scenario = Scenario(3, pre_vote=True, check_quorum=check_quorum)
    scenario.time_out(1)
    scenario.settle()
    scenario.isolate(3)
    for _ in range(7):
        scenario.time_out(3)
    assert (scenario.node(3).role, scenario.node(3).term) == (Role.PRE_CANDIDATE, 1)
    scenario.propose(1, "a")
    scenario.settle()
    scenario.heal()
    scenario.time_out(3)
    scenario.settle()
    scenario.time_out(1)
    scenario.settle()
    assert [scenario.node(n).term for n in (1, 2, 3)] == [1, 1, 1]
    assert [scenario.node(n).leader for n in (1, 2, 3)] == [1, 1, 1]
    assert scenario.servers[3].terms == [1, 1]
