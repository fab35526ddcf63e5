"""With how many connections which of Python's models is ahead, by a rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import FEWEST_BLOCKS, compare
from raftmark.report.findings.wording import cardinal, listed
from raftmark.report.model import Outcome, Samples


def of_connections(analysis: Analysis, cells: Sequence[Cell]) -> str:
    """Say with how many connections which of Python's models is ahead, and where none is.

    One is ahead that commits more than each of the others. All these comparisons, of every pair at
    every number of connections, hold together at 95 %.
    """
    python = [
        name
        for name, found in analysis.shown.items()
        if found.language == "Python" and found.peer is None
    ]
    if len(python) < 2:
        return ""
    if not any(_blocks(analysis, cell, python) >= FEWEST_BLOCKS for cell in cells):
        return f"With fewer than {cardinal(FEWEST_BLOCKS)} blocks nobody is told apart."
    among = len(cells) * math.comb(len(python), 2)
    spans: list[tuple[str | None, list[int]]] = []
    for cell in cells:
        leader = _ahead(analysis.evidence.samples(cell, THROUGHPUT), python, among)
        if not spans or spans[-1][0] != leader:
            spans.append((leader, []))
        spans[-1][1].append(cell.workload["connections"])
    if all(leader is None for leader, _ in spans):
        return "None of Python's models is ahead of the others at any number of connections."
    parts = []
    for place, (leader, span) in enumerate(spans):
        who = "none" if leader is None else analysis.contenders[leader].label
        if place == len(spans) - 1:
            where = f"from {span[0]:,} on" if place else "at every number of them"
        else:
            where = f"with {span[0]:,}" + (f" to {span[-1]:,}" if len(span) > 1 else "")
        parts.append(f"{who} {where}")
    return f"Which of Python's models is ahead, by connections: {listed(parts)}."


def _blocks(analysis: Analysis, cell: Cell, names: Sequence[str]) -> int:
    """Return how many blocks there are of whoever has most in a cell."""
    samples = analysis.evidence.samples(cell, THROUGHPUT)
    return max((len(samples.get(name, ())) for name in names), default=0)


def _ahead(samples: Samples, names: Sequence[str], among: int) -> str | None:
    """Return who commits more than each of the others that were measured there."""
    present = [name for name in names if samples.get(name)]
    for name in present:
        found = [
            compare(samples[name], samples[other], higher_is_better=True, among=among)
            for other in present
            if other != name
        ]
        if found and all(each.outcome is Outcome.BETTER for each in found):
            return name
    return None
