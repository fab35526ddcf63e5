"""What a leader knows of one follower (paper's figure 2: nextIndex, matchIndex)."""

from collections import deque

from raftmark.raft.messages import Snapshot


class Progress:
    """A follower's position in the leader's log, and the window of what is under way.

    It begins *probing*: one AppendEntries at a time, until a success shows where the
    logs meet. From then on it is *replicating*: entries are sent ahead of their
    acknowledgements, at most `window` messages of them. A follower that needs what the
    log no longer has is probing with a *snapshot*, piece after piece (§7).

    Invariant: `match_index < next_index`, and `match_index` never falls.
    """

    __slots__ = (
        "_in_flight",
        "_round_end",
        "_window",
        "active",
        "caught_up",
        "match_index",
        "next_index",
        "offset",
        "probing",
        "read_round",
        "snapshot",
    )

    def __init__(self, next_index: int, window: int) -> None:
        self.match_index = 0
        self.next_index = next_index
        self.probing = True
        self.snapshot: Snapshot | None = None
        self.offset = 0
        """How many items of the snapshot the follower has."""
        self.active = True
        """Whether it was heard of since the leader last looked (thesis §6.2)."""
        self.read_round = 0
        """The latest round of reads in which it followed the leader (thesis §6.4)."""
        self.caught_up = False
        """Whether it had at a heartbeat what was in the log at the one before (thesis §4.2.1)."""
        self._round_end: int | None = None
        self._window = window
        self._in_flight: deque[int] = deque()

    @property
    def may_send(self) -> bool:
        """Whether another message with entries, or items, may leave now."""
        return len(self._in_flight) < (1 if self.probing else self._window)

    def sent(self, last_index: int) -> None:
        """Note that the entries from `next_index` to `last_index` are under way."""
        self._in_flight.append(last_index)
        if not self.probing:
            self.next_index = last_index + 1

    def heartbeat(self, last_index: int) -> None:
        """A heartbeat passed: a probe unanswered until now is taken for lost."""
        if self.probing:
            self._in_flight.clear()
        self.caught_up = self._round_end is not None and self.match_index >= self._round_end
        self._round_end = last_index

    def accepted(self, index: int) -> bool:
        """The follower matches up to `index`. Returns whether that was news."""
        in_flight = self._in_flight
        while in_flight and in_flight[0] <= index:
            in_flight.popleft()
        if self.probing and (self.snapshot is None or index >= self.snapshot.last_index):
            self.probing = False
            self.snapshot = None
            in_flight.clear()
        if index >= self.next_index:
            self.next_index = index + 1
        if index <= self.match_index:
            return False
        self.match_index = index
        return True

    def rejected(self, index: int, possible_match: int) -> None:
        """The follower refused entries after `index`; try again after `possible_match`.

        A refusal that was overtaken by later news is ignored.
        """
        if index <= self.match_index or (self.probing and index != self.next_index - 1):
            return
        self.probing = True
        self.snapshot = None
        self._in_flight.clear()
        self.next_index = max(self.match_index, min(possible_match, index - 1)) + 1

    def install(self, snapshot: Snapshot) -> None:
        """Begin to send a snapshot; whatever else is under way no longer matters."""
        self.probing = True
        self.snapshot = snapshot
        self.offset = 0
        self._in_flight.clear()

    def received(self, snapshot_index: int, offset: int) -> None:
        """The follower has the first `offset` items of the snapshot at `snapshot_index`.

        What is known already is no news: the piece that follows it is under way.
        """
        if self.snapshot is None or self.snapshot.last_index != snapshot_index:
            return
        if offset != self.offset:
            self.offset = min(offset, len(self.snapshot.items))
            self._in_flight.clear()
