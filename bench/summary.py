"""The short table at the end of a run: each contender's figure in each cell."""

from __future__ import annotations

import math
import statistics

import numpy as np
from rich.table import Table

from bench.results import ElectionResult, parse_result
from bench.specification import Cell
from bench.statistics import Estimate, median_interval
from bench.store import Run, Trial
from report.numbers import Spelled, spell


def figure(cell: Cell, trial: Trial) -> float | None:
    """Return a trial's figure: commands/s, or the median election's milliseconds.

    An election lasts from the crash to the new leader. None when the trial failed.
    """
    if trial.status != "ok" or trial.result is None:
        return None
    result = parse_result(cell.workload["name"], trial.result)
    if isinstance(result, ElectionResult):
        return statistics.median(
            (election.leader_ns - election.crash_ns) / 1e6
            for election in result.elections
            if election.leader_ns is not None
        )
    return result.throughput


def summarise(run: Run) -> Table:
    """Return the table, with medians over blocks and their 95 % intervals."""
    manifest = run.manifest
    table = Table(title=f"{manifest.run}: median (95 % interval) over blocks")
    table.add_column("contender")
    cells = manifest.specification.cells
    for cell in cells:
        unit = "ms" if cell.workload["name"] == "election" else "commands/s"
        table.add_column(f"{cell.id}\n{unit}", justify="right", overflow="fold")
    for entry in manifest.contenders:
        table.add_row(entry.label, *(_entry(run, cell, entry.name) for cell in cells))
    return table


def spell_estimate(estimate: Estimate) -> Spelled:
    """Spell an estimate with its interval, if it has one."""
    if math.isnan(estimate.low):
        return spell(estimate.value)
    return spell(estimate.value, (estimate.low, estimate.high))


def _entry(run: Run, cell: Cell, contender: str) -> str:
    values = [
        value
        for trial in run.trials
        if (trial.cell, trial.contender) == (cell.id, contender)
        and (value := figure(cell, trial)) is not None
    ]
    if not values:
        return "none"
    rng = np.random.default_rng(run.manifest.seed)
    spelled = spell_estimate(median_interval(values, rng))
    return f"{spelled.value}\n({spelled.interval})" if spelled.interval else spelled.value
