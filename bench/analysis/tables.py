"""A run as tables: every value of every trial, and every figure with its ratio.

The report, the exports and `raftmark.load` hand out the same two, so that a column means the same
wherever it comes from. All that identifies a row is in it, so that tables can be filtered, joined
and stacked with those of other runs.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from raftmark.bench.analysis.metrics import Metric, values
from raftmark.bench.analysis.statistics import Estimate, median_interval, ratio_interval
from raftmark.bench.runs.store import Run

VALUES = (
    *("run", "cell", "workload", "block", "contender", "label"),
    *("metric", "unit", "higher_is_better", "value"),
)
"""The columns of a value of a trial."""

FIGURES = (
    *("run", "cell", "workload", "contender", "label", "metric", "unit", "higher_is_better"),
    *("median", "low_95", "high_95", "blocks"),
    *("reference", "ratio", "ratio_low_95", "ratio_high_95"),
)
"""The columns of a figure: the median over blocks, and the ratio within blocks to a reference.

Both intervals are of one figure by itself; what there is none of is None.
"""

REFERENCE = "go"
"""Whom the others are divided by, if it is there; the run's first contender if not."""

Row = tuple[object, ...]
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")


def value_rows(run: Run) -> Iterator[Row]:
    """Yield a row of `VALUES` for each metric of each trial that counts."""
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    labels = {entry.name: entry.label_on_disk for entry in run.manifest.contenders}
    for trial in run.trials:
        if trial.cell not in cells:
            continue
        cell = cells[trial.cell]
        where = (run.manifest.run, cell.id, cell.workload["name"], trial.block, trial.contender)
        for metric, value in values(cell, trial).items():
            about = (metric.key, metric.unit, metric.higher_is_better)
            yield (*where, labels[trial.contender], *about, value)


def figure_rows(run: Run) -> Iterator[Row]:
    """Yield a row of `FIGURES` for each cell, metric and contender that has a value."""
    names = [entry.name for entry in run.manifest.contenders]
    reference = REFERENCE if REFERENCE in names else names[0]
    labels = {entry.name: entry.label_on_disk for entry in run.manifest.contenders}
    for cell in run.manifest.specification.cells:
        found: dict[Metric, dict[str, dict[int, float]]] = {}
        for trial in run.trials:
            if trial.cell == cell.id:
                for metric, value in values(cell, trial).items():
                    by_name = found.setdefault(metric, {})
                    by_name.setdefault(trial.contender, {})[trial.block] = value
        for metric, samples in found.items():
            for name in (name for name in names if name in samples):
                yield (
                    *(run.manifest.run, cell.id, cell.workload["name"], name, labels[name]),
                    *(metric.key, metric.unit, metric.higher_is_better),
                    *_ends(median_interval(list(samples[name].values()))),
                    len(samples[name]),
                    *(reference, *_ratio(samples[name], samples.get(reference, {}))),
                )


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV, in which no spreadsheet takes a text for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_inert(value) for value in row] for row in rows)
    return text.getvalue()


def _ratio(subject: dict[int, float], reference: dict[int, float]) -> Sequence[float | None]:
    common = sorted(subject.keys() & reference.keys())
    pairs = [(subject[block], reference[block]) for block in common]
    if not pairs or not all(one > 0 and other > 0 for one, other in pairs):
        return None, None, None
    ones, others = zip(*pairs, strict=True)
    return _ends(ratio_interval(ones, others))


def _ends(estimate: Estimate) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(end) else end for end in estimate)


def _inert(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula: a quotation mark goes before it."""
    # One that begins with the mark itself gets another, or two texts would become one.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
