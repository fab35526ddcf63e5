"""The figures of many runs over time: an append-only store, one small file a run.

An entry is a JSON file whose name is the time of its run and the checksum of its content. So two
branches that each add runs merge without a conflict, adding a run again changes nothing, and a
file that was damaged no longer fits its name: such a file is named and left out, as is anything
else that lies there. A run that was added while it was not complete is replaced when it is added
again; where two branches did so, the one with more blocks counts.

Only runs of one machine are one series: a machine is told by its processor's model and how many of
them there are.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from raftmark.bench.analysis.changepoints import change_points
from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    HEADLINES,
    LATENCY_P50,
    PEAK_MEMORY,
    Metric,
    values,
)
from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.analysis.statistics import median_interval
from raftmark.bench.experiment.environment import machine, measured_revision
from raftmark.bench.files import read_file, replace_file
from raftmark.bench.runs.runtimes import started
from raftmark.bench.runs.store import LONGEST_FILE, Run, StoreError, explained
from raftmark.bench.tracking.plans import METRICS, Plan

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}\.json")
_KEPT = (CPU_PER_COMMAND, LATENCY_P50, PEAK_MEMORY)


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contender's figure in a run: the median over blocks and the ends of its interval."""

    contender: str
    label: str
    cell: str
    metric: str
    value: float
    low: float | None
    high: float | None
    blocks: int


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run: when it began, of which commit, on which machine, and its figures.

    `commit` is None outside of git, and `dirty` says that the files differed from it. `runtimes`
    has what each contender ran on; entries from before it was kept have none.
    """

    schema: Literal[1]
    run: str
    at: str
    commit: str | None
    dirty: bool
    machine: str
    figures: list[Figure]
    runtimes: dict[str, str] = {}

    @property
    def identity(self) -> tuple[str, ...]:
        """What two entries share that are of one run."""
        return self.run, self.at, self.machine

    @property
    def blocks(self) -> int:
        """How many values its figures are made of."""
        return sum(figure.blocks for figure in self.figures)


class Change(NamedTuple):
    """A series that changed with an entry: the medians of the segments before it and after."""

    entry: Entry
    before: float
    after: float
    verdict: Verdict

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before if self.before else math.inf


class Series(NamedTuple):
    """A figure over time, on one machine."""

    machine: str
    contender: str
    label: str
    cell: str
    metric: Metric
    entries: list[Entry]
    figures: list[Figure]

    def changes(self) -> list[Change]:
        """Return where the figure changed for good."""
        cuts = change_points([figure.value for figure in self.figures])
        bounds = [0, *cuts, len(self.figures)]
        medians = [
            float(np.median([figure.value for figure in self.figures[start:end]]))
            for start, end in pairwise(bounds)
        ]
        return [
            Change(self.entries[cut], before, after, self._verdict(before, after))
            for cut, before, after in zip(cuts, medians, medians[1:], strict=False)
        ]

    def _verdict(self, before: float, after: float) -> Verdict:
        better = (after > before) == self.metric.higher_is_better
        return Verdict.FASTER if better else Verdict.SLOWER


class History(NamedTuple):
    """The entries in the order of their time, and sentences on what was left out."""

    entries: list[Entry]
    left_out: list[str]

    def other_runtimes(self) -> list[str]:
        """Return a sentence for each time at which a contender ran on another build than before."""
        found, latest = [], dict[tuple[str, str], str]()
        for entry in self.entries:
            for contender, now in entry.runtimes.items():
                before = latest.setdefault((entry.machine, contender), now)
                if before != now:
                    found.append(f"{entry.at}: {contender} ran on {before} before, on {now} since")
                latest[entry.machine, contender] = now
        return found

    def series(self) -> list[Series]:
        """Return every figure over time, by machine, cell, metric and contender."""
        found: defaultdict[tuple[str, str, str, str], list[tuple[Entry, Figure]]]
        found = defaultdict(list)
        for entry in self.entries:
            for figure in entry.figures:
                key = (entry.machine, figure.cell, figure.metric, figure.contender)
                found[key].append((entry, figure))
        return [
            Series(
                on,
                contender,
                points[-1][1].label,
                cell,
                METRICS[metric],
                [entry for entry, _ in points],
                [figure for _, figure in points],
            )
            for (on, cell, metric, contender), points in sorted(found.items())
        ]


def entry_of(run: Run) -> Entry:
    """Return what is kept of a run. Raises `StoreError` for one that is of no use here."""
    manifest = run.manifest
    if Plan.of(run) is not None:
        raise StoreError(f"{run.path} is a comparison; the history is of runs of `raftmark bench`")
    figures = list(_figures(run))
    if not figures:
        raise StoreError(f"{run.path} has no figure yet, so there is nothing to remember")
    revision = measured_revision(manifest.environment)
    return Entry(
        schema=1,
        run=manifest.run,
        at=manifest.started_at,
        commit=revision.get("commit"),
        dirty=bool(revision.get("dirty")),
        machine=machine(manifest.environment),
        figures=figures,
        runtimes={
            entry.name: started(entry)
            for entry in manifest.contenders
            if any(figure.contender == entry.name for figure in figures)
        },
    )


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


def _figures(run: Run) -> Iterable[Figure]:
    manifest = run.manifest
    measured: defaultdict[tuple[str, str, Metric], list[float]] = defaultdict(list)
    cells = {cell.id: cell for cell in manifest.specification.cells}
    for trial in run.trials:
        cell = cells[trial.cell]
        kept = {HEADLINES[cell.workload["name"]], *_KEPT}
        for metric, value in values(cell, trial).items():
            if metric in kept:
                measured[trial.contender, trial.cell, metric].append(value)
    labels = {entry.name: entry.label for entry in manifest.contenders if not entry.twin}
    for (contender, cell_id, metric), sample in measured.items():
        if contender not in labels:
            continue
        estimate = median_interval(sample)
        low, high = (
            None if math.isnan(end) else float(f"{end:.6g}")
            for end in (estimate.low, estimate.high)
        )
        yield Figure(
            contender=contender,
            label=labels[contender],
            cell=cell_id,
            metric=metric.key,
            value=float(f"{estimate.value:.6g}"),
            low=low,
            high=high,
            blocks=len(sample),
        )
