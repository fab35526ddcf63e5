"""What a server does between two waits: in the order that safety asks for, and answering once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftmark.raft import Command, Entry, Message, Node, Role, Save
from raftmark.raft.client import Applied, Outcome, Proposal, Query, Value
from raftmark.raft.cluster import EntriesLost, Events, Membership, RoleChange
from raftmark.raft.errors import NotLeader, OutcomeUnknown, RaftError, Unavailable
from raftmark.raft.messages import (
    NOOP,
    REMOVE_SERVER,
    AppendEntries,
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from raftmark.raft.server import Server
from raftmark.raft.storage import MemoryStorage

from .scenario import settings_of

SET = Command("set", "key", "value")


class Watched:
    """A server, and all that it does to the world, in order."""

    def __init__(self, nodes: int = 3) -> None:
        self.storage = MemoryStorage()
        self.did: list[str] = []
        self.sent: list[Message] = []
        self.roles: list[RoleChange] = []
        self.losses: list[EntriesLost] = []
        self.memberships: list[Membership] = []
        self.answers: list[tuple[int, Outcome | Value]] = []
        self.now_ns = 0
        self.server = Server(
            Node(1, settings_of(nodes), lambda: 0.5, self.storage.load()),
            self._send,
            lambda after_ns: self.did.append("timer"),
            Events(
                self.roles.append,
                lambda node, error: None,
                entries_lost=self.losses.append,
                members_committed=self.memberships.append,
            ),
            self._now_ns,
        )
        self.server.begin()
        self.carry_out()

    def _now_ns(self) -> int:
        self.now_ns += 1
        return self.now_ns

    def _send(self, messages: Sequence[Message]) -> None:
        self.did.append("send")
        self.sent += messages

    def save(self, save: Save) -> None:
        """Make it durable."""
        self.did.append("save")
        self.storage.save(save)

    def carry_out(self) -> None:
        """All duties."""
        for save in self.server.carry_out():
            self.save(save)

    def ask(self, number: int) -> tuple[list[Proposal], list[Query]]:
        """A command and a read; who hears of them notes it with the number."""

        def done(outcome: Outcome | Value) -> None:
            self.did.append("answer")
            self.answers.append((number, outcome))

        return [Proposal(SET, done)], [Query("key", done)]

    def lead(self) -> None:
        """Become the leader, whose no-op is committed."""
        self.server.time_out()
        self.carry_out()
        self.server.receive(RequestVoteReply(1, 2, 1, True))
        self.carry_out()
        self.acknowledge(1)
        assert self.roles[-1].role is Role.LEADER

    def acknowledge(self, index: int) -> None:
        """Node 2 has the log up to there, and still follows."""
        rounds = [m.round for m in self.sent if isinstance(m, AppendEntries)]
        self.server.receive(AppendEntriesReply(1, 2, 1, True, index, round=rounds[-1]))
        self.carry_out()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_it_saves_then_sends_then_applies_and_answers(watched: Watched) -> None:
    watched.lead()
    watched.did.clear()
    watched.server.take(watched.ask(1)[0], [])
    watched.carry_out()
    assert watched.did == ["save", "send"]
    watched.did.clear()
    watched.server.take(watched.ask(2)[0], [])
    watched.acknowledge(2)
    assert watched.did == ["save", "send", "answer"]
    assert watched.answers == [(1, Applied(2, 1, None))]


def test_a_leader_tells_of_a_change_of_members_once_it_is_committed(watched: Watched) -> None:
    watched.lead()
    assert watched.memberships == [Membership(1, (1, 2, 3))], "with the first entry of its term"
    heard: list[Outcome] = []
    watched.server.take([Proposal(Command(REMOVE_SERVER, "3"), heard.append)], [])
    watched.carry_out()
    watched.server.take(watched.ask(1)[0], [])
    watched.carry_out()
    assert len(watched.memberships) == 1, "it is in force, and may yet be lost"
    watched.acknowledge(3)
    assert watched.memberships[1:] == [Membership(3, (1, 2))]
    watched.server.take(watched.ask(2)[0], [])
    watched.carry_out()
    watched.acknowledge(4)
    assert len(watched.memberships) == 2


def test_only_a_leader_tells_of_the_members(watched: Watched) -> None:
    """A follower may have applied what later changes have overtaken."""
    removal = Entry(1, Command(REMOVE_SERVER, "3"))
    watched.server.receive(AppendEntries(1, 2, 1, 0, 0, (Entry(1, NOOP), removal), 2))
    watched.carry_out()
    assert watched.server.replica().status().commit_index == 2
    assert watched.memberships == []


def test_it_tells_of_what_a_follower_has_lost(watched: Watched) -> None:
    watched.lead()
    for number in range(2):
        watched.server.receive(AppendEntriesReply(1, 2, 1, False, 1, 0, 0, round=number))
        watched.carry_out()
        assert len(watched.losses) == number, "the first one may be old"
    [(*lost, at_ns)] = watched.losses
    assert lost == [2, 1, 1, 1]
    assert 0 < at_ns <= watched.now_ns
    assert watched.server.replica().status().lost_entries == [{"node": 2, "first": 1, "last": 1}]


def test_what_cannot_be_saved_is_never_sent(watched: Watched) -> None:
    """Figure 2: a vote that could be forgotten is no vote."""
    watched.server.receive(RequestVote(5, 2, 1, 0, 0))
    duties = watched.server.carry_out()
    assert next(duties).hard_state is not None
    duties.close()  # As when whoever was to save it failed, or was cancelled.
    assert watched.sent == []


def test_what_was_saved_is_sent(watched: Watched) -> None:
    watched.server.receive(RequestVote(5, 2, 1, 0, 0))
    watched.carry_out()
    assert watched.sent == [RequestVoteReply(5, 1, 2, True)]


def test_each_save_is_counted_with_the_time_that_it_takes(watched: Watched) -> None:
    watched.server.receive(RequestVote(5, 2, 1, 0, 0))
    for save in watched.server.carry_out():
        watched.now_ns += 1000
        watched.save(save)
    counters = watched.server.counters(7)
    assert (counters.saves, counters.save_ns) == (1, 1001)
    assert (counters.messages, counters.bytes, counters.entries) == (1, 7, 0)


def test_every_change_of_view_is_announced_once(watched: Watched) -> None:
    watched.lead()
    watched.carry_out()
    views = [(change.role, change.term, change.leader) for change in watched.roles]
    assert views == [
        (Role.FOLLOWER, 0, None),
        (Role.CANDIDATE, 1, None),
        (Role.LEADER, 1, 1),
    ]
    assert all(change.node == 1 for change in watched.roles)


def test_what_is_asked_of_a_follower_is_refused_once(watched: Watched) -> None:
    watched.server.take(*watched.ask(1))
    watched.carry_out()
    watched.server.abandon()
    assert [type(answer) for _, answer in watched.answers] == [NotLeader] * 2


@pytest.mark.parametrize("carried_out", [False, True])
def test_the_end_of_a_life_answers_each_once(watched: Watched, carried_out: bool) -> None:
    watched.lead()
    watched.server.take(*watched.ask(1))
    watched.server.take(*watched.ask(2))
    watched.server.await_applied(9, watched.ask(3)[1][0].done)
    if carried_out:
        watched.carry_out()
    watched.server.abandon()
    watched.server.abandon()
    assert sorted(number for number, _ in watched.answers) == [1, 1, 2, 2, 3]
    kinds = {OutcomeUnknown, Unavailable} if carried_out else {Unavailable}
    assert {type(answer) for _, answer in watched.answers} == kinds


def test_a_save_that_fails_leaves_each_its_one_answer(watched: Watched) -> None:
    watched.lead()
    watched.server.take(*watched.ask(1))
    next(watched.server.carry_out())
    watched.server.abandon()
    assert [type(answer) for _, answer in watched.answers] == [OutcomeUnknown, Unavailable]


@pytest.mark.parametrize(
    ("method", "answers"),
    [("propose", [Unavailable] * 2), ("read", [OutcomeUnknown, Unavailable])],
)
def test_a_node_that_fails_leaves_each_its_one_answer(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, method: str, answers: list[type[RaftError]]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("made to fail")

    watched.lead()
    monkeypatch.setattr(Node, method, fail)
    watched.server.take(*watched.ask(1))
    with pytest.raises(RuntimeError):
        watched.carry_out()
    watched.server.abandon()
    assert [type(answer) for _, answer in watched.answers] == answers


def test_a_compaction_is_saved_and_its_snapshot_told(watched: Watched) -> None:
    watched.lead()
    assert watched.server.compact() == (1, 1)
    watched.did.clear()
    watched.carry_out()
    assert watched.did[0] == "save"
    snapshot = watched.storage.load().snapshot
    assert snapshot is not None
    assert snapshot.last_index == 1


def test_an_index_that_was_awaited_is_told_with_its_entry(watched: Watched) -> None:
    heard: list[Value | RaftError] = []
    watched.server.await_applied(1, heard.append)
    watched.server.receive(AppendEntries(1, 2, 1, 0, 0, (Entry(1, SET),), 0))
    watched.carry_out()
    assert heard == []
    watched.server.receive(AppendEntries(1, 2, 1, 1, 1, (), 1))
    watched.carry_out()
    assert heard == [Value(1, None)]
