"""The short table at the end of a run: each contender's figure in each cell."""

from __future__ import annotations

import math
from itertools import groupby

from rich.table import Table
from rich.text import Text

from raftmark.bench.analysis.metrics import HEADLINES, Metric, headline
from raftmark.bench.analysis.statistics import Estimate, median_interval
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.store import Run
from raftmark.report.findings.numbers import Spelled, spell

_SHOWN_IN = {"ns": ("ms", 1e6)}


def summarise(run: Run) -> Table:
    """Return the table, with medians over blocks and their 95 % intervals.

    The cells of a workload stand below what is shown of it; a run may have dozens of them.
    """
    manifest = run.manifest
    table = Table(title=f"{manifest.run}: median (95 % interval) over blocks")
    table.add_column("cell", overflow="fold", no_wrap=True)
    for entry in manifest.contenders:
        table.add_column(entry.title_on_disk, justify="right", overflow="fold")
    for workload, cells in groupby(manifest.specification.cells, lambda c: c.workload["name"]):
        metric = HEADLINES[workload]
        unit, _ = _shown_in(metric)
        table.add_section()
        table.add_row(Text(f"{metric.title}, {unit}" if unit else metric.title, style="bold"))
        for cell in cells:
            table.add_row(cell.id, *(_entry(run, cell, entry) for entry in manifest.contenders))
    return table


def spell_estimate(estimate: Estimate) -> Spelled:
    """Spell an estimate with its interval, if it has one."""
    if math.isnan(estimate.low):
        return spell(estimate.value)
    return spell(estimate.value, (estimate.low, estimate.high))


def _shown_in(metric: Metric) -> tuple[str, float]:
    """Return the unit that people are shown, and what a figure is divided by for it."""
    return _SHOWN_IN.get(metric.unit, (metric.unit, 1))


def _entry(run: Run, cell: Cell, contender: ContenderEntry) -> str:
    if contender.lacks(cell):
        return "not offered"
    _, scale = _shown_in(HEADLINES[cell.workload["name"]])
    values = [
        value / scale
        for trial in run.trials
        if (trial.cell, trial.contender) == (cell.id, contender.name)
        and (value := headline(cell, trial)) is not None
    ]
    if not values:
        return "none"
    spelled = spell_estimate(median_interval(values))
    return f"{spelled.value} ({spelled.interval})" if spelled.interval else spelled.value
