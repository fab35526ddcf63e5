"""Log compaction (§7): when a snapshot is taken, what it replaces, how a follower gets one."""

from __future__ import annotations

import pytest

from raftmark.raft import AppendEntries, AppendEntriesReply, HardState, RequestVote, Save
from raftmark.raft.messages import (
    REMOVE_SERVER,
    Command,
    Configuration,
    InstallSnapshot,
    InstallSnapshotReply,
    Item,
    Snapshot,
)

from .scenario import Scenario, Server, append, entry, log_of, settings_of

MEMBERS = Configuration((1, 2, 3))
ITEMS = tuple(Item(f"key-{n}", f"value {n}", 0) for n in range(1, 5))


def piece(
    offset: int, count: int = 2, *, term: int = 3, sender: int = 2, index: int = 8
) -> InstallSnapshot:
    """A piece of a leader's snapshot at `index`, whose entry is of term 2: four items in all."""
    items = ITEMS[offset : offset + count]
    done = offset + count >= len(ITEMS)
    return InstallSnapshot(term, sender, 1, index, 2, MEMBERS, offset, items, done)


def taken(received: int, sender: int = 2, term: int = 3) -> list[InstallSnapshotReply]:
    """The answer of one that has so many items."""
    return [InstallSnapshotReply(term, 1, sender, 8, received)]


def installed(sender: int = 2, term: int = 3) -> list[AppendEntriesReply]:
    """The answer of one that has the snapshot, or more than it."""
    return [AppendEntriesReply(term, 1, sender, success=True, log_index=8)]


def behind(window: int = 16, max_entries: int = 2) -> Scenario:
    """Node 3 lacks what the others have compacted: the no-op, eight keys and nothing else."""
    scenario = Scenario(3, max_entries=max_entries, window=window)
    scenario.elect(1)
    scenario.isolate(3)
    scenario.propose(1, *"abcdefgh")
    scenario.settle()
    scenario.compact(1)
    scenario.heal()
    scenario.time_out(1)
    return scenario


def first_piece(scenario: Scenario) -> None:
    """Let the leader learn what node 3 lacks, and send it the first piece."""
    scenario.deliver(AppendEntries)
    scenario.deliver(AppendEntriesReply)


# -- taking ---------------------------------------------------------------------------------


def test_a_snapshot_is_due_at_each_multiple_of_the_setting() -> None:
    """§7: when the log has grown by so much, whatever was left of it by the last one."""
    server = Server(1, settings_of(3, snapshot_entries=8))
    taken_at: list[int] = []
    for index in range(1, 26):
        server.hear(append(1, 1, (index - 1, min(1, index - 1)), [1], commit=index))
        if server.node.snapshot.last_index not in (0, *taken_at):
            taken_at.append(server.node.snapshot.last_index)
    assert taken_at == [8, 16, 24]


def test_where_the_setting_is_zero_a_snapshot_is_never_due() -> None:
    server = Server(1, settings_of(3, snapshot_entries=0))
    server.hear(append(1, 1, (0, 0), [1] * 50_000, commit=50_000))
    assert server.machine.applied_index == 50_000
    assert not server.node.snapshot_due
    assert server.node.log.first_index == 1


def test_a_snapshot_is_the_state_and_keeps_a_tail_for_followers_that_lag() -> None:
    """§7: the last quarter of the setting, counted from the multiple of it, on every node."""
    for batch in (8, 11):
        server = Server(1, settings_of(3, snapshot_entries=8))
        server.hear(append(1, 1, (0, 0), [1] * batch, commit=batch))
        snapshot = server.node.snapshot
        assert (snapshot.last_index, snapshot.last_term) == (batch, 1)
        assert snapshot.configuration == MEMBERS
        assert set(snapshot.items) == set(server.machine.items())
        assert server.node.log.first_index == 7


def test_an_operators_snapshot_keeps_nothing() -> None:
    """§7: but what is not committed is none of its business."""
    server = Server(1, settings_of(3))
    server.hear(append(1, 1, (0, 0), [1] * 5, commit=3))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    log = server.node.log
    assert (log.first_index, log.last_index) == (4, 5)
    assert log.term_at(3) == 1


def test_a_snapshot_without_news_changes_nothing() -> None:
    server = Server(1, settings_of(3))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    assert server.node.ready().save is None
    server.hear(append(1, 1, (0, 0), [1], commit=1))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    assert server.node.ready().save is not None
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    assert server.node.ready().save is None


def test_a_saved_snapshot_replaces_all_that_was_saved() -> None:
    """§7: and a new life begins with it, with the entries after it, term and vote."""
    server = Server(1, settings_of(3), hard_state=HardState(4, 3))
    server.hear(append(4, 1, (0, 0), [1, 2, 3, 4, 4], commit=3))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    ready = server.node.ready()
    state = server.machine.state_hash()
    snapshot = Snapshot(3, 3, MEMBERS, server.machine.items())
    entries = (entry(4, 4), entry(4, 5))
    assert ready.save == Save(HardState(4, 3), 4, entries, snapshot, (1, 2, 3))

    server.save(ready)
    server.crash()
    server.begin()
    assert (server.node.term, server.node.voted_for) == (4, 3)
    assert server.terms == [4, 4]
    assert (server.node.commit_index, server.machine.applied_index) == (3, 3)
    assert server.machine.state_hash() == state
    server.hear(append(4, 1, (5, 4), [4], commit=6))
    assert server.machine.applied_index == 6


def test_a_snapshot_that_was_not_saved_is_forgotten() -> None:
    """§7: with nothing lost that it had replaced."""
    server = Server(1, settings_of(3))
    server.hear(append(1, 1, (0, 0), [1] * 4, commit=4))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    server.node.ready()
    server.crash()
    server.begin()
    assert server.terms == [1, 1, 1, 1]
    assert server.node.snapshot.last_index == 0


def test_what_is_saved_after_a_snapshot_follows_it() -> None:
    """§7, §5.3: a conflict too, in memory as in the storage."""
    server = Server(1, settings_of(3))
    server.hear(append(1, 1, (0, 0), [1] * 5, commit=2))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    server.hear(append(1, 1, (5, 1), [1]))
    server.hear(append(2, 1, (3, 1), [2])._replace(sender=2))
    assert server.terms == [1, 2]
    server.crash()
    server.begin()
    assert (server.node.log.first_index, server.terms) == (3, [1, 2])


def test_a_compacted_log_votes_and_stands_as_if_it_were_whole() -> None:
    """§7, §5.4.1: its end is the snapshot's, if nothing follows."""
    server = Server(1, settings_of(3))
    server.hear(append(2, 1, (0, 0), [1, 2], commit=2))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    server.perform()
    server.crash()
    server.begin()
    server.node.timeout()
    assert server.perform() == [RequestVote(3, 1, to, 2, 2) for to in (2, 3)]


def test_entries_from_before_the_snapshot_are_taken_for_what_they_were() -> None:
    """§7, §5.4.3: they were committed, so that every leader's are the same."""
    server = Server(1, settings_of(3))
    server.hear(append(1, 1, (0, 0), [1] * 4, commit=4))
    server.node.take_snapshot(server.machine.items(), keep_tail=False)
    server.perform()
    replies = server.hear(append(1, 1, (1, 1), [1] * 5, commit=6), append(1, 1, (2, 1)))
    assert [(m.success, m.log_index) for m in replies if isinstance(m, AppendEntriesReply)] == [
        (True, 6),
        (True, 2),
    ]
    assert (server.node.log.first_index, server.terms) == (5, [1, 1])
    assert server.applied == log_of([1] * 6)


# -- sending ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_entries", "window"), [(1, 16), (3, 1), (1024, 16)])
def test_a_follower_that_lacks_what_is_compacted_gets_the_snapshot(
    max_entries: int, window: int
) -> None:
    """§7, figure 13: in pieces, and then what follows it."""
    scenario = behind(window, max_entries)
    scenario.settle()
    leader, follower = scenario.servers[1], scenario.servers[3]
    assert follower.machine.state_hash() == leader.machine.state_hash()
    assert follower.node.snapshot == leader.node.snapshot
    scenario.propose(1, "i", "j")
    scenario.settle()
    assert follower.terms == [1, 1]
    follower.crash()
    follower.begin()
    assert follower.machine.get("h") == "h"


def test_one_piece_at_a_time_is_under_way_each_follows_what_was_received() -> None:
    """§7, figure 13."""
    scenario = behind()
    first_piece(scenario)
    for offset in (0, 2, 4, 6):
        scenario.propose(1, "z", serve=True)
        [message] = [m for m in scenario.under_way if isinstance(m, InstallSnapshot)]
        assert (message.offset, len(message.items), message.done) == (offset, 2, offset == 6)
        scenario.deliver(InstallSnapshot)
        if offset < 6:
            scenario.deliver(InstallSnapshotReply)
    scenario.settle()
    assert scenario.servers[3].terms == [1] * 4


def test_a_lost_piece_is_sent_again_at_a_heartbeat() -> None:
    """§7: a heartbeat asks a follower that waits for pieces how many it has, and brings none."""
    scenario = behind()
    first_piece(scenario)
    [lost] = scenario.take(InstallSnapshot)
    assert isinstance(lost, InstallSnapshot)
    for _ in range(3):
        scenario.time_out(1)
        [heartbeat] = scenario.take(to=3)
        assert heartbeat == lost._replace(items=())
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(3).commit_index == 9


def test_a_repeated_answer_does_not_repeat_the_next_piece() -> None:
    """§7: or each message that is doubled would double all that follow."""
    scenario = behind()
    first_piece(scenario)
    scenario.deliver(InstallSnapshot)
    [reply] = scenario.take(InstallSnapshotReply)
    scenario.under_way.clear()
    assert len(scenario.servers[1].hear(reply)) == 1
    assert scenario.servers[1].hear(reply) == []


def test_a_follower_that_has_forgotten_its_pieces_gets_them_anew() -> None:
    """§7: pieces are not saved before the snapshot is whole."""
    scenario = behind()
    first_piece(scenario)
    scenario.deliver(InstallSnapshot)
    scenario.deliver(InstallSnapshotReply)
    scenario.crash(3)
    scenario.restart(3)
    scenario.settle()
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(3).commit_index == 9
    assert scenario.servers[3].machine.get("h") == "h"


def test_a_leader_that_compacts_again_ends_what_it_has_begun() -> None:
    """§7: pieces of two snapshots do not mix; what the first lacks follows as the second."""
    scenario = behind()
    first_piece(scenario)
    scenario.deliver(InstallSnapshot)
    scenario.propose(1, "i")
    scenario.deliver(AppendEntries)
    scenario.deliver(AppendEntriesReply)
    scenario.compact(1)
    assert scenario.node(1).snapshot.last_index == 10
    scenario.settle()
    scenario.time_out(1)
    scenario.settle()
    assert scenario.node(3).snapshot.last_index == 10
    assert scenario.servers[3].machine.get("i") == "i"


def test_an_answer_of_a_later_term_deposes_the_leader() -> None:
    """§5.1, figure 13."""
    scenario = behind()
    scenario.node(1).step(InstallSnapshotReply(9, 3, 1, 9, 0))
    assert (scenario.node(1).leader, scenario.node(1).term) == (None, 9)


# -- receiving -------------------------------------------------------------------------------


def test_a_follower_puts_the_pieces_together() -> None:
    """§7, figure 13: and has the snapshot saved before it says so."""
    server = Server(1, settings_of(3), log_of([1, 1]), HardState(1))
    assert server.hear(piece(0)) == taken(2)
    assert server.machine.applied_index == 0
    server.node.step(piece(2))
    ready = server.node.ready()
    assert ready.messages == installed()
    snapshot = Snapshot(8, 2, MEMBERS, ITEMS)
    assert ready.save == Save(HardState(3, None), 9, (), snapshot, (1, 2, 3))
    assert (ready.snapshot, ready.committed) == (snapshot, ())
    server.save(ready)
    server.restore(ready)
    server.apply(ready)
    assert (server.machine.applied_index, server.machine.get("key-4")) == (8, "value 4")
    assert (server.node.log.first_index, server.terms) == (9, [])
    server.hear(append(3, 1, (8, 2), [3], commit=9)._replace(sender=2))
    assert server.machine.applied_index == 9


def test_pieces_doubled_or_out_of_order_are_answered_with_what_is_there() -> None:
    """§7, figure 13."""
    server = Server(1, settings_of(3))
    assert server.hear(piece(2)) == taken(0)
    assert server.hear(piece(0, 1)) == taken(1)
    assert server.hear(piece(0, 1)) == taken(1)
    assert server.hear(piece(3, 1)) == taken(1)
    assert server.hear(piece(1, 1)) == taken(2)
    assert server.hear(piece(2)) == installed()
    assert server.hear(piece(2), piece(0)) == installed() * 2
    assert server.node.snapshot.items == ITEMS


@pytest.mark.parametrize("other", [piece(2, term=4, sender=3), piece(2, term=4), piece(2, index=9)])
def test_pieces_of_another_leader_term_or_snapshot_do_not_mix(other: InstallSnapshot) -> None:
    """§7: the same state may be in another order there."""
    server = Server(1, settings_of(3))
    server.hear(piece(0))
    [reply] = server.hear(other)
    assert isinstance(reply, InstallSnapshotReply)
    assert reply.received == 0
    assert server.node.snapshot.last_index == 0
    server.hear(other._replace(offset=0, items=ITEMS, done=True))
    assert server.node.snapshot.items == ITEMS


def test_a_snapshot_of_an_earlier_term_is_refused() -> None:
    """Figure 13, step 1: its sender hears the present term, and no leader is heard of."""
    server = Server(1, settings_of(3), hard_state=HardState(5))
    timers = len(server.timers_ns)
    assert server.hear(piece(0, 4)) == taken(0, term=5)
    assert (server.node.leader, len(server.timers_ns)) == (None, timers)


def test_a_piece_is_a_heartbeat() -> None:
    """§5.2, §7: else a follower would stand while its snapshot is on its way."""
    server = Server(1, settings_of(3))
    timers = len(server.timers_ns)
    server.hear(piece(0))
    assert (server.node.leader, server.node.term) == (2, 3)
    assert len(server.timers_ns) == timers + 1


def test_a_snapshot_older_than_what_is_committed_is_not_installed() -> None:
    """§7: it describes a prefix of the log."""
    server = Server(1, settings_of(3))
    server.hear(append(3, 1, (0, 0), [1] * 7 + [2, 3], commit=8)._replace(sender=2))
    assert server.hear(piece(0, 4)) == installed()
    assert (server.node.log.first_index, server.node.log.last_index) == (1, 9)
    assert server.node.snapshot.last_index == 0
    assert server.machine.get("key-4") == "of term 1"


def test_entries_behind_a_snapshot_stay_where_the_logs_agree() -> None:
    """Figure 13, step 6: they may be what a majority has been told of."""
    server = Server(1, settings_of(3), log_of([1] * 7 + [2, 2, 2]), HardState(2))
    server.hear(piece(0, 4))
    assert (server.node.log.first_index, server.terms) == (9, [2, 2])
    assert server.node.commit_index == 8
    server.crash()
    server.begin()
    assert (server.node.log.first_index, server.terms) == (9, [2, 2])
    assert server.machine.get("key-4") == "value 4"


@pytest.mark.parametrize("terms", [[1] * 10, [1] * 5])
def test_a_log_that_disagrees_with_a_snapshot_goes(terms: list[int]) -> None:
    """Figure 13, step 7: all of it."""
    server = Server(1, settings_of(3), log_of(terms), HardState(2))
    server.hear(piece(0, 4))
    assert (server.node.log.first_index, server.node.log.last_index, server.terms) == (9, 8, [])
    server.crash()
    server.begin()
    assert (server.node.log.last_index, server.node.log.last_term) == (8, 2)


def test_a_snapshot_brings_its_configuration() -> None:
    """§7; thesis §5.1: the entries that made it are gone."""
    server = Server(1, settings_of(3))
    server.hear(piece(0, 4)._replace(configuration=Configuration((1, 4), (5,))))
    assert server.node.log.configuration == Configuration((1, 4), (5,))
    server.node.election_timeout()
    assert [message.to for message in server.perform()] == [4]
    server.crash()
    server.begin()
    assert server.node.log.configuration == Configuration((1, 4), (5,))


def test_a_snapshot_and_what_follows_it_may_come_in_one_step() -> None:
    """§7: first the state, then what was committed after it."""
    server = Server(1, settings_of(3))
    server.hear(append(3, 1, (0, 0), [1, 1], commit=2)._replace(sender=2))
    server.hear(piece(0, 4), append(3, 1, (8, 2), [3, 3], commit=9)._replace(sender=2))
    assert server.machine.applied_index == 9
    assert server.terms == [3, 3]


def test_what_a_snapshot_brings_is_answered_with_an_unknown_outcome() -> None:
    """§8: a deposed leader's command was committed, but its result is not in the snapshot."""
    scenario = Scenario(3)
    scenario.elect(1)
    outcomes = scenario.propose(1, "a")
    scenario.deliver(AppendEntries, to=2)
    scenario.isolate(1)
    scenario.elect(2)
    scenario.compact(2)
    scenario.heal()
    scenario.time_out(2)
    scenario.settle()
    assert scenario.node(1).snapshot.last_index == 3
    assert [type(outcome).__name__ for outcome in outcomes] == ["OutcomeUnknown"]


def test_a_snapshot_may_remove_the_one_that_gets_it() -> None:
    """Thesis §4.2.2: then it waits, and does not stand."""
    server = Server(1, settings_of(3))
    changed = MEMBERS.changed_by(Command(REMOVE_SERVER, "1"))
    server.hear(piece(0, 4)._replace(configuration=changed))
    server.node.timeout()
    assert server.perform() == []
    assert server.node.term == 3
