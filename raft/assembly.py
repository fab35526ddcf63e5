"""A snapshot on its way: the pieces that a leader sends, put together (§7)."""

from raftmark.raft.messages import InstallSnapshot, Item, Snapshot


class Assembly:
    """The items that a follower has received so far of one leader's snapshot.

    Two leaders may hold the same state in a different order, so that their pieces do not
    mix.
    """

    __slots__ = ("_items", "_source")

    def __init__(self) -> None:
        self._source: tuple[int, int, int] | None = None
        self._items: list[Item] = []

    @property
    def received(self) -> int:
        """How many items are here."""
        return len(self._items)

    def add(self, piece: InstallSnapshot) -> Snapshot | None:
        """Take a piece, if it is the next one; the snapshot once it is whole."""
        source = (piece.term, piece.sender, piece.snapshot_index)
        if source != self._source:
            self._source = source
            self._items = []
        if piece.offset != len(self._items):
            return None
        self._items += piece.items
        if not piece.done:
            return None
        items = tuple(self._items)
        self.clear()
        return Snapshot(piece.snapshot_index, piece.snapshot_term, piece.configuration, items)

    def clear(self) -> None:
        """Forget what was received."""
        self._source = None
        self._items = []
