"""Clients' commands and reads between their arrival and their answer."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from raftmark.raft.errors import BadRequest, Lost, NotLeader, OutcomeUnknown, RaftError
from raftmark.raft.messages import Command, Entry
from raftmark.raft.reads import ReadIndex
from raftmark.raft.state_machine import Result, StaleSerial, StateMachine


class Applied(NamedTuple):
    """A command was committed and applied at `log_index`."""

    log_index: int
    term: int
    result: Result


Outcome: TypeAlias = Applied | RaftError
Done: TypeAlias = Callable[[Outcome], None]


class Proposal(NamedTuple):
    """A command and who is to hear of its outcome: `done` is called exactly once."""

    command: Command
    done: Done


class Waiters:
    """Those who wait for an index to be applied. Each hears exactly once."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[int, Done]] = {}
        self._applied_term = 0

    def add(self, first_index: int, term: int, proposals: Sequence[Proposal]) -> None:
        """The proposals became the entries from `first_index` on, in `term`."""
        waiting = self._waiting
        for index, proposal in enumerate(proposals, first_index):
            if index in waiting:
                # The entry awaited here was deleted from this log; another may still have it.
                waiting[index][1](OutcomeUnknown(f"the entry at index {index} left this log"))
            waiting[index] = (term, proposal.done)

    def applied(
        self, first_index: int, entries: Sequence[Entry], results: Iterable[Result | StaleSerial]
    ) -> None:
        """Entries were applied, with these results: answer those who wait for them.

        Those who wait since an earlier term are answered too, whatever their index: terms
        never fall along a log, so that their entries can no longer follow.
        """
        waiting = self._waiting
        if not waiting:
            return
        for index, (entry, result) in enumerate(zip(entries, results, strict=True), first_index):
            waiter = waiting.pop(index, None)
            if waiter is None:
                continue
            term, done = waiter
            if entry.term != term:
                done(lost(index))
            elif isinstance(result, StaleSerial):
                done(BadRequest("the session has used a higher serial; not applied again"))
            else:
                done(Applied(index, term, result))
        if entries[-1].term > self._applied_term:
            self._applied_term = entries[-1].term
            earlier = [index for index, (term, _) in waiting.items() if term < self._applied_term]
            for index in earlier:
                waiting.pop(index)[1](lost(index))

    def skipped(self, index: int) -> None:
        """A snapshot took the place of the entries up to `index`, and of their results."""
        for covered in [waiting for waiting in self._waiting if waiting <= index]:
            _, done = self._waiting.pop(covered)
            done(OutcomeUnknown("the entry came with a snapshot, without its result"))

    def abandon(self, reason: str) -> None:
        """The node is gone: no one here will learn what became of their command."""
        waiting, self._waiting = self._waiting, {}
        for _, done in waiting.values():
            done(OutcomeUnknown(reason))


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
