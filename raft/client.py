"""Clients' commands and reads between their arrival and their answer."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count, repeat
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError
from raftmark.raft.messages import Command, Entry
from raftmark.raft.reads import ReadIndex
from raftmark.raft.state_machine import STALE_SERIAL, Result, StaleSerial, StateMachine


class Applied(NamedTuple):
    """A command was committed and applied at `log_index`."""

    log_index: int
    term: int
    result: Result


# What `Applied(index, term, result)` does, without a call of Python's for each.
applied_of = partial(tuple.__new__, Applied)

Outcome: TypeAlias = Applied | RaftError
Done: TypeAlias = Callable[[Outcome], None]


class Proposal(NamedTuple):
    """A command and who is to hear of its outcome: `done` is called exactly once."""

    command: Command
    done: Done


command_of = itemgetter(0)
# What `Proposal(command, done)` does, without a call of Python's for each.
proposal_of = partial(tuple.__new__, Proposal)


class Batch(NamedTuple):
    """Proposals that became the entries from `first_index` on, in one term."""

    first_index: int
    term: int
    proposals: Sequence[Proposal]

    def split(self, index: int) -> "tuple[Batch, Batch]":
        """Those up to `index`, and those after it."""
        count = max(0, index + 1 - self.first_index)
        first, term, proposals = self
        return Batch(first, term, proposals[:count]), Batch(first + count, term, proposals[count:])


class Waiters:
    """Those who wait for an index to be applied. Each hears exactly once.

    Invariant: the batches are in the order of their indexes, and so of their terms.
    """

    def __init__(self) -> None:
        self._waiting: deque[Batch] = deque()

    def add(self, first_index: int, term: int, proposals: Sequence[Proposal]) -> None:
        """The proposals became the entries from `first_index` on, in `term`."""
        waiting = self._waiting
        # Entries that were awaited from here on were deleted from this log; another may still
        # have them.
        while waiting and waiting[-1].first_index + len(waiting[-1].proposals) > first_index:
            kept, deleted = waiting.pop().split(first_index - 1)
            if kept.proposals:
                waiting.append(kept)
            for index, (_, done) in enumerate(deleted.proposals, deleted.first_index):
                done(OutcomeUnknown(f"the entry at index {index} left this log"))
        if proposals:
            waiting.append(Batch(first_index, term, proposals))

    def applied(
        self, first_index: int, entries: Sequence[Entry], results: Sequence[Result | StaleSerial]
    ) -> None:
        """Entries were applied, with these results: answer those who wait for them.

        Those who wait since an earlier term are answered too, whatever their index: terms
        never fall along a log, so that their entries can no longer follow.
        """
        waiting = self._waiting
        if not waiting:
            return
        end = first_index + len(entries)
        while waiting and waiting[0].first_index < end:
            due = waiting.popleft()
            at, count = due.first_index - first_index, len(due.proposals)
            if at or count != len(entries):
                # Others were applied too, or not all of these yet.
                due, later = due.split(end - 1)
                if later.proposals:
                    waiting.appendleft(later)
                here = slice(at, at + len(due.proposals))
                answer(due, entries[here], results[here])
            else:
                answer(due, entries, results)
        term = entries[-1].term
        while waiting and waiting[0].term < term:
            lose(waiting.popleft())

    def skipped(self, index: int) -> None:
        """A snapshot took the place of the entries up to `index`, and of their results."""
        waiting = self._waiting
        while waiting and waiting[0].first_index <= index:
            covered, later = waiting.popleft().split(index)
            if later.proposals:
                waiting.appendleft(later)
            error = OutcomeUnknown("the entry came with a snapshot, without its result")
            refuse(covered.proposals, error)

    def abandon(self, reason: str) -> None:
        """The node is gone: no one here will learn what became of their command."""
        waiting, self._waiting = self._waiting, deque()
        for batch in waiting:
            refuse(batch.proposals, OutcomeUnknown(reason))


def answer(batch: Batch, entries: Sequence[Entry], results: Sequence[Result | StaleSerial]) -> None:
    """Answer a batch at whose indexes these entries were applied, with these results."""
    index, term, proposals = batch
    # Terms never fall along a log: those of all its entries are between these two.
    whole = entries[0].term == entries[-1].term == term and STALE_SERIAL not in results
    outcomes: Iterable[Outcome]
    if whole:
        outcomes = map(applied_of, zip(count(index), repeat(term), results))
    else:
        outcomes = map(outcome_of, count(index), repeat(term), entries, results)
    for (_, done), outcome in zip(proposals, outcomes, strict=True):
        done(outcome)


def outcome_of(index: int, term: int, entry: Entry, result: Result | StaleSerial) -> Outcome:
    """What the entry applied at `index` means for who awaited one of `term` there."""
    if entry.term != term:
        return lost(index)
    if isinstance(result, StaleSerial):
        return BadRequest("the session has used a higher serial; not applied again")
    return Applied(index, term, result)


def lose(batch: Batch) -> None:
    """Answer a batch whose entries will never be applied."""
    for index, (_, done) in enumerate(batch.proposals, batch.first_index):
        done(lost(index))


class Value(NamedTuple):
    """A key's value once `log_index` was applied; None if the key does not exist."""

    log_index: int
    value: str | None


Reading: TypeAlias = Callable[[Value | RaftError], None]


class Query(NamedTuple):
    """A key and who is to hear of its value: `done` is called exactly once."""

    key: str
    done: Reading


class Readers:
    """Those who wait for a value that is sure to be the latest (thesis §6.4)."""

    def __init__(self) -> None:
        self._asked: deque[tuple[int, list[Query]]] = deque()
        self._confirmed: list[tuple[int, list[Query]]] = []

    @property
    def wait(self) -> bool:
        """Whether some wait for their index only."""
        return bool(self._confirmed)

    def add(self, round_number: int, queries: list[Query]) -> None:
        """The queries wait for a round of their leader's."""
        self._asked.append((round_number, queries))

    def await_index(self, index: int, query: Query) -> None:
        """The query waits for an index alone, whoever leads: what it reads may be old."""
        self._confirmed.append((index, [query]))

    def resolve(
        self, reads: Iterable[ReadIndex], machine: StateMachine, leader: int | None
    ) -> None:
        """Take what became of rounds, and answer those whose index is applied.

        `leader` is whom those may ask instead whose node leads no longer.
        """
        for round_number, read_index in reads:
            while self._asked and self._asked[0][0] <= round_number:
                _, queries = self._asked.popleft()
                if read_index is not None:
                    self._confirmed.append((read_index, queries))
                else:
                    refuse(queries, NotLeader(leader))
        if not self._confirmed:
            return
        index = machine.applied_index
        due = [queries for read_index, queries in self._confirmed if read_index <= index]
        self._confirmed = [waiting for waiting in self._confirmed if waiting[0] > index]
        for queries in due:
            for query in queries:
                query.done(Value(index, machine.get(query.key)))

    def abandon(self, error: RaftError) -> None:
        """The node is gone."""
        for _, queries in (*self._asked, *self._confirmed):
            refuse(queries, error)
        self._asked.clear()
        self._confirmed.clear()


def refuse(waiting: Iterable[Proposal | Query], error: RaftError) -> None:
    """Answer all with an error."""
    for each in waiting:
        each.done(error)


def lost(index: int) -> Lost:
    """The error for a waiter whose entry will never be applied."""
    return Lost(f"a later leader's log replaced the entry at index {index}")
