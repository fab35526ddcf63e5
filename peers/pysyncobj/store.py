"""The replicated state, and what can be read of the library's object that it has no method for.

The library numbers from 1 an entry that every log begins with; this protocol's index 1 is the one
after it.
"""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pysyncobj import SyncObj, SyncObjConf, replicated, syncobj
from pysyncobj.journal import Journal, MemoryJournal

from raftmark.peers.pysyncobj.transport import LinkedTransport, Member, number_of
from raftmark.raft.links import Links
from raftmark.raft.messages import NOOP, Command, Entry
from raftmark.raft.node import Role
from raftmark.raft.state_machine import Result, StaleSerial, StateMachine

ROLES = (Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)
"""By the numbers that the library gives them."""
BEFORE = 1
"""Entries that every log of the library's begins with."""
REGULAR = 0
"""The kind of entry that is a command of the application's: its first byte."""

Told = Callable[[tuple[int, Result | StaleSerial] | None, int], None]
"""What hears of a command: the index and result with which it was applied, and why not (0: it was).
"""


class Kept:
    """What memory storage keeps of a node's lives: the library makes a journal for each.

    It makes it by a function's name, which is given another meaning here; a program has one node.
    """

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._make = syncobj.createJournal
        syncobj.createJournal = self._journal_for

    def _journal_for(self, file: str | None) -> Journal:
        if file is not None:
            return self._make(file)
        if self._journal is None:
            self._journal = MemoryJournal()
        return self._journal


class View(NamedTuple):
    """A node at one moment."""

    role: Role
    term: int
    leader: int | None


class Store(SyncObj):  # type: ignore[misc]
    """The state machine of this project, replicated by the library."""

    def __init__(self, own: Member, others: set[Member], conf: SyncObjConf, links: Links) -> None:
        # First, as it looks at all that is here for what is to be replicated.
        self._machine = StateMachine()
        super().__init__(
            own,
            others,
            conf,
            transportClass=lambda store, own, others: LinkedTransport(store, own, others, links),
        )

    @replicated  # type: ignore[untyped-decorator]
    def put(self, *command: Any) -> tuple[int, Result | StaleSerial]:
        """Apply a command on every node; where that was, and its result."""
        (result,) = self._machine.apply((Entry(0, Command(*command)),))
        return self.applied_index + 1, result

    @property
    def machine(self) -> StateMachine:
        """A copy of the state."""
        return self._machine.copy()

    # -- what the library tells ----------------------------------------------------------

    @property
    def leads(self) -> bool:
        """Whether it is a leader, of whichever term."""
        return bool(self._isLeader())

    @property
    def leader(self) -> int | None:
        """Whom it takes for the leader."""
        leader = self._getLeader()
        return None if leader is None else int(leader.number)

    @property
    def commit_index(self) -> int:
        """The last index that it knows to be committed."""
        return int(self.raftCommitIndex) - BEFORE

    @property
    def applied_index(self) -> int:
        """The last index that is applied."""
        return int(self.raftLastApplied) - BEFORE

    # -- what only its attributes tell ---------------------------------------------------

    @property
    def view(self) -> View:
        """What it is: `getStatus` has that too, among much that takes long."""
        return View(ROLES[self._SyncObj__raftState], int(self.raftCurrentTerm), self.leader)

    @property
    def transport(self) -> LinkedTransport:
        """Its transport."""
        transport: LinkedTransport = self._SyncObj__transport
        return transport

    @property
    def voted_for(self) -> int | None:
        """Who got its vote in this term."""
        return number_of(self._SyncObj__votedForNodeId)

    @property
    def last_index(self) -> int:
        """The index of the last entry of its log."""
        return len(self._SyncObj__raftLog) - BEFORE

    def term_at(self, index: int) -> int:
        """The term of the entry at an index."""
        return int(self._SyncObj__raftLog[index + BEFORE - 1][2])

    def raw(self, first: int, last: int) -> list[tuple[bytes, int, int]]:
        """The entries from `first` to `last` as the library has them, for `entries_of`."""
        return list(self._SyncObj__raftLog[first + BEFORE - 1 : last + BEFORE])

    def send_heartbeat(self) -> None:
        """Let a leader send what it has for its followers, or nothing."""
        self._SyncObj__sendAppendEntries()


def entries_of(raw: Sequence[tuple[bytes, int, int]]) -> tuple[Entry, ...]:
    """Entries as this protocol has them."""
    return tuple(Entry(term, command_of(data)) for data, _, term in raw)


def command_of(data: bytes) -> Command:
    """The command of an entry; all that are not the application's are no-ops to it."""
    if data[0] != REGULAR:
        return NOOP
    _, arguments = pickle.loads(data[1:])
    return Command(*arguments)
