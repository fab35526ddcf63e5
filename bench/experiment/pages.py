"""A node's log as `log` tells it, page by page: by entries, or by their fields.

A log repeats its terms and its texts, and who tells it by columns says each of them once. It is
the same log, field by field; it only takes a contender a tenth of the time to write, which is most
of what a check takes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Annotated, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from raftmark.bench.contenders.contender import ContenderFailed, Patience

COLUMNS = "columns"
"""The feature of a contender that tells a log by columns."""

# A page by entries must fit a line of 1 MiB: an entry has its value and less than this besides.
_ENTRY_OVERHEAD = 256
_PAGE_BYTES = 2**20
_LARGEST_PAGE = 5000
# So many are told and looked at side by side: by a node, by whom it tells through, and here.
_AHEAD = 3
# Which nodes are read is the harness's own choice: from the run's seed a contender could know it.
_random = random.SystemRandom()

T = TypeVar("T")
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Asked(Protocol):
    """What the check needs of a contender: see `Contender`."""

    def send_as(self, reply_type: type[T], op: str, /, **fields: object) -> Future[T]:
        """Send a request."""

    def wait_for(self, reply: Future[T], op: str, timeout: float | Patience) -> T:
        """Wait for its reply."""


class Entry(NamedTuple):
    """An entry as `log` shows it; `number` is its index."""

    number: int
    term: int
    op: str
    key: str = ""
    value: str | None = None
    expect: str | None = None
    client: str | None = None
    serial: int = 0


class _Command(msgspec.Struct):
    op: str
    key: str = ""
    value: str | None = None
    expect: str | None = None
    client: str | None = None
    serial: Natural = 0


class _Numbered(msgspec.Struct):
    index: int
    term: Natural
    command: _Command


class ByEntries(msgspec.Struct):
    """A page, entry by entry."""

    numbered: list[_Numbered] = msgspec.field(name="entries")

    def __len__(self) -> int:
        return len(self.numbered)

    def entries(self) -> list[Entry]:
        """Return its entries."""
        return [
            Entry(each.index, each.term, *msgspec.structs.astuple(each.command))
            for each in self.numbered
        ]


class _Column(msgspec.Struct, Generic[T]):
    values: list[T]
    at: list[Natural] | None = None

    def places(self, count: int) -> list[int]:
        """Return the place of each entry's value. Raises `ContenderFailed` where it has none."""
        at = [0] * count if self.at is None else self.at
        if len(at) != count or max(at, default=-1) >= len(self.values):
            raise ContenderFailed("told a log by columns that have not one value for each entry")
        return at

    def spread(self, count: int) -> list[T]:
        """Return each entry's value. Raises `ContenderFailed` where it has none."""
        values = self.values
        return [values[place] for place in self.places(count)]

    def is_all(self, value: T) -> bool:
        """Whether every entry has this value."""
        return self.at is None and self.values == [value]


class _Columns(msgspec.Struct):
    term: _Column[Natural]
    op: _Column[str]
    key: _Column[str]
    value: _Column[str | None]
    expect: _Column[str | None]
    client: _Column[str | None]
    serial: _Column[Natural]


class ByColumns(msgspec.Struct):
    """A page, field by field."""

    first_index: int
    count: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_PAGE)]
    columns: _Columns

    def __len__(self) -> int:
        return self.count

    def entries(self) -> list[Entry]:
        """Return its entries. Raises `ContenderFailed` where its columns are none."""
        columns = [column.spread(self.count) for column in msgspec.structs.astuple(self.columns)]
        indices = range(self.first_index, self.first_index + self.count)
        return list(map(Entry._make, zip(indices, *columns, strict=True)))


class Ends(msgspec.Struct):
    """How long a log is, and how much of it is committed: what every page tells besides."""

    last_index: int
    commit_index: int


def page_size(payload: int, *, by_columns: bool) -> int:
    """Return how many entries with values of so many bytes to ask for at a time."""
    if by_columns:
        return _LARGEST_PAGE
    return max(1, min(_LARGEST_PAGE, _PAGE_BYTES // (payload + _ENTRY_OVERHEAD)))


def read_log(
    contender: Asked,
    nodes: Sequence[int],
    end: int,
    payload: int,
    patience: Patience,
    *,
    start: int = 1,
    by_columns: bool,
) -> Iterator[ByColumns | ByEntries]:
    """Yield a log from one index up to another, each page from any of the nodes.

    The next pages are on their way while one is looked at.
    """
    size = page_size(payload, by_columns=by_columns)
    form: type[ByColumns] | type[ByEntries] = ByColumns if by_columns else ByEntries
    fields = {COLUMNS: True} if by_columns else {}
    awaited: deque[Future[ByColumns | ByEntries]] = deque()
    while start <= end:
        while len(awaited) < _AHEAD and (first := start + size * len(awaited)) <= end:
            stretch = {"from": first, "to": min(first + size - 1, end), **fields}
            node = _random.choice(nodes)
            awaited.append(contender.send_as(form, "log", node=node, **stretch))
        page = contender.wait_for(awaited.popleft(), "log", patience)
        if not page:
            return
        if len(page) != size:
            awaited.clear()  # What follows begins elsewhere.
        start += len(page)
        yield page
