"""Reads without a log entry: ReadIndex (thesis §6.4)."""

from __future__ import annotations

from raftmark.raft import AppendEntries, AppendEntriesReply, RequestVote, RequestVoteReply, Role
from raftmark.raft.client import Query, Readers, Value
from raftmark.raft.errors import NotLeader, RaftError, Unavailable
from raftmark.raft.messages import ADD_SERVER, REMOVE_SERVER, Command, Entry
from raftmark.raft.reads import ReadIndex, ReadRounds
from raftmark.raft.state_machine import StateMachine

from .scenario import Scenario, Server, append, settings_of


def waiting(readers: Readers, round_number: int, *keys: str) -> list[Value | RaftError]:
    """Let reads of these keys wait for a round; what they hear."""
    heard: list[Value | RaftError] = []
    readers.add(round_number, [Query(key, heard.append) for key in keys])
    return heard


def machine_at(index: int) -> StateMachine:
    """A state machine that has applied so many entries, each setting x to its index."""
    machine = StateMachine()
    machine.apply([Entry(1, Command("set", "x", str(n))) for n in range(1, index + 1)])
    return machine


def test_a_read_waits_until_a_majority_has_answered_its_round() -> None:
    """Thesis §6.4, step 3: and needs no entry of its own."""
    scenario = Scenario(5)
    scenario.elect(1)
    scenario.propose(1, Command("set", "x", "1"))
    scenario.settle()
    answers = scenario.read(1, "x")
    scenario.deliver(AppendEntries, to=2)
    scenario.deliver(AppendEntriesReply, sender=2)
    assert answers == []
    scenario.deliver(AppendEntries, to=4)
    scenario.deliver(AppendEntriesReply, sender=4)
    assert answers == [Value(2, "1")]
    scenario.settle()
    assert answers == [Value(2, "1")], "it is answered once"
    assert scenario.node(1).log.last_index == 2


def test_an_answer_to_an_earlier_round_confirms_nothing() -> None:
    """Thesis §6.4, step 3: the leader must learn it after the read was asked for."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.time_out(1)
    before = scenario.take(AppendEntries)
    answers = scenario.read(1, "x")
    after = scenario.take(AppendEntries)
    scenario.under_way += scenario.servers[2].hear(*before[:1])
    scenario.settle()
    assert answers == []
    scenario.under_way += scenario.servers[2].hear(*after[:1])
    scenario.settle()
    assert answers == [Value(1, None)]


def test_each_round_is_answered_anew() -> None:
    """Thesis §6.4, step 3: whoever followed in the round before may follow another by now."""
    scenario = Scenario(3)
    scenario.elect(1)
    assert scenario.read(1, "x") == []
    scenario.settle()
    scenario.isolate(1)
    assert scenario.read(1, "x") == []


def test_a_refusal_confirms_too() -> None:
    """Thesis §6.4: whoever refuses entries follows the leader all the same."""
    scenario = Scenario(3)
    scenario.elect(1)
    asked = scenario.node(1).read()
    assert asked is not None
    scenario.servers[1].perform()
    scenario.node(1).step(AppendEntriesReply(1, 2, 1, success=False, log_index=1, round=asked))
    assert scenario.node(1).ready().reads == [ReadIndex(asked, 1)]


def test_one_peers_answers_count_once() -> None:
    """Thesis §6.4: a majority of the servers, not of the answers."""
    scenario = Scenario(5)
    scenario.elect(1)
    asked = scenario.node(1).read()
    assert asked is not None
    scenario.servers[1].perform()
    reply = AppendEntriesReply(1, 2, 1, success=True, log_index=1, round=asked)
    scenario.node(1).step(reply)
    scenario.node(1).step(reply._replace(round=asked + 1))
    assert scenario.node(1).ready().reads == ()


def test_a_leader_that_has_committed_nothing_reads_at_its_own_first_entry() -> None:
    """Thesis §6.4, step 1: before that, it does not know what its predecessors committed."""
    scenario = Scenario(3, {1: [1, 1], 2: [1, 1], 3: [1, 1]})
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    leader = scenario.node(1)
    assert (leader.role, leader.commit_index) == (Role.LEADER, 0)
    scenario.under_way.clear()
    answers = scenario.read(1, "key-2")
    round_number = max(m.round for m in scenario.take() if isinstance(m, AppendEntries))
    confirming = AppendEntriesReply(2, 2, 1, success=True, log_index=2, round=round_number)
    scenario.servers[1].hear(confirming)
    assert answers == [], "confirmed, but what it is to see is not committed"
    scenario.servers[1].hear(confirming._replace(log_index=3))
    assert answers == [Value(3, "of term 1")]


def test_a_server_alone_confirms_its_reads_itself() -> None:
    """Thesis §6.4: it is a majority of one."""
    scenario = Scenario(1)
    scenario.elect(1)
    scenario.propose(1, Command("set", "x", "1"))
    assert scenario.read(1, "x") == [Value(2, "1")]


def test_the_reads_of_a_step_share_a_round() -> None:
    """Thesis §6.4: one round of heartbeats for any number of reads."""
    scenario = Scenario(3)
    scenario.elect(1)
    answers = [scenario.read(1, "x", serve=False) for _ in range(10)]
    scenario.servers[1].node.heartbeat_timeout()
    scenario.under_way += scenario.servers[1].perform()
    assert len(scenario.under_way) == 2
    scenario.settle()
    assert answers == [[Value(1, None)]] * 10


def test_a_follower_refuses_a_read_and_names_the_leader() -> None:
    """§8."""
    scenario = Scenario(3)
    scenario.elect(1)
    [answer] = scenario.read(2, "x")
    assert isinstance(answer, NotLeader)
    assert answer.leader == 1


def test_a_read_of_a_leader_deposed_in_the_same_step_is_refused() -> None:
    """Thesis §6.4: its round has not even begun."""
    scenario = Scenario(3)
    scenario.elect(1)
    leader = scenario.servers[1]
    answers = scenario.read(1, "x", serve=False)
    leader.hear(append(2, 1, (1, 1))._replace(sender=3))
    [answer] = answers
    assert isinstance(answer, NotLeader)
    assert answer.leader == 3
    # And it belongs to no later leadership's rounds.
    scenario.isolate()
    leader.node.election_timeout()
    leader.hear(RequestVoteReply(3, 2, 1, granted=True))
    assert leader.node.role is Role.LEADER
    assert leader.node.read() == 2


def test_a_learners_answer_confirms_nothing() -> None:
    """Thesis §6.4, §4.2.1: only who votes could elect another."""
    scenario = Scenario(2)
    scenario.elect(1)
    scenario.join(3)
    scenario.propose(1, Command(ADD_SERVER, "3"))
    scenario.settle()
    assert scenario.node(1).log.configuration.learners == (3,)
    scenario.isolate(2)
    answers = scenario.read(1, "x")
    assert any(isinstance(m, AppendEntries) and m.to == 3 for m in scenario.under_way)
    scenario.settle()
    assert answers == []


def test_a_read_that_waits_for_a_removed_server_waits_no_longer() -> None:
    """Thesis §6.4, §4.1: the majority is that of the latest configuration."""
    scenario = Scenario(2)
    scenario.elect(1)
    scenario.time_out(1)
    scenario.settle()
    scenario.isolate(2)
    answers = scenario.read(1, "x")
    assert answers == []
    scenario.propose(1, Command(REMOVE_SERVER, "2"))
    assert answers == [Value(2, None)]


def test_a_leader_on_its_way_out_does_not_count_itself() -> None:
    """Thesis §6.4, §4.2.2: only who votes could elect another."""
    scenario = Scenario(4)
    scenario.elect(1)
    scenario.isolate(3, 4)
    scenario.propose(1, Command(REMOVE_SERVER, "1"))
    answers = scenario.read(1, "x")
    scenario.settle()
    assert answers == [], "one of three has answered"
    scenario.heal()
    scenario.isolate(4)
    asked = scenario.node(1).read()
    assert asked is not None
    scenario.servers[1].perform()
    follower = AppendEntriesReply(1, 2, 1, success=True, log_index=1, round=asked)
    scenario.servers[1].hear(follower, follower._replace(sender=3))
    assert answers == [Value(1, None)]


def test_rounds_are_confirmed_in_order_and_each_once() -> None:
    rounds = ReadRounds()
    for index in (4, 4, 7):
        rounds.ask()
        rounds.begin(index)
    assert rounds.confirm([3, 2, 0], majority=2) == [ReadIndex(1, 4), ReadIndex(2, 4)]
    assert rounds.waiting
    assert rounds.confirm([3, 2, 0], majority=2) == []
    assert rounds.confirm([3, 3, 0], majority=2) == [ReadIndex(3, 7)]
    assert not rounds.waiting


def test_rounds_that_are_lost_are_lost_once() -> None:
    rounds = ReadRounds()
    rounds.ask()
    rounds.begin(4)
    assert rounds.ask() == 2
    assert rounds.lose() == [ReadIndex(1, None), ReadIndex(2, None)]
    assert rounds.lose() == []
    assert rounds.ask() == 3


def test_a_confirmed_read_waits_until_its_index_is_applied() -> None:
    """Thesis §6.4, step 4."""
    readers = Readers()
    heard = waiting(readers, 1, "x", "y")
    later = waiting(readers, 2, "x")
    readers.resolve([ReadIndex(1, 3)], machine_at(2), 1)
    assert heard == []
    readers.resolve((), machine_at(4), 1)
    assert heard == [Value(4, "4"), Value(4, None)]
    assert later == []
    readers.resolve([ReadIndex(2, 4)], machine_at(4), 1)
    assert later == [Value(4, "4")]


def test_reads_that_shared_a_lost_round_hear_who_may_lead() -> None:
    readers = Readers()
    heard = waiting(readers, 1, "x", "y")
    readers.resolve([ReadIndex(1, None)], machine_at(0), 3)
    assert [(type(answer), getattr(answer, "leader", None)) for answer in heard] == [
        (NotLeader, 3)
    ] * 2


def test_abandoned_readers_hear_it_once() -> None:
    readers = Readers()
    asked, confirmed = waiting(readers, 2, "x"), waiting(Readers(), 1, "x")
    confirmed = waiting(readers, 3, "x")
    readers.resolve([ReadIndex(2, 9)], machine_at(0), 1)
    for _ in range(2):
        readers.abandon(Unavailable("down"))
    assert [type(answer) for answer in (*asked, *confirmed)] == [Unavailable] * 2


def test_a_read_crosses_a_snapshot() -> None:
    """Thesis §6.4; §7: what a snapshot covers is applied."""
    server = Server(1, settings_of(1))
    server.node.timeout()
    server.perform()
    server.propose([])
    heard: list[Value | RaftError] = []
    server.read([Query("x", heard.append)])
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    server.perform()
    assert heard == [Value(1, None)]
