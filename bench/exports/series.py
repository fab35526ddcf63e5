"""What all exports are made of: each metric of each contender in each cell, one value a process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from raftmark.bench.analysis.metrics import THROUGHPUT, Metric, values
from raftmark.bench.analysis.statistics import Estimate, median_interval
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.environment import measured_revision
from raftmark.bench.files import escaped
from raftmark.bench.runs.forms import ContenderEntry, Trial
from raftmark.bench.runs.store import Run


class ExportError(Exception):
    """A run cannot be had in a format; the message says why and what would help."""


class Series(NamedTuple):
    """One metric of one contender in one cell: its value in each trial that is ok, by block."""

    cell: Cell
    contender: ContenderEntry
    metric: Metric
    trials: list[Trial]
    values: list[float]

    def estimate(self) -> Estimate:
        """Return the median over processes with its 95 % interval."""
        return median_interval(self.values)


def all_series(run: Run) -> list[Series]:
    """Return every series of a run, by cell, contender and metric.

    Raises `ExportError` when no trial gave a figure.
    """
    series = list(_series(run))
    if not series:
        raise ExportError(f"{run.path} has no trial that is ok, so there is nothing to export")
    return series


def _series(run: Run) -> Iterator[Series]:
    for cell in run.manifest.specification.cells:
        for entry in run.manifest.contenders:
            trials = sorted(
                (t for t in run.trials if (t.cell, t.contender) == (cell.id, entry.name)),
                key=lambda trial: trial.block,
            )
            found = [(trial, values(cell, trial)) for trial in trials]
            metrics = dict.fromkeys(metric for _, figures in found for metric in figures)
            for metric in metrics:
                kept = [(trial, figs[metric]) for trial, figs in found if metric in figs]
                yield Series(cell, entry, metric, [t for t, _ in kept], [v for _, v in kept])


class Timed(NamedTuple):
    """A series in seconds, of which fewer are better: its key, and its values."""

    series: Series
    key: str
    seconds: list[float]


def timed(series: Series) -> Timed | None:
    """Return a series in seconds, None if it is no time.

    Throughput becomes the seconds that a command takes of the measured time: tools that know only
    times take more for worse.
    """
    if series.metric == THROUGHPUT:
        return Timed(series, "seconds_per_command", [1 / value for value in series.values])
    scale = {"ns": 1e9, "s": 1.0}.get(series.metric.unit)
    if scale is None:
        return None
    return Timed(series, series.metric.key, [value / scale for value in series.values])


def named(*parts: str) -> str:
    """Return a name of several parts in one: no two become one, whatever the parts are."""
    return "/".join(map(escaped, parts))


def has_interval(estimate: Estimate) -> bool:
    """Whether there were enough processes for an interval."""
    return not math.isnan(estimate.low)


def runtime(entry: ContenderEntry) -> str:
    """Return what a contender ran on, as it said itself: 'CPython 3.14.0'."""
    said = (entry.hello or {}).get("runtime", {})
    return " ".join(str(said[key]) for key in ("name", "version") if said.get(key)) or "unknown"


def revision(run: Run) -> dict[str, Any]:
    """Return the git revision that was measured: `commit` and `dirty`, empty outside of git."""
    return measured_revision(run.manifest.environment)


def environment_text(run: Run, *keys: str) -> str:
    """Return one line of the environment by its path of keys, empty if it is not there."""
    found: object = run.manifest.environment
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return "" if found is None else " ".join(str(found).split())
