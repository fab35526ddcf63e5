"""What clients may rely on: linearizable reads, definite answers, retries applied once."""

from __future__ import annotations

import hashlib
import random

import pytest

from raftmark.raft import (
    AppendEntriesReply,
    Command,
    Entry,
    RequestVote,
    RequestVoteReply,
    StateMachine,
)
from raftmark.raft.client import Applied, Outcome, Proposal, Waiters
from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown
from raftmark.raft.messages import Configuration, Item, Snapshot
from raftmark.raft.reads import ReadIndex
from raftmark.raft.state_machine import STALE_SERIAL, log_hash

from .scenario import Scenario, append, applied, entry, log_of


def waiting(waiters: Waiters, first_index: int, term: int, count: int = 1) -> list[list[Outcome]]:
    """Let `count` proposals wait; what each of them hears."""
    heard: list[list[Outcome]] = [[] for _ in range(count)]
    waiters.add(first_index, term, [Proposal(Command("noop"), h.append) for h in heard])
    return heard


def test_an_isolated_old_leader_serves_no_stale_read() -> None:
    """§8: a get goes through the log, so a deposed leader's never completes."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.propose(1, Command("set", "x", "old"))
    scenario.settle()

    scenario.isolate(1)
    stale = scenario.propose(1, Command("get", "x"))
    for _ in range(3):
        scenario.time_out(1)
        scenario.settle()
    scenario.elect(2)
    scenario.propose(2, Command("set", "x", "new"))
    scenario.settle()
    assert stale == []

    scenario.heal()
    scenario.time_out(2)
    scenario.settle()
    scenario.time_out(2)
    scenario.settle()
    assert [type(outcome) for outcome in stale] == [Lost]
    fresh = scenario.propose(2, Command("get", "x"))
    scenario.settle()
    assert applied(fresh[0]).result == "new"


def test_an_isolated_old_leader_confirms_no_read() -> None:
    """Thesis §6.4: a read without a log entry waits for a majority that follows still."""
    scenario = Scenario(3)
    scenario.elect(1)
    old = scenario.node(1)
    scenario.isolate(1)
    asked = old.read()
    assert asked is not None
    for _ in range(3):
        assert not old.ready().reads
        old.timeout()
    # What a follower said before is no answer to this round.
    old.step(AppendEntriesReply(1, 2, 1, success=True, log_index=1, round=asked - 1))
    assert not old.ready().reads

    old.step(append(2, 1, (1, 1))._replace(sender=2))
    assert list(old.ready().reads) == [ReadIndex(asked, None)]
    assert old.read() is None


def test_a_new_leaders_read_sees_what_its_predecessors_committed() -> None:
    """Thesis §6.4, step 1: that is before its own first entry, which is not committed yet."""
    scenario = Scenario(3, {1: [1, 1], 2: [1, 1], 3: [1, 1]})
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    leader = scenario.node(1)
    asked = leader.read()
    assert asked is not None
    leader.ready()
    leader.step(AppendEntriesReply(2, 2, 1, success=True, log_index=2, round=asked))
    assert list(leader.ready().reads) == [ReadIndex(asked, 3)]
    assert leader.commit_index == 0


def test_a_waiter_whose_index_got_another_term_hears_lost() -> None:
    """§5.3: its entry was replaced, and will not be applied there."""
    waiters = Waiters()
    [heard] = waiting(waiters, 3, term=1)
    waiters.applied(1, log_of([1, 1, 2]), [None] * 3)
    assert [type(outcome) for outcome in heard] == [Lost]


def test_a_waiter_whose_index_a_new_proposal_takes_is_left_in_doubt() -> None:
    """§5.3: the node led before, lost its uncommitted entries, and leads again."""
    waiters = Waiters()
    [old] = waiting(waiters, 3, term=1)
    [new] = waiting(waiters, 3, term=3)
    assert [type(outcome) for outcome in old] == [OutcomeUnknown]
    waiters.applied(3, [entry(3, 3)], [None])
    assert new == [Applied(3, 3, None)]
    assert len(old) == 1


def test_a_command_told_to_be_lost_is_never_applied() -> None:
    """An entry that one log lost to a later leader's may still be committed from another's."""
    scenario = Scenario(5)
    scenario.elect(1)
    scenario.isolate(3, 4, 5)
    heard = scenario.propose(1, "a", "b", "c")
    scenario.settle()  # Node 2 has them too; no majority does.

    scenario.isolate(1, 2)
    scenario.time_out(3)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    scenario.isolate(2, 4, 5)  # What node 3 sends as a leader reaches node 1 alone.
    for _ in range(2):
        scenario.time_out(3)
        scenario.settle()
    assert scenario.servers[1].terms == [1, 2]

    scenario.isolate(2, 3)
    scenario.time_out(1)
    scenario.deliver(RequestVote)
    scenario.deliver(RequestVoteReply)
    scenario.isolate(1)
    scenario.propose(1, "d")  # Takes the index that "c" had in this log.
    scenario.crash(1)
    scenario.isolate(1, 3)
    for _ in range(4):  # Its term is old yet; at last its heartbeat tells what is committed.
        scenario.time_out(2)
        scenario.settle()
    assert scenario.servers[5].machine.get("c") == "c"
    assert [type(outcome) for outcome in heard] == [OutcomeUnknown] * 3


def test_a_waiter_behind_a_later_terms_entry_hears_lost() -> None:
    """§5.3: terms never fall along a log, so nobody waits for what cannot come any more."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.isolate(1)
    outcomes = scenario.propose(1, "a", "b", "c")
    scenario.elect(2)
    scenario.heal()
    scenario.time_out(2)
    scenario.settle()
    scenario.time_out(2)
    scenario.settle()
    assert scenario.servers[1].terms == [1, 2], "one entry took the place of three"
    assert [type(outcome) for outcome in outcomes] == [Lost] * 3


def test_waiters_of_the_present_term_go_on_waiting() -> None:
    waiters = Waiters()
    [heard] = waiting(waiters, 9, term=2)
    waiters.applied(1, log_of([1, 1, 2]), [None] * 3)
    assert heard == []


def test_a_waiter_hears_its_own_result() -> None:
    waiters = Waiters()
    heard = waiting(waiters, 2, term=1, count=3)
    waiters.applied(1, log_of([1, 1, 1]), ["zero", "one", STALE_SERIAL])
    waiters.applied(4, log_of([1]), ["three"])
    assert heard[0] == [Applied(2, 1, "one")]
    assert isinstance(heard[1][0], BadRequest), "a serial lower than the session's last"
    assert heard[2] == [Applied(4, 1, "three")]


def test_abandoned_waiters_hear_that_their_outcome_is_unknown() -> None:
    waiters = Waiters()
    heard = waiting(waiters, 1, term=1, count=2)
    waiters.abandon("node 1 ceased")
    waiters.abandon("node 1 ceased")
    waiters.applied(1, log_of([1, 1]), [None, None])
    assert [[type(outcome) for outcome in each] for each in heard] == [[OutcomeUnknown]] * 2
    assert str(heard[0][0]) == "node 1 ceased"


def test_each_waiter_hears_exactly_once(seed: int) -> None:
    """Whatever becomes of leaders, a proposal is answered at most once, and once at the end."""
    for run in range(200):
        draw = random.Random(f"{seed}/waiters/{run}")
        waiters, heard = Waiters(), []
        log: list[Entry] = []
        applied_index, term = 0, 0
        for _ in range(draw.randrange(40)):
            match draw.randrange(3):
                case 0:  # Another leader, this node perhaps, which may lack the log's tail.
                    term += 1
                    del log[draw.randint(applied_index, len(log)) :]
                case 1:  # This node's clients propose.
                    count = draw.randrange(1, 4)
                    heard += waiting(waiters, len(log) + 1, term, count)
                    log += [entry(term, len(log) + 1 + n) for n in range(count)]
                case _ if applied_index < len(log):
                    last = draw.randint(applied_index + 1, len(log))
                    entries = log[applied_index:last]
                    waiters.applied(applied_index + 1, entries, [None] * len(entries))
                    applied_index = last
        assert all(len(outcomes) <= 1 for outcomes in heard)
        waiters.abandon("the end")
        assert all(len(outcomes) == 1 for outcomes in heard), f"run {run}"


@pytest.mark.parametrize("command", ["set", "get", "cas"])
def test_a_retry_with_the_same_client_and_serial_is_applied_once(command: str) -> None:
    """§8: it gets the result that the first one had, whatever happened since."""
    machine = StateMachine()
    machine.apply([Entry(1, Command("set", "x", "before"))])
    retried = Entry(1, Command(command, "x", "after", "before", "client", 1))
    [result] = machine.apply([retried])
    machine.apply([Entry(1, Command("set", "x", "between"))])
    assert machine.apply([retried, retried]) == [result, result]
    assert machine.apply([Entry(1, Command("get", "x"))]) == ["between"]
    assert result == {"set": None, "get": "before", "cas": True}[command]


def test_a_retry_at_the_next_leader_is_applied_once() -> None:
    """§8: the leader may crash after committing and before answering."""
    scenario = Scenario(3)
    scenario.elect(1)
    scenario.propose(1, Command("set", "x", "1"))
    swap = Command("cas", "x", "2", "1", "client", 1)
    first = scenario.propose(1, swap)
    scenario.deliver()
    scenario.crash(1)
    assert [type(outcome) for outcome in first] == [OutcomeUnknown]

    scenario.elect(2)
    retried = scenario.propose(2, swap)
    scenario.settle()
    assert applied(retried[0]).result is True
    commands = [e.command for e in scenario.servers[2].applied]
    assert commands.count(swap) == 2
    then = scenario.propose(2, Command("cas", "x", "3", "2", "client", 2))
    scenario.settle()
    assert applied(then[0]).result is True


def test_a_serial_lower_than_the_sessions_last_is_not_applied() -> None:
    machine = StateMachine()
    machine.apply([Entry(1, Command("set", "x", "2", None, "client", 2))])
    late = Entry(1, Command("set", "x", "1", None, "client", 1))
    assert machine.apply([late]) == [STALE_SERIAL]
    assert machine.apply([Entry(1, Command("get", "x"))]) == ["2"]


def test_sessions_are_apart() -> None:
    machine = StateMachine()
    entries = [Entry(1, Command("cas", "x", name, None, name, 1)) for name in ("a", "b")]
    assert machine.apply(entries) == [True, False]


def test_commands_without_a_session_are_applied_each_time() -> None:
    machine = StateMachine()
    swap = Entry(1, Command("cas", "x", "1", None))
    assert machine.apply([swap, swap]) == [True, False]


def test_a_proposal_to_a_follower_hears_who_leads() -> None:
    """§5.1, §8: the follower proposes nothing."""
    scenario = Scenario(3)
    [before] = scenario.propose(2, "a")
    assert isinstance(before, NotLeader)
    assert before.leader is None
    scenario.elect(1)
    [after] = scenario.propose(2, "a")
    assert isinstance(after, NotLeader)
    assert after.leader == 1
    assert scenario.node(2).log.last_index == 1


# -- the state and its hash -----------------------------------------------------------------


def test_applied_index_counts_every_entry_no_ops_and_retries_too() -> None:
    machine = StateMachine()
    once = Entry(1, Command("set", "x", "1", None, "client", 1))
    machine.apply([Entry(1, Command("noop")), once, once])
    assert machine.applied_index == 3


def test_a_copy_has_a_life_of_its_own() -> None:
    machine = StateMachine()
    machine.apply([Entry(1, Command("set", "x", "1", None, "client", 1))])
    copy = machine.copy()
    before = copy.state_hash()
    machine.apply([Entry(1, Command("set", "x", "2", None, "client", 2))])
    assert copy.state_hash() == before
    assert machine.state_hash() != before
    assert (copy.applied_index, machine.applied_index) == (1, 2)


def test_the_state_hash_is_of_the_bytes_that_the_protocol_defines() -> None:
    """docs/protocol.md, Hashes; the bytes are written out here by hand."""
    machine = StateMachine()
    assert machine.state_hash() == hashlib.sha256(bytes(16)).hexdigest()
    machine.apply(
        [
            Entry(1, Command("set", "ö", "", None, "c", 258)),
            Entry(1, Command("set", "a", "1")),
        ]
    )
    expected = (
        b"\x02\0\0\0\0\0\0\0"
        b"\x01\0\0\0a\x01\0\0\x001"
        b"\x02\0\0\0\xc3\xb6\0\0\0\0"
        b"\x01\0\0\0\0\0\0\0"
        b"\x01\0\0\0c\x02\x01\0\0\0\0\0\0"
    )
    assert machine.state_hash() == hashlib.sha256(expected).hexdigest()


def test_the_state_hash_forgets_the_order_in_which_keys_came() -> None:
    one, other = StateMachine(), StateMachine()
    entries = [Entry(1, Command("set", key, key)) for key in ("b", "a", "\U0001f600", "\uffff")]
    one.apply(entries)
    other.apply(reversed(entries))
    assert one.state_hash() == other.state_hash()


def test_the_log_hash_is_of_the_bytes_that_the_protocol_defines() -> None:
    """docs/protocol.md, Hashes; the bytes are written out here by hand."""
    entries = [Entry(1, Command("noop")), Entry(2, Command("cas", "k", "v", None, "c", 3))]
    null = b"\xff\xff\xff\xff"
    expected = (b"\x01\0\0\0\0\0\0\0" + b"\x04\0\0\0noop" + b"\0\0\0\0" + null * 3 + bytes(8)) + (
        b"\x02\0\0\0\0\0\0\0"
        + b"\x03\0\0\0cas"
        + b"\x01\0\0\0k"
        + b"\x01\0\0\0v"
        + null
        + b"\x01\0\0\0c"
        + b"\x03\0\0\0\0\0\0\0"
    )
    assert log_hash(entries) == hashlib.sha256(expected).hexdigest()
    assert log_hash([]) == hashlib.sha256().hexdigest()


# -- snapshots (§7) -------------------------------------------------------------------------


def test_a_snapshot_restores_keys_and_sessions() -> None:
    """§7, §8: a retry after it is applied no more than one before it."""
    machine = StateMachine()
    once = Entry(1, Command("cas", "x", "1", None, "client", 1))
    machine.apply([once, Entry(1, Command("set", "y", None)), Entry(1, Command("get", "y"))])
    items = machine.items()
    assert set(items) == {Item("x", "1", 0), Item("y", None, 0), Item("client", True, 1)}

    other = StateMachine()
    other.apply([Entry(1, Command("set", "z", "forgotten", None, "z", 1))])
    other.restore(Snapshot(3, 1, Configuration((1,)), items))
    assert other.applied_index == 3
    assert other.state_hash() == machine.state_hash()
    assert other.get("z") is None
    assert other.apply([once]) == [True]
    assert other.get("x") == "1"


def test_waiters_that_a_snapshot_passes_hear_that_their_outcome_is_unknown() -> None:
    """§7: their entries were committed or replaced; the snapshot does not tell."""
    waiters = Waiters()
    heard = waiting(waiters, 3, term=1, count=3)
    waiters.skipped(4)
    assert [[type(outcome) for outcome in each] for each in heard] == [
        [OutcomeUnknown],
        [OutcomeUnknown],
        [],
    ]
    waiters.applied(5, log_of([1]), ["five"])
    assert heard[2] == [Applied(5, 1, "five")]


def test_the_result_that_is_stale_has_a_name() -> None:
    assert repr(STALE_SERIAL) == "STALE_SERIAL"
