"""The replicated log (§5.3): entries from index 1, and how two logs are compared."""

from collections.abc import Iterable, Sequence

from raft.messages import NOOP, Entry


class ReplicatedLog:
    """A node's log in memory. Index 0 is a sentinel of term 0, before the first entry."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = [Entry(0, NOOP), *entries]

    @property
    def last_index(self) -> int:
        """The index of the last entry, 0 for an empty log."""
        return len(self._entries) - 1

    @property
    def last_term(self) -> int:
        """The term of the last entry, 0 for an empty log."""
        return self._entries[-1].term

    def term_at(self, index: int) -> int:
        """The term of the entry at `index`; IndexError past the end."""
        return self._entries[index].term

    def slice(self, first: int, last: int) -> tuple[Entry, ...]:
        """The entries from `first` to `last`, both inclusive, cut to what exists."""
        return tuple(self._entries[first : last + 1])

    def matches(self, index: int, term: int) -> bool:
        """Whether the log has an entry of `term` at `index` (log matching, §5.3)."""
        return index < len(self._entries) and self._entries[index].term == term

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log ending so is at least as up-to-date as this one (§5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def append(self, entries: Iterable[Entry]) -> None:
        """Add entries at the end."""
        self._entries.extend(entries)

    def merge(self, prev_index: int, entries: Sequence[Entry]) -> int | None:
        """Take a leader's entries, which follow `prev_index`, into the log.

        Entries that are there already stay, so that a delayed, shorter AppendEntries
        removes nothing; at the first conflict the whole tail is deleted (§5.3). Returns
        the first index that was written, None where nothing was new.
        """
        for offset, entry in enumerate(entries):
            index = prev_index + 1 + offset
            if not self.matches(index, entry.term):
                self._entries[index:] = entries[offset:]
                return index
        return None

    def last_possible_match(self, index: int, term: int) -> int:
        """The largest index up to `index` whose term is not above `term`.

        Another log that has `term` at `index` can agree with this one no later than
        there, so that log repair skips whole terms (§5.3, the end).
        """
        index = min(index, self.last_index)
        while self._entries[index].term > term:
            index -= 1
        return index
