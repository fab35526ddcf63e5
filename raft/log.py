"""The replicated log (§5.3, §7): entries and what they say of the cluster's members."""

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter

from raftmark.raft.messages import (
    MEMBERSHIP,
    NOOP,
    Configuration,
    Entry,
    fitting,
    size_of_entries,
    size_of_entry,
)

operation = attrgetter("command.op")


class ReplicatedLog:
    """A node's log in memory, from `first_index` on; what was before is compacted away.

    The entry before the first is kept as a sentinel, for its term. In a log that never was
    compacted that is index 0, of term 0.

    Invariant: what is compacted away was committed.
    """

    __slots__ = (
        "_configurations",
        "_entries",
        "_sliced",
        "_sliced_from",
        "_start",
        "configuration",
        "last_index",
    )

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        configuration: Configuration = Configuration(()),  # noqa: B008 (immutable)
        start: int = 0,
        start_term: int = 0,
    ) -> None:
        self._start = start  # the sentinel's index
        self._entries = [Entry(start_term, NOOP)]
        self.configuration = configuration
        """The latest one: in force as soon as it is in the log (thesis §4.1)."""
        self._configurations = [(start, configuration)]
        self.last_index = start
        """The index of the last entry, 0 for an empty log. An attribute, as all ask for it."""
        # The stretch that was written or read last: it is saved, sent and applied in turn.
        self._sliced_from = 0
        self._sliced: tuple[Entry, ...] = ()
        self.append(tuple(entries))

    @property
    def first_index(self) -> int:
        """The index of the first entry that is kept, or would be."""
        return self._start + 1

    @property
    def last_term(self) -> int:
        """The term of the last entry, 0 for an empty log."""
        return self._entries[-1].term

    @property
    def configuration_index(self) -> int:
        """The index of the entry that made the latest configuration."""
        return self._configurations[-1][0]

    def configuration_at(self, index: int) -> Configuration:
        """The configuration that the entries up to `index` make."""
        at = bisect_right(self._configurations, index, key=lambda known: known[0])
        return self._configurations[at - 1][1]

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`, which is not before the sentinel or past the end."""
        return self._entries[index - self._start].term

    def slice(self, first: int, last: int) -> tuple[Entry, ...]:
        """The entries from `first` to `last`, both inclusive, cut to what exists."""
        if first == self._sliced_from and last - first + 1 == len(self._sliced):
            return self._sliced
        start = self._start
        if first <= start:
            first = start + 1
        if last < first:
            return ()
        self._sliced_from = first
        self._sliced = tuple(self._entries[first - start : last - start + 1])
        return self._sliced

    def batch(self, first: int, last: int, max_bytes: int) -> tuple[tuple[Entry, ...], int]:
        """As many entries from `first` on, up to `last`, as a message has room for; their size."""
        entries = self.slice(first, last)
        size = size_of_entries(entries)
        if size <= max_bytes:
            return entries, size
        count, size = fitting(entries, size_of_entry, max_bytes)
        return entries[:count], size

    def matches(self, index: int, term: int) -> bool:
        """Whether a leader's log with `term` at `index` agrees with this one there (§5.3).

        What is compacted away was committed, so that every leader has it (§5.4.3).
        """
        if index < self._start:
            return True
        at = index - self._start
        return at < len(self._entries) and self._entries[at].term == term

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log ending so is at least as up-to-date as this one (§5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Add entries at the end, and what they say of the members."""
        if not MEMBERSHIP.isdisjoint(map(operation, entries)):
            for index, (_, command) in enumerate(entries, self.last_index + 1):
                if command.op in MEMBERSHIP:
                    self.configuration = self.configuration.changed_by(command)
                    self._configurations.append((index, self.configuration))
        self.extend(entries)

    def extend(self, entries: tuple[Entry, ...]) -> None:
        """Add entries that are known to say nothing of the members."""
        self._entries.extend(entries)
        self._sliced_from, self._sliced = self.last_index + 1, entries
        self.last_index += len(entries)

    def merge(self, prev_index: int, entries: tuple[Entry, ...]) -> int | None:
        """Take a leader's entries, which follow `prev_index`, into the log.

        Entries that are there already stay, so that a delayed, shorter AppendEntries
        removes nothing; at the first conflict the whole tail is deleted (§5.3). Returns
        the first index that was written, None where nothing was new.
        """
        if prev_index == self.last_index and entries:
            self.append(entries)  # As a rule they are the next ones.
            return prev_index + 1
        for offset, entry in enumerate(entries):
            index = prev_index + 1 + offset
            if not self.matches(index, entry.term):
                if index <= self.last_index:
                    self._truncate(index)
                self.append(entries[offset:])
                return index
        return None

    def last_possible_match(self, index: int, term: int) -> int:
        """The largest index up to `index` whose term is not above `term`.

        Another log that has `term` at `index` can agree with this one no later than
        there, so that log repair skips whole terms (§5.3, the end). Terms that are
        compacted away are not looked at.
        """
        index = min(index, self.last_index)
        while index > self._start and self.term_at(index) > term:
            index -= 1
        return index

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, which a snapshot covers (§7)."""
        configuration = self.configuration_at(index)
        later = [known for known in self._configurations if known[0] > index]
        self._configurations = [(index, configuration), *later]
        self._entries[: index - self._start + 1] = [Entry(self.term_at(index), NOOP)]
        self._start = index
        self._forget_slice()

    def _truncate(self, index: int) -> None:
        """Delete the entries from `index` on, and the configurations that they made."""
        del self._entries[index - self._start :]
        self.last_index = index - 1
        self._forget_slice()
        while self._configurations[-1][0] >= index:
            self._configurations.pop()
        self.configuration = self._configurations[-1][1]

    def _forget_slice(self) -> None:
        self._sliced_from, self._sliced = 0, ()
