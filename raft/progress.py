"""What a leader knows of one follower (paper's figure 2: nextIndex, matchIndex)."""

from collections import deque


class Progress:
    """A follower's position in the leader's log, and the window of what is under way.

    It begins *probing*: one AppendEntries at a time, until a success shows where the
    logs meet. From then on it is *replicating*: entries are sent ahead of their
    acknowledgements, at most `window` messages of them.

    Invariant: `match_index < next_index`, and `match_index` never falls.
    """

    __slots__ = ("_in_flight", "_window", "match_index", "next_index", "probing")

    def __init__(self, next_index: int, window: int) -> None:
        self.match_index = 0
        self.next_index = next_index
        self.probing = True
        self._window = window
        self._in_flight: deque[int] = deque()

    @property
    def may_send(self) -> bool:
        """Whether another AppendEntries with entries may leave now."""
        return len(self._in_flight) < (1 if self.probing else self._window)

    def sent(self, last_index: int) -> None:
        """Note that the entries from `next_index` to `last_index` are under way."""
        self._in_flight.append(last_index)
        if not self.probing:
            self.next_index = last_index + 1

    def heartbeat(self) -> None:
        """A heartbeat passed: a probe unanswered until now is taken for lost."""
        if self.probing:
            self._in_flight.clear()

    def accepted(self, index: int) -> bool:
        """The follower matches up to `index`. Returns whether that was news."""
        in_flight = self._in_flight
        while in_flight and in_flight[0] <= index:
            in_flight.popleft()
        if self.probing:
            self.probing = False
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
        self._in_flight.clear()
        self.next_index = max(self.match_index, min(possible_match, index - 1)) + 1
