"""How many processes, and how long each: what a pilot run's variance says.

A figure varies on two levels. Repetitions within a process vary (slices of 100 ms, elections), and
so do processes, by what each happens upon when it starts. More repetitions make only the first
smaller, more processes both, but a process also costs its start, its warm-up and its check. So
there is a best number of repetitions to a process, which follows from the two variances and the two
costs, whatever precision is wanted; and then a number of processes that reaches the precision
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013, sections 6 and 7).

All is reckoned on logarithms, so a standard deviation of 0.03 is 3 per cent. Blocks are complete:
the contender and the cell that need the most decide for all. What blocks have in common counts as
difference between processes here, though ratios are free of it, so the blocks are rather too many.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import NamedTuple

import msgspec
import numpy as np

from raftmark.bench.analysis.distributions import student_quantile
from raftmark.bench.analysis.metrics import headline
from raftmark.bench.analysis.statistics import CONFIDENCE
from raftmark.bench.analysis.steady_state import slice_rates
from raftmark.bench.design.cells import Cell
from raftmark.bench.design.specification import Specification
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.results import ElectionResult, ReplicateResult, parse_result
from raftmark.bench.runs.store import Run

PILOT_BLOCKS = 6
"""Blocks of a pilot, if it is measured for the purpose: few, yet enough for a variance."""

FEWEST_BLOCKS, MOST_BLOCKS = 6, 200
"""Fewer support no 95 % interval; more is for somebody to decide who knows why."""

# Bounds of what a process repeats: seconds of a closed loop, elections.
_DURATION_S = (0.5, 10.0)
_ELECTIONS = (2, 100)
_SLICE_S = 0.1
# The variance of a median of n normal values, against that of their mean.
_MEDIAN = math.pi / 2


class Components(NamedTuple):
    """How one contender's figure varies in one cell, as relative standard deviations, and its cost.

    `within`: of a repetition within a process, None for a workload that repeats nothing;
    `between`: of processes, free of what their repetitions explain. `repetition_s`, `process_s`:
    the seconds that a repetition takes, and a process besides its repetitions.
    """

    cell: str
    contender: str
    within: float | None
    between: float
    repetition_s: float
    process_s: float

    def repetitions(self, most: int) -> int:
        """Return the best number of repetitions to a process, between 1 and `most`.

        sqrt(c2/c1 x T1^2/T2^2), c the costs and T^2 the variances of the two levels: where
        processes hardly differ, as many as there may be.
        """
        if not self.within:
            return 1
        if not self.between:
            return most
        best = math.sqrt(self.process_s / self.repetition_s) * self.within / self.between
        return max(1, min(most, math.ceil(best)))

    def blocks(self, repetitions: int, precision: float) -> int:
        """Return how many processes make the median's interval reach no farther than `precision`.

        At least `FEWEST_BLOCKS`; one more than `MOST_BLOCKS` where not even those are enough.
        """
        variance = self.between**2 + (self.within or 0.0) ** 2 / repetitions
        for blocks in range(FEWEST_BLOCKS, MOST_BLOCKS + 1):
            quantile = student_quantile(blocks - 1, (1 + CONFIDENCE) / 2)
            if quantile * math.sqrt(_MEDIAN * variance / blocks) <= math.log1p(precision):
                return blocks
        return MOST_BLOCKS + 1


class Plan(NamedTuple):
    """What to measure for a precision, and why: `needs` are the blocks by cell and contender."""

    specification: Specification
    precision: float
    components: list[Components]
    needs: dict[tuple[str, str], int]

    @property
    def out_of_reach(self) -> list[str]:
        """The cells and contenders for which `MOST_BLOCKS` are not enough."""
        return [
            f"{name} in {cell}"
            for (cell, name), blocks in self.needs.items()
            if blocks > MOST_BLOCKS
        ]


def components(run: Run) -> list[Components]:
    """Estimate the components of variance of each figure that a run has in two blocks or more.

    What is not positive, such as a count of needless elections, has none.
    """
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    trials: defaultdict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in run.trials:
        if (headline(cells[trial.cell], trial) or 0.0) > 0:
            trials[trial.cell, trial.contender].append(trial)
    return [
        _components(cells[cell], contender, found)
        for (cell, contender), found in trials.items()
        if len(found) > 1
    ]


def plan(run: Run, precision: float, base: Specification) -> Plan:
    """Plan the cells of `base`, with the pilot's variances, for intervals that reach `precision`.

    Cells that the pilot tells nothing of stay as they are.
    """
    found = components(run)
    cells, needs = [], {}
    for cell in base.cells:
        here = [each for each in found if each.cell == cell.id]
        lasting, repetitions = _lasting(cell, here)
        cells.append(lasting)
        for each in here:
            needs[cell.id, each.contender] = each.blocks(repetitions, precision)
    blocks = min(MOST_BLOCKS, max(needs.values(), default=base.blocks))
    specification = msgspec.structs.replace(
        base, cells=cells, blocks=blocks, budget_s=None, precision=precision
    )
    return Plan(specification, precision, found, needs)


def read_precision(text: str) -> float:
    """Read a precision, `2%` or `0.02`. Raises `ValueError` for what is none."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise ValueError(f"{text!a} is no number") from error
    if not 0 < value < 1:
        raise ValueError(f"a precision lies between 0 and 100%, not at {text}")
    return value


def _components(cell: Cell, contender: str, trials: list[Trial]) -> Components:
    figures = [math.log(headline(cell, trial) or 1.0) for trial in trials]
    total = statistics.variance(figures)
    series = [_repetitions(cell, trial) for trial in trials]
    lengths = [len(values) for values, _ in series]
    took = statistics.median(trial.duration_s for trial in trials)
    if min(lengths) < 2:
        return Components(cell.id, contender, None, math.sqrt(total), 0.0, took)
    within = statistics.fmean(float(np.var(values, ddof=1)) for values, _ in series)
    # What the repetitions explain of the processes' variance; the rest is their own.
    between = max(0.0, total - within / statistics.fmean(lengths))
    each_s = statistics.fmean(seconds for _, seconds in series)
    return Components(
        cell.id,
        contender,
        math.sqrt(within),
        math.sqrt(between),
        each_s,
        max(0.1, took - each_s * statistics.fmean(lengths)),
    )


def _repetitions(cell: Cell, trial: Trial) -> tuple[list[float], float]:
    """Return the logarithms of what a process repeated, and the seconds that one of them takes."""
    result = parse_result(cell.workload["name"], trial.result or {})
    if isinstance(result, ReplicateResult):
        return [math.log(rate) for rate in slice_rates(result.slices) if rate > 0], _SLICE_S
    if isinstance(result, ElectionResult):
        times = [e.leader_ns - e.crash_ns for e in result.elections if e.leader_ns is not None]
        logarithms = [math.log(time) for time in times if time > 0]
        return logarithms, cell.usual_s / cell.workload["elections"]
    return [], 0.0


def _lasting(cell: Cell, found: list[Components]) -> tuple[Cell, int]:
    """Return the cell with the best number of repetitions for all, and that number."""
    if not any(each.within is not None for each in found):
        return cell, 1
    changed: dict[str, float]
    if cell.workload["name"] == "election":
        low, high = _ELECTIONS
        best = max(low, *(each.repetitions(high) for each in found))
        changed = {"elections": best}
    else:
        low_s, high_s = _DURATION_S
        most = round(high_s / _SLICE_S)
        best = max(round(low_s / _SLICE_S), *(each.repetitions(most) for each in found))
        changed = {"duration_s": round(best * _SLICE_S, 1)}
    lasting = msgspec.structs.replace(cell, workload={**cell.workload, **changed})
    longer_s = max(0.0, lasting.usual_s - cell.usual_s)
    return msgspec.structs.replace(lasting, timeout_s=cell.timeout_s + 5 * longer_s), best
