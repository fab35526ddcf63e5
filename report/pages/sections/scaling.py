"""Scaling: outstanding commands, size of values, nodes and storage, in the closed loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ENTRIES_PER_SAVE,
    LATENCY_P50,
    LATENCY_P99,
    SAVE_TIME,
    THROUGHPUT,
    Metric,
)
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.results import ReplicateResult
from raftmark.report.drawing.charts import Axis, Chart, Panel, Scale, View, chart, shifted
from raftmark.report.drawing.series import over_cells
from raftmark.report.findings import snapshots
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.headlines import OUTSTANDING
from raftmark.report.findings.loads import besides, plain_loads
from raftmark.report.findings.takeaways import of_sizes
from raftmark.report.findings.wording import outstanding, setting
from raftmark.report.model import Quantity, Section

_RATE = ("commands/s", 1.0)
_MICROSECONDS = ("µs", 1e3)


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's figures at one load. Times are in ns, CPU time in seconds."""

    contender: str
    setting: str
    outstanding: int
    figures: tuple[tuple[Quantity | None, float], ...]


@dataclass(frozen=True, slots=True)
class Dimension:
    """What is varied while all else stays, and the chart of it."""

    title: str
    setting: str
    chart: Chart
    takeaway: str
    how: str


def section(analysis: Analysis) -> Section | None:
    """Return the section, if anything was replicated; the load itself is the frontier's."""
    cells = analysis.evidence.cells_of("replicate")
    rows = list(_rows(analysis, cells))
    if not rows:
        return None
    facts = {
        "dimensions": [d for d in _dimensions(analysis, cells) if d.chart.shown],
        "columns": [(metric.title, symbol) for metric, symbol, _ in _COLUMNS],
        "rows": rows,
        "clients": _clients(analysis),
        "snapshots": snapshots.sentences(analysis),
    }
    return Section("scaling", "Scaling", facts, ("replicate",))


def _dimensions(analysis: Analysis, cells: Sequence[Cell]) -> Iterator[Dimension]:
    loads = plain_loads(analysis.evidence)
    busy = min(loads, key=lambda c: abs(c.workload["outstanding"] - OUTSTANDING))
    measures = (
        ("Commands committed per second", THROUGHPUT, _RATE),
        ("Median latency, µs", LATENCY_P50, _MICROSECONDS),
        ("99th percentile, µs", LATENCY_P99, _MICROSECONDS),
    )
    for title, key, x_label, x, how in _AXES:
        varied = sorted((c for c in cells if besides(c, key) == besides(busy, key)), key=x)
        if len(varied) > 1:
            yield Dimension(
                title,
                f"{outstanding(busy.workload['outstanding'])}, " + _shared(varied, key),
                _chart(
                    analysis,
                    key,
                    varied,
                    (measures[0], measures[2]),
                    x_label,
                    x,
                    partial(_at, x, x_label),
                ),
                _left(analysis, varied, x, x_label),
                how,
            )
    storages = sorted({cell.cluster["storage"] for cell in cells})
    for storage in storages:
        kept = [
            c
            for c in cells
            if c.cluster["storage"] == storage
            and storage != loads[0].cluster["storage"]
            and besides(c, "outstanding", "storage") == besides(loads[0], "outstanding", "storage")
        ]
        if len(kept) > 1:
            yield Dimension(
                f"Storage: {storage}",
                setting(kept[0]),
                _chart(
                    analysis,
                    f"storage-{storage}",
                    kept,
                    (measures[0], measures[2]),
                    "commands outstanding",
                    lambda cell: float(cell.workload["outstanding"]),
                    lambda cell: outstanding(cell.workload["outstanding"]),
                ),
                _kept(analysis, loads, kept),
                "Every save waits for the disk here. With one command outstanding that wait is "
                "most of the latency, whatever the model; with many, one save serves a batch.",
            )


def _left(
    analysis: Analysis, varied: Sequence[Cell], x: Callable[[Cell], float], label: str
) -> str:
    """Say what is left of the throughput at the largest of some sizes."""
    first, last = varied[0], varied[-1]
    return of_sizes(analysis, (f"{x(first):,.0f} {label}", f"{x(last):,.0f}"), first, last)


def _kept(analysis: Analysis, loads: Sequence[Cell], stored: Sequence[Cell]) -> str:
    """Say what is left of the throughput in other storage, at the load that both have most of."""
    here = {cell.workload["outstanding"]: cell for cell in loads}
    there = {cell.workload["outstanding"]: cell for cell in stored}
    both = here.keys() & there.keys()
    if not both:
        return ""
    most = max(both)
    one, other = here[most], there[most]
    storages = (
        f"{outstanding(most)} in {one.cluster['storage']}",
        f"saves on {other.cluster['storage']}",
    )
    return of_sizes(analysis, storages, one, other)


_AXES: tuple[tuple[str, str, str, Callable[[Cell], float], str], ...] = (
    (
        "Size of values",
        "payload",
        "bytes a value",
        lambda cell: float(cell.workload["payload"]),
        "Where values are passed as objects, their size costs little; where they are encoded and "
        "copied, a line falls as they grow.",
    ),
    (
        "Nodes",
        "nodes",
        "nodes",
        lambda cell: float(cell.cluster["nodes"]),
        "Every node more is one more follower that the leader has to send to, on the same machine.",
    ),
)


def _chart(
    analysis: Analysis,
    name: str,
    cells: Sequence[Cell],
    measures: Sequence[tuple[str, Metric, tuple[str, float]]],
    x_label: str,
    x: Callable[[Cell], float],
    said: Callable[[Cell], str],
) -> Chart:
    def panels(log: bool, relative: bool) -> list[Panel]:
        found = []
        for title, metric, unit in measures:
            series = over_cells(
                analysis, cells, metric, x=x, said=said, unit=unit, relative=relative
            )
            if relative:
                title = f"{title.partition(',')[0]}, ratio"
            found.append(
                Panel(
                    title,
                    Axis(x_label, log, ticks=sorted({x(cell) for cell in cells}) if log else None),
                    Axis(log=log),
                    shifted(series) if log else series,
                    level=1.0 if relative else None,
                )
            )
        return found

    # Ratios are drawn on a logarithmic axis only, where twice and half are as far from 1.
    views: dict[tuple[Scale | None, View | None], Sequence[Panel]] = {
        ("log", "absolute"): panels(log=True, relative=False),
        ("linear", "absolute"): panels(log=False, relative=False),
        (None, "relative"): panels(log=True, relative=True),
    }
    titles = " and ".join(title.partition(",")[0].lower() for title, _, _ in measures)
    return chart(
        f"scaling-{name}",
        f"{titles} by {x_label}. The figures are in the table of all loads below.",
        analysis.contenders,
        views,
    )


_COLUMNS = (
    (THROUGHPUT, "commands/s", 1.0),
    (LATENCY_P50, "µs", 1e3),
    (LATENCY_P99, "µs", 1e3),
    (CPU_PER_COMMAND, "µs", 1e-6),
    (ENTRIES_PER_SAVE, "", 1.0),
    (SAVE_TIME, "µs", 1e3),
)


def _rows(analysis: Analysis, cells: Sequence[Cell]) -> Iterator[Row]:
    for cell in cells:
        for name in analysis.shown:
            figures = tuple(
                (analysis.estimates.quantities(cell, metric).get(name), size)
                for metric, _, size in _COLUMNS
            )
            if figures[0][0] is not None:
                yield Row(name, setting(cell), cell.workload["outstanding"], figures)


def _clients(analysis: Analysis) -> dict[str, str]:
    """How each contender keeps its commands outstanding, in its own words."""
    return {
        trial.contender: trial.result.client
        for trial in analysis.evidence.measured
        if isinstance(trial.result, ReplicateResult) and trial.contender in analysis.shown
    }


def _at(x: Callable[[Cell], float], unit: str, cell: Cell) -> str:
    return f"{x(cell):,.0f} {unit}"


def _shared(cells: Sequence[Cell], key: str) -> str:
    """Say what cells that differ in `key` have in common."""
    parts = setting(cells[0]).split(", ")
    word = {"nodes": "nodes", "payload": "values"}[key]
    return ", ".join(part for part in parts if word not in part)
