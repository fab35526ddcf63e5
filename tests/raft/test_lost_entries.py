"""A follower that has lost what it had acknowledged: it is told from an old refusal, and said.

Raft's promise rests on that this does not happen (figure 2, persistent state).
"""

from __future__ import annotations

from raftmark.raft import AppendEntries, AppendEntriesReply, HardState, Save
from raftmark.raft.node import LostEntries
from raftmark.raft.storage import MemoryStorage

from .scenario import Scenario


def leading(**others: int) -> Scenario:
    """Node 1 leads in term 1, and all have the no-op and three entries."""
    scenario = Scenario(3, **others)
    scenario.elect(1)
    scenario.propose(1, "a", "b", "c")
    scenario.settle()
    return scenario


def damage(scenario: Scenario, n: int, first: int) -> None:
    """Node `n` begins a new life without its log from `first` on, but with its term and vote."""
    server = scenario.servers[n]
    saved = server.storage.load()
    scenario.crash(n)
    server.storage = MemoryStorage()
    server.storage.save(Save(saved.hard_state, 1, tuple(saved.entries[: first - 1])))
    scenario.restart(n)


def beat(scenario: Scenario, times: int = 1) -> None:
    """Heartbeats pass, and all that follows on them."""
    for _ in range(times):
        scenario.time_out(1)
        scenario.settle()


def test_a_follower_that_lost_its_log_gets_it_again_and_the_leader_says_so() -> None:
    """Figure 2 (persistent state): the log is part of it, so this is said and not only mended."""
    for first in (1, 2, 4):
        scenario = leading()
        damage(scenario, 3, first)
        beat(scenario, 3)
        assert scenario.node(1).lost == [LostEntries(3, first, 4)]
        assert scenario.servers[3].terms == [1] * 4
        assert scenario.commit_indexes()[3] == 4


def test_it_is_found_under_load_too() -> None:
    scenario = leading()
    damage(scenario, 3, 2)
    for _ in range(3):
        scenario.propose(1, "d")
        beat(scenario)
    assert scenario.node(1).lost == [LostEntries(3, 2, 4)]
    assert scenario.servers[3].terms == [1] * 7


def test_it_is_handed_out_once() -> None:
    scenario = leading()
    damage(scenario, 3, 2)
    leader = scenario.servers[1]
    handed: list[LostEntries] = []
    for _ in range(6):
        scenario.node(1).heartbeat_timeout()
        ready = scenario.node(1).ready()
        handed += ready.lost
        for message in ready.messages:
            for reply in scenario.servers[message.to].hear(message):
                leader.node.step(reply)
    assert handed == [LostEntries(3, 2, 4)]


def test_what_is_compacted_away_comes_as_a_snapshot() -> None:
    scenario = leading(max_entries=2)
    scenario.compact(1)
    damage(scenario, 3, 2)
    beat(scenario, 3)
    assert scenario.node(1).lost == [LostEntries(3, 2, 4)]
    assert scenario.servers[3].machine.items() == scenario.servers[1].machine.items()
    scenario.propose(1, "d")
    scenario.settle()
    assert scenario.servers[3].node.log.last_index == 5


def test_old_refusals_are_no_loss_however_often_they_come() -> None:
    """§5.3: messages may be late, and more than once."""
    scenario = leading()
    for log_index in (1, 4, 4, 3, 4):
        refusal = AppendEntriesReply(1, 3, 1, False, log_index, 0, 0)
        scenario.servers[1].hear(refusal, refusal)
        beat(scenario)
        scenario.propose(1, "d")
        scenario.settle()
    assert scenario.node(1).lost == []
    assert scenario.node(1)._progress[3].match_index == 9


def test_a_refusal_that_a_later_entry_overtook_is_no_loss() -> None:
    """§5.3: even if it was asked in a new round, as the acknowledgement is newer still."""
    scenario = leading()
    leader, follower = scenario.servers[1], scenario.servers[3]
    leader.hear(AppendEntriesReply(1, 3, 1, False, 4, 0, 0))
    scenario.propose(1, "d")
    [fifth] = scenario.take(AppendEntries, to=3)
    scenario.propose(1, "e")
    [sixth] = scenario.take(AppendEntries, to=3)
    assert isinstance(sixth, AppendEntries)
    assert sixth.round == 1
    [late] = follower.hear(sixth)
    assert isinstance(late, AppendEntriesReply)
    assert not late.success
    leader.hear(*follower.hear(fifth), *follower.hear(sixth))
    assert scenario.node(1)._progress[3].match_index == 6
    leader.hear(late)
    beat(scenario)
    assert scenario.node(1).lost == []
    assert scenario.node(1)._progress[3].match_index == 6


def test_acknowledgements_of_the_lost_log_do_not_count() -> None:
    """Figure 2 (matchIndex): they say what was there, and nothing may be committed by them."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.isolate(2)
    scenario.propose(1, "a")
    scenario.settle()
    damage(scenario, 3, 2)
    scenario.node(1).heartbeat_timeout()
    leader, follower = scenario.servers[1], scenario.servers[3]
    late = [AppendEntriesReply(1, 3, 1, success=True, log_index=i, round=1) for i in (2, 3)]
    while not scenario.node(1).lost:
        for message in leader.perform():
            if message.to == 3:
                leader.node.step(follower.hear(message)[0])
        scenario.node(1).heartbeat_timeout()
    scenario.under_way.clear()
    leader.perform()
    leader.hear(*late)
    assert scenario.node(1)._progress[3].match_index == 0
    scenario.propose(1, "b")
    leader.hear(*late)
    assert scenario.node(1).commit_index == 2


def test_reads_that_wait_are_answered_all_the_same() -> None:
    """A new round that no read asked for takes none away."""
    scenario = leading()
    damage(scenario, 3, 2)
    answers = [scenario.read(1, "a", serve=False)]
    beat(scenario)
    answers.append(scenario.read(1, "b"))
    scenario.settle()
    beat(scenario, 2)
    assert [len(answer) for answer in answers] == [1, 1]
    assert scenario.node(1).lost == [LostEntries(3, 2, 4)]


def test_a_new_leader_knows_of_no_loss() -> None:
    """What another leader was told it cannot know; nor does it go on saying it."""
    scenario = leading()
    damage(scenario, 3, 2)
    beat(scenario, 3)
    scenario.elect(2)
    assert scenario.node(1).lost == []
    assert scenario.node(2).lost == []


def test_a_loss_of_nothing_that_was_acknowledged_is_none() -> None:
    scenario = leading()
    scenario.isolate(3)
    scenario.propose(1, "d")
    scenario.settle()
    scenario.heal()
    scenario.crash(3)
    scenario.restart(3)
    beat(scenario, 2)
    assert scenario.node(1).lost == []
    assert scenario.servers[3].terms == [1] * 5
    assert scenario.servers[3].node.term == HardState(1, 1).term
