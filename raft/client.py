"""Clients' commands between their proposal and their answer."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from raft.errors import BadRequest, Lost, OutcomeUnknown, RaftError
from raft.messages import Command, Entry
from raft.state_machine import Result, StaleSerial


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
                # The entry awaited here was deleted from the log.
                waiting[index][1](lost(index))
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

    def abandon(self, reason: str) -> None:
        """The node is gone: no one here will learn what became of their command."""
        waiting, self._waiting = self._waiting, {}
        for _, done in waiting.values():
            done(OutcomeUnknown(reason))


def lost(index: int) -> Lost:
    """The error for a waiter whose entry will never be applied."""
    return Lost(f"a later leader's log replaced the entry at index {index}")
