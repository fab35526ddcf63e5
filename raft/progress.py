"""What a leader knows of one follower (paper's figure 2: nextIndex, matchIndex)."""

from collections import deque

from raftmark.raft.messages import Snapshot


class Progress:
    """A follower's position in the leader's log, and the window of what is under way.

    It begins *probing*: one AppendEntries at a time, until a success shows where the
    logs meet. From then on it is *replicating*: entries are sent ahead of their
    acknowledgements, at most `window` messages of them, and none while `max_bytes` for each
    of these, or more, are under way. A follower that needs what the log no longer has is
    probing with a *snapshot*, piece after piece (§7).

    What is under way is sent again only to a follower that answers: one that is silent is
    sent heartbeats, which ask where it is, and nothing else.

    Invariant: `match_index < next_index`, and `match_index` never falls but by `begin_anew`.
    """

    __slots__ = (
        "_asks",
        "_in_flight",
        "_in_flight_bytes",
        "_max_bytes",
        "_moved",
        "_round_end",
        "_unanswered",
        "_window",
        "active",
        "caught_up",
        "first_round",
        "match_index",
        "match_round",
        "next_index",
        "offset",
        "probing",
        "read_round",
        "snapshot",
    )

    def __init__(self, next_index: int, window: int, max_bytes: int) -> None:
        self.match_index = 0
        self.match_round = 0
        """The latest round when `match_index` last rose: what was asked later, knew of it."""
        self.first_round = 0
        """What was asked in an earlier round was asked of a log that the follower has lost."""
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
        self._max_bytes = max_bytes
        self._in_flight: deque[tuple[int, int]] = deque()  # last index and size, oldest first
        self._in_flight_bytes = 0
        self._moved = False  # whether it has acknowledged something since the last heartbeat
        self._asks = True  # whether heartbeats ask for all that was sent
        self._unanswered = False  # whether a heartbeat has passed since the last piece

    @property
    def may_send(self) -> bool:
        """Whether another message with entries, or items, may leave now."""
        if self.probing:
            return not self._in_flight
        window = self._window
        return len(self._in_flight) < window and self._in_flight_bytes < window * self._max_bytes

    def sent(self, last_index: int, size: int) -> None:
        """Note that the entries from `next_index` to `last_index` are under way."""
        self._in_flight.append((last_index, size))
        self._in_flight_bytes += size
        self._unanswered = False
        if not self.probing:
            self.next_index = last_index + 1

    def heartbeat(self, last_index: int) -> None:
        """A heartbeat passes."""
        self.caught_up = self._round_end is not None and self.match_index >= self._round_end
        self._round_end = last_index
        self._asks = not self._moved
        self._moved = False
        self._unanswered = bool(self._in_flight)

    @property
    def heartbeat_index(self) -> int:
        """After which index a message without entries goes.

        Mostly it asks for all that was sent, so that a follower which lacks any of it says so.
        Where that is more than one message's worth, and acknowledgements come, it goes after
        what is known to match: so it need not wait behind all that.
        """
        if self.probing or self._asks or self._in_flight_bytes <= self._max_bytes:
            return self.next_index - 1
        return self.match_index

    def accepted(self, index: int, latest_round: int) -> bool:
        """The follower matches up to `index`. Returns whether that was news.

        `latest_round` is the leader's at this moment.
        """
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= index:
            self._in_flight_bytes -= in_flight.popleft()[1]
        if self.probing and (self.snapshot is None or index >= self.snapshot.last_index):
            self.probing = False
            self.snapshot = None
            self._forget_in_flight()
        if index >= self.next_index:
            self.next_index = index + 1
        if index <= self.match_index:
            return False
        self.match_index = index
        self.match_round = latest_round
        self._moved = True
        return True

    def rejected(self, index: int, possible_match: int) -> None:
        """The follower refused entries after `index`; try again after `possible_match`.

        A refusal that was overtaken by later news is ignored.
        """
        if index <= self.match_index or (self.probing and index != self.next_index - 1):
            return
        self.probing = True
        self.snapshot = None
        self._forget_in_flight()
        self.next_index = max(self.match_index, min(possible_match, index - 1)) + 1

    def begin_anew(self, possible_match: int, first_round: int) -> None:
        """The follower has lost what it had acknowledged: nothing is known of its log any more.

        Its answers of before `first_round` tell of the log that it had.
        """
        self.match_index = 0
        self.first_round = first_round
        self.next_index = possible_match + 1
        self.probing = True
        self.snapshot = None
        self._round_end = None
        self.caught_up = False
        self._forget_in_flight()

    def install(self, snapshot: Snapshot) -> None:
        """Begin to send a snapshot; whatever else is under way no longer matters."""
        self.probing = True
        self.snapshot = snapshot
        self.offset = 0
        self._forget_in_flight()

    def received(self, snapshot_index: int, offset: int) -> None:
        """The follower has the first `offset` items of the snapshot at `snapshot_index`.

        What is known already is no news, as the piece that follows it is under way; unless a
        heartbeat has passed since, so that this piece may be lost.
        """
        if self.snapshot is None or self.snapshot.last_index != snapshot_index:
            return
        if offset != self.offset or self._unanswered:
            self.offset = min(offset, len(self.snapshot.items))
            self._forget_in_flight()

    def _forget_in_flight(self) -> None:
        self._in_flight.clear()
        self._in_flight_bytes = 0
