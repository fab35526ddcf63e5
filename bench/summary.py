"""The short table at the end of a run: each contender's figure in each cell."""

from __future__ import annotations

import math

from rich.table import Table

from bench.metrics import HEADLINES, headline
from bench.specification import Cell
from bench.statistics import Estimate, median_interval
from bench.store import ContenderEntry, Run
from report.numbers import Spelled, spell

_SHOWN_IN = {"ns": ("ms", 1e6)}


def summarise(run: Run) -> Table:
    """Return the table, with medians over blocks and their 95 % intervals."""
    manifest = run.manifest
    table = Table(title=f"{manifest.run}: median (95 % interval) over blocks")
    table.add_column("contender")
    cells = manifest.specification.cells
    for cell in cells:
        metric = HEADLINES[cell.workload["name"]]
        table.add_column(
            f"{cell.id}\n{_SHOWN_IN.get(metric.unit, (metric.unit, 1))[0]}",
            justify="right",
            overflow="fold",
        )
    for entry in manifest.contenders:
        table.add_row(entry.label, *(_entry(run, cell, entry) for cell in cells))
    return table


def spell_estimate(estimate: Estimate) -> Spelled:
    """Spell an estimate with its interval, if it has one."""
    if math.isnan(estimate.low):
        return spell(estimate.value)
    return spell(estimate.value, (estimate.low, estimate.high))


def _entry(run: Run, cell: Cell, contender: ContenderEntry) -> str:
    if contender.lacks(cell):
        return "not offered"
    _, scale = _SHOWN_IN.get(HEADLINES[cell.workload["name"]].unit, ("", 1))
    values = [
        value / scale
        for trial in run.trials
        if (trial.cell, trial.contender) == (cell.id, contender.name)
        and (value := headline(cell, trial)) is not None
    ]
    if not values:
        return "none"
    spelled = spell_estimate(median_interval(values))
    return f"{spelled.value}\n({spelled.interval})" if spelled.interval else spelled.value
