"""Linearizable reads without a log entry: ReadIndex (thesis §6.4).

A leader may answer a read from its state machine once it has learnt, after the read was
asked for, that it still leads, and once it has applied what was committed by then.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple


class ReadIndex(NamedTuple):
    """What became of the reads of a round.

    They may be answered once the state machine has applied `read_index`; where that is
    None, the node lost its leadership before it was sure of it.
    """

    round: int
    read_index: int | None


class ReadRounds:
    """The rounds in which a leader asks its followers whether it still leads.

    All reads that are asked for before a round begins share it.
    """

    __slots__ = ("_pending", "asked", "latest")

    def __init__(self) -> None:
        self.latest = 0
        """The latest round that has begun."""
        self.asked = False
        """Whether another one is to begin."""
        self._pending: deque[ReadIndex] = deque()

    @property
    def waiting(self) -> bool:
        """Whether a round has begun that is not confirmed."""
        return bool(self._pending)

    def ask(self) -> int:
        """A read was asked for; the round that will confirm it."""
        self.asked = True
        return self.latest + 1

    def renew(self) -> int:
        """The round that all that leaves from now on belongs to, at least, and nothing before."""
        if self.asked:
            return self.latest + 1
        self.latest += 1
        return self.latest

    def begin(self, index: int) -> None:
        """Begin the round that was asked for; its reads are to see what is at `index`."""
        self.asked = False
        self.latest += 1
        self._pending.append(ReadIndex(self.latest, index))

    def confirm(self, heard: Iterable[int], majority: int) -> list[ReadIndex]:
        """The rounds that a majority has followed; `heard` has each voter's latest one."""
        confirmed = sorted(heard, reverse=True)[majority - 1]
        reads = []
        while self._pending and self._pending[0].round <= confirmed:
            reads.append(self._pending.popleft())
        return reads

    def lose(self) -> list[ReadIndex]:
        """The node no longer leads: what no round will confirm any more."""
        lost = [ReadIndex(pending.round, None) for pending in self._pending]
        if self.asked:
            self.latest += 1
            lost.append(ReadIndex(self.latest, None))
        self.asked = False
        self._pending.clear()
        return lost
