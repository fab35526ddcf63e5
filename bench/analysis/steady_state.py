"""Whether a process had a steady state while it was measured, and when.

A figure of a process that still warms up, or gets slower and slower, is no figure of the program at
work. So the commands of its slices, of about 100 ms each, are searched for changes of their level,
and every process is put in one of the classes of Barrett, Bolz-Tereick, Killick, Mount and Tratt
("Virtual machine warmup blows hot and cold", OOPSLA 2017). Processes are classed and counted; none
is left out of a figure for its class.

The changes are found by optimal partitioning: of all ways to cut the series into pieces, that with
the least sum of squares within the pieces and a penalty for each cut (Jackson et al., "An algorithm
for optimal partitioning of data on an interval", IEEE Signal Processing Letters 12, 2005; PELT of
Killick et al. 2012 gives the same for long series, faster). The noise is estimated from the
differences of neighbours, which a change of level hardly touches.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

import numpy as np

from raftmark.bench.runs.results import OfferedResult, ReplicateResult, parse_result
from raftmark.bench.runs.store import Run

FEWEST_SLICES = 8
"""The fewest slices that are classed: below, one piece of noise could be a class of its own."""

# Each cut has to explain this times log(n) of the noise's variance: a level and a place, of n.
_PENALTY = 5.0
# Levels that differ by less, relatively, are the same: a change too small to matter is none.
_ALIKE = 0.03
# A change of level in the last quarter leaves too little to call what follows steady.
_SETTLED_BY = 0.75


class SteadyState(Enum):
    """The classes, with what to call them."""

    FLAT = "flat"
    WARM_UP = "warm-up"
    SLOWDOWN = "slowdown"
    NONE = "no steady state"
    TOO_SHORT = "too short to tell"


def classify(rates: Sequence[float]) -> SteadyState:
    """Class a process by its rate in each slice, higher being better.

    Flat: one level throughout. Otherwise the last change of level decides: in the last quarter it
    leaves no steady state; a level that is the best of all was warmed up to, any other is a
    slowdown.
    """
    if len(rates) < FEWEST_SLICES:
        return SteadyState.TOO_SHORT
    starts = change_points(rates)
    levels = [float(np.mean(rates[start:end])) for start, end in pairwise([0, *starts, len(rates)])]
    differing = [n for n, level in enumerate(levels) if not _alike(level, levels[-1])]
    if not differing:
        return SteadyState.FLAT
    if starts[differing[-1]] > _SETTLED_BY * len(rates):
        return SteadyState.NONE
    if all(levels[number] < levels[-1] for number in differing):
        return SteadyState.WARM_UP
    return SteadyState.SLOWDOWN


def change_points(series: Sequence[float]) -> list[int]:
    """Return the indices, in order, at which the level of a series changes."""
    values = np.asarray(series, dtype=float)
    n = len(values)
    # The median of absolute differences, as a standard deviation: 1.4826 for a normal one, and the
    # square root of 2 for being a difference.
    noise = 1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2) if n > 1 else 0.0
    if noise == 0:
        noise = 1e-9 * float(np.max(np.abs(values), initial=0.0)) or 1.0
    penalty = _PENALTY * math.log(max(n, 2)) * noise**2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    best = np.zeros(n + 1)  # the least cost of the values before each place
    best[0] = -penalty
    previous = [0] * (n + 1)  # where the last piece of that best way begins
    for end in range(1, n + 1):
        begins = np.arange(end)
        within = squares[end] - squares[:end] - (sums[end] - sums[:end]) ** 2 / (end - begins)
        costs = best[:end] + within + penalty
        previous[end] = int(np.argmin(costs))
        best[end] = costs[previous[end]]
    found = []
    place = previous[n]
    while place > 0:
        found.append(place)
        place = previous[place]
    return found[::-1]


def slice_rates(slices: Sequence[Sequence[int]]) -> list[float]:
    """Return the commands per second of each slice of a result.

    `slices` are pairs of a slice's end, in ns from the start, and its commands. The last one is
    what was left; one of less than half the usual length is counted with the one before it.
    """
    ends = [0, *(end for end, _ in slices)]
    lengths = [end - begin for begin, end in pairwise(ends)]
    counts = [count for _, count in slices]
    if len(lengths) > 1 and lengths[-1] < np.median(lengths) / 2:
        last, left = lengths.pop(), counts.pop()
        lengths[-1] += last
        counts[-1] += left
    return [1e9 * count / length for count, length in zip(counts, lengths, strict=True) if length]


def class_processes(run: Run) -> dict[tuple[str, str], Counter[SteadyState]]:
    """Count the classes of a run's processes, by cell and contender.

    Those of *replicate* and *offered*: the other workloads have no steady state to reach.
    """
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    counted: defaultdict[tuple[str, str], Counter[SteadyState]] = defaultdict(Counter)
    for trial in run.trials:
        if trial.status != "ok" or trial.result is None:
            continue
        result = parse_result(cells[trial.cell].workload["name"], trial.result)
        if isinstance(result, ReplicateResult | OfferedResult):
            found = classify(slice_rates(result.slices))
            counted[trial.cell, trial.contender][found] += 1
    return dict(counted)


def say_classes(run: Run) -> str:
    """Say in a line how many of a run's processes had a steady state; empty if none is classed."""
    total = sum(class_processes(run).values(), Counter[SteadyState]())
    if set(total) <= {SteadyState.TOO_SHORT}:
        return ""
    counts = ", ".join(f"{total[kind]} {kind.value}" for kind in SteadyState if total[kind])
    return f"steady state of the processes under load: {counts}"


def _alike(level: float, other: float) -> bool:
    return abs(level - other) <= _ALIKE * max(abs(level), abs(other))
