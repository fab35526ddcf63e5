"""How one pair of trials differs in a figure: by what is typical of it, and by the whole of it.

As a rule the two are one: the logarithm of the ratio of the trials' values. Of throughput in turns
the typical difference is that of the middle pair of turns, which a machine that changes its pace
from turn to turn moves least, and the whole is what all turns make together, with whatever a
contender does in a few of them only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from raftmark.bench.analysis.metrics import THROUGHPUT, Metric, values
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.results import ReplicateResult
from raftmark.bench.runs.turns import typical_ratio


class Difference(NamedTuple):
    """The logarithm of what HEAD costs over what BASE does: what is typical, and the whole."""

    typical: float
    whole: float


class Pair(NamedTuple):
    """A figure's value in either trial, and their difference as a cost."""

    base: float
    head: float
    difference: Difference


def differences(
    cell: Cell, base: Trial, head: Trial, *, in_turns: bool = True
) -> Mapping[Metric, Pair]:
    """Return each figure that both trials have, and have a ratio of.

    `in_turns`: trials that took turns took them with each other.
    """
    before, after = values(cell, base), values(cell, head)
    found = {}
    for metric, old in before.items():
        new = after.get(metric, 0.0)
        if old <= 0 or new <= 0:
            continue
        sign = -1.0 if metric.higher_is_better else 1.0
        whole = typical = sign * math.log(new / old)
        if metric is THROUGHPUT and in_turns and (middle := _typical(base, head)) is not None:
            typical = sign * math.log(middle)
        found[metric] = Pair(old, new, Difference(typical, whole))
    return found


def _typical(base: Trial, head: Trial) -> float | None:
    """Return the middle ratio of throughput in turns, None for trials that took none."""
    taken = []
    for trial in (base, head):
        if trial.turns is None or trial.result is None:
            return None
        taken.append((msgspec.convert(trial.result, ReplicateResult), trial.turns))
    return typical_ratio(*taken)
