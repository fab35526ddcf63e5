"""A leader that hears of no majority, and followers that keep the leader they hear of.

Sections are those of Ongaro's thesis: §6.2 (a leader steps down), §4.2.3 (a server that was
removed or cut off must not disturb).
"""

from __future__ import annotations

import pytest

from raftmark.raft import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply, Role
from raftmark.raft.messages import ADD_SERVER, Command, InstallSnapshotReply, TimeoutNow
from raftmark.raft.reads import ReadIndex

from .scenario import ELECTION_TIMEOUT_NS, HEARTBEAT_NS, Scenario, Server, append, settings_of

BEATS = -(-ELECTION_TIMEOUT_NS[0] // HEARTBEAT_NS)


def leader_of(nodes: int = 3, **others: bool) -> Server:
    """Server 1, which leads term 1, after a first whole election timeout."""
    server = Server(1, settings_of(nodes, check_quorum=True, **others))
    server.node.election_timeout()
    server.hear(*(RequestVoteReply(1, n, 1, granted=True) for n in range(2, nodes + 1)))
    assert server.node.role is Role.LEADER
    # The election was the first beat.
    beat(server, BEATS - 1)
    return server


def beat(server: Server, times: int = BEATS) -> None:
    """Heartbeat intervals pass."""
    for _ in range(times):
        server.node.timeout()
        server.perform()


def answer(sender: int) -> AppendEntriesReply:
    """Follower `sender` of term 1 has not got anything yet."""
    return AppendEntriesReply(1, sender, 1, success=True, log_index=0)


def test_a_leader_that_hears_of_no_majority_steps_down_after_an_election_timeout() -> None:
    """Thesis §6.2: or clients would wait for it for ever. It begins no term."""
    server = leader_of(5)
    server.hear(answer(2))
    beat(server, BEATS - 1)
    assert server.node.role is Role.LEADER
    beat(server, 1)
    assert (server.node.role, server.node.term, server.node.voted_for) == (Role.FOLLOWER, 1, 1)
    assert server.node.leader is None
    low, high = ELECTION_TIMEOUT_NS
    assert low <= server.timers_ns[-1] <= high, "what runs now is an election timer"


def test_a_leader_that_a_majority_answers_goes_on() -> None:
    """Thesis §6.2: it is one of the majority itself."""
    server = leader_of(5)
    for _ in range(4):
        server.hear(answer(2), answer(3))
        beat(server)
        assert server.node.role is Role.LEADER


@pytest.mark.parametrize(
    "reply",
    [
        answer(2)._replace(success=False),
        InstallSnapshotReply(1, 2, 1, snapshot_index=9, received=0),
    ],
    ids=["a refusal", "a piece of a snapshot"],
)
def test_any_answer_of_the_term_tells_that_a_follower_is_there(reply: AppendEntriesReply) -> None:
    """Thesis §6.2: heartbeats answered, whatever the answer."""
    server = leader_of()
    server.hear(reply)
    beat(server)
    assert server.node.role is Role.LEADER


def test_an_answer_of_an_earlier_term_tells_nothing() -> None:
    """Thesis §6.2; §5.1."""
    server = leader_of()
    server.hear(answer(2)._replace(term=0))
    beat(server)
    assert server.node.role is Role.FOLLOWER


def test_a_learner_is_no_quorum() -> None:
    """Thesis §6.2, §4.2.1: only who votes could elect another."""
    scenario = Scenario(2, check_quorum=True)
    scenario.elect(1)
    scenario.join(3)
    scenario.isolate(2)
    scenario.propose(1, Command(ADD_SERVER, "3"))
    for _ in range(2 * BEATS - 1):
        assert scenario.node(1).role is Role.LEADER
        scenario.time_out(1)
        scenario.settle()
    assert scenario.node(1).role is Role.FOLLOWER


def test_a_server_alone_is_its_own_quorum() -> None:
    """Thesis §6.2."""
    server = Server(1, settings_of(1, check_quorum=True))
    server.node.timeout()
    beat(server, 5 * BEATS)
    assert server.node.role is Role.LEADER


def test_without_the_setting_a_leader_stays() -> None:
    """§5: as the paper has it, it leads until it hears of a later term."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.isolate(1)
    for _ in range(5 * BEATS):
        scenario.time_out(1)
    assert scenario.node(1).role is Role.LEADER


def test_reads_and_a_transfer_end_with_the_leadership() -> None:
    """Thesis §6.4, §3.10: what a leader has begun, it can no longer finish."""
    server = leader_of()
    server.hear(AppendEntriesReply(1, 2, 1, success=True, log_index=1))
    beat(server)
    asked = server.node.read()
    assert asked is not None
    server.perform()
    for _ in range(BEATS):
        server.node.timeout()
        ready = server.node.ready()
    assert server.node.role is Role.FOLLOWER
    assert ready.reads == [ReadIndex(asked, None)]
    assert server.node.leader_hint is None


def test_a_vote_is_not_even_considered_while_a_leader_is_heard_of() -> None:
    """Thesis §4.2.3: no answer, no new term, for the least election timeout."""
    server = Server(1, settings_of(3, check_quorum=True))
    server.hear(append(1, 1, (0, 0))._replace(sender=2))
    stranger = RequestVote(7, 3, 1, 9, 9)
    assert server.hear(stranger) == []
    assert (server.node.term, server.node.leader) == (1, 2)

    server.node.timeout()
    server.perform()
    assert server.hear(stranger) == [RequestVoteReply(7, 1, 3, granted=True)]


def test_a_leader_considers_no_vote_either() -> None:
    """Thesis §4.2.3: it steps down for want of followers, or for a later leader."""
    server = leader_of()
    assert server.hear(RequestVote(7, 3, 1, 9, 9)) == []
    assert (server.node.role, server.node.term) == (Role.LEADER, 1)
    server.hear(AppendEntries(7, 3, 1, 0, 0, (), 0))
    assert (server.node.role, server.node.term, server.node.leader) == (Role.FOLLOWER, 7, 3)


def test_a_candidate_that_the_leader_has_sent_is_heard() -> None:
    """Thesis §4.2.3, §3.10: the leader knows, and so it does not disturb."""
    server = Server(1, settings_of(3, check_quorum=True))
    server.hear(append(1, 1, (0, 0))._replace(sender=2))
    sent = RequestVote(2, 3, 1, 0, 0, transfer=True)
    assert server.hear(sent) == [RequestVoteReply(2, 1, 3, granted=True)]


def test_a_leader_in_transfer_is_replaced_by_its_successor() -> None:
    """Thesis §3.10, §4.2.3: whatever is checked or asked before."""
    scenario = Scenario(3, pre_vote=True, check_quorum=True)
    scenario.time_out(1)
    scenario.settle()
    assert scenario.transfer(1, 3)
    scenario.deliver(TimeoutNow)
    scenario.settle()
    assert [scenario.node(n).leader for n in (1, 2, 3)] == [3, 3, 3]


def test_a_returning_server_with_a_later_term_gets_its_leader_all_the_same() -> None:
    """Thesis §4.2.3; §5.1: the leader hears of the term in answer to its heartbeats."""
    scenario = Scenario(3, check_quorum=True)
    scenario.elect(1)
    scenario.isolate(3)
    for _ in range(6):
        scenario.time_out(3)
    assert scenario.node(3).term > 1
    scenario.heal()
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(1).role is Role.FOLLOWER
    for _ in range(3):
        scenario.time_out(2)
    scenario.settle()
    scenario.time_out(2)
    scenario.settle()
    assert [scenario.node(n).leader for n in (1, 2, 3)] == [2, 2, 2]
