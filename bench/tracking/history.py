"""The figures of many runs over time: an append-only store, one small file a run.

An entry is a JSON file whose name is the time of its run and the checksum of its content. So two
branches that each add runs merge without a conflict, adding a run again changes nothing, and a
file that was damaged no longer fits its name: such a file is named and left out, as is anything
else that lies there. A run that was added while it was not complete is replaced when it is added
again; where two branches did so, the one with more blocks counts.

What is kept of a run, `remembering` has, and `series` what its figures are over time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from raftmark.bench.files import read_file, replace_file
from raftmark.bench.runs import meanings
from raftmark.bench.runs.store import LONGEST_FILE, StoreError, explained
from raftmark.bench.tracking.plans import METRICS

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}\.json")


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contender's figure in a run: the median over blocks and the ends of its interval.

    In a comparison it is the ratio of two revisions.
    """

    contender: str
    label: str
    cell: str
    metric: str
    value: float
    low: float | None
    high: float | None
    blocks: int


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a command of a contender costs, counted; less than the `margin` more is no change."""

    contender: str
    label: str
    what: str
    number: float
    margin: float


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run: when it began, of which commit, on which machine, and its figures.

    `commit` is None outside of git, and `dirty` says that the files differed from it. `runtimes`
    has what each contender ran on, `cells` a digest of what each cell asks for, and `counting` the
    version of Raftmark's own counting. `against` is the commit that a comparison compares with, and
    `counts` what it counted. Entries from before any of these was kept have none.
    """

    schema: Literal[1]
    run: str
    at: str
    commit: str | None
    dirty: bool
    machine: str
    figures: list[Figure]
    runtimes: dict[str, str] = {}
    cells: dict[str, str] = {}
    counting: int = meanings.FIRST
    against: str | None = None
    counts: list[Counted] = []

    @property
    def identity(self) -> tuple[str, ...]:
        """What two entries share that are of one run."""
        return self.run, self.at, self.machine

    @property
    def blocks(self) -> int:
        """How many values its figures are made of."""
        return sum(figure.blocks for figure in self.figures)


class History(NamedTuple):
    """The entries in the order of their time, and sentences on what was left out."""

    entries: list[Entry]
    left_out: list[str]


def add(store: Path, entry: Entry) -> Path:
    """Add an entry and return its file; it takes the place of an earlier one of the same run.

    Raises `StoreError` when it cannot be written.
    """
    content = msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n"
    # The time is read and written anew: a name is never made of what a run says.
    time = datetime.fromisoformat(entry.at).astimezone(UTC)
    path = store / f"{time:%Y%m%dT%H%M%SZ}-{_checksum(content)}.json"
    with explained(store, "make room or permit it, or choose another --store"):
        store.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
        for other, known in _entries(store, left_out=[]):
            if known.identity == entry.identity and other != path:
                other.unlink()
    return path


def read(store: Path) -> History:
    """Read a store. Raises `StoreError` when there is none."""
    if not store.is_dir():
        raise StoreError(f"{store} is no directory; `raftmark history add RUN` begins a history")
    found: dict[tuple[str, ...], tuple[Path, Entry]] = {}
    left_out: list[str] = []
    with explained(store):
        for path, entry in _entries(store, left_out):
            before = found.setdefault(entry.identity, (path, entry))
            if before[0] != path:
                less, more = sorted([before, (path, entry)], key=lambda each: each[1].blocks)
                found[entry.identity] = more
                left_out.append(f"{less[0].name} is the run {entry.run} before it was complete")
    entries = [entry for _, entry in found.values()]
    return History(sorted(entries, key=lambda entry: entry.at), left_out)


def _entries(store: Path, left_out: list[str]) -> Iterator[tuple[Path, Entry]]:
    """Yield the entries of a store with their files, and say which files are `left_out`."""
    for path in sorted(store.iterdir()):
        if path.name.startswith("."):
            continue
        if not _NAME.fullmatch(path.name) or not path.is_file():
            left_out.append(f"{path.name} is no entry of a history")
            continue
        content = read_file(path, LONGEST_FILE)
        if _checksum(content) not in path.name:
            left_out.append(f"{path.name} is damaged: its content is not what was written")
            continue
        try:
            entry = msgspec.json.decode(content, type=Entry)
        except (msgspec.DecodeError, RecursionError) as error:
            left_out.append(f"{path.name} is of another version of raftmark: {error}")
            continue
        unknown = {figure.metric for figure in entry.figures} - METRICS.keys()
        if unknown:
            left_out.append(f"{path.name} has unknown metrics: {', '.join(sorted(unknown))}")
            continue
        yield path, entry


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
