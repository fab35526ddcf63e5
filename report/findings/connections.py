"""What many connections are, in sentences by rules: who is ahead, what each takes, who disturbs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raftmark.bench.analysis.metrics import (
    LATENCY_P99,
    LEAST_SHARE,
    MEMORY_A_CONNECTION,
    THROUGHPUT,
    Metric,
)
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import FEWEST_BLOCKS, compare
from raftmark.report.findings.takeaways import spread
from raftmark.report.findings.wording import cardinal, listed
from raftmark.report.model import Outcome, Quantity, Samples


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


def of_each(analysis: Analysis, cell: Cell) -> str:
    """Say what memory a connection takes, and how fair the commands are shared among them."""
    memory, shares = (
        _shown(analysis, cell, metric) for metric in (MEMORY_A_CONNECTION, LEAST_SHARE)
    )
    parts = []
    if memory:
        parts.append(f"each takes {spread(analysis, memory, 'KiB', 1024.0)} of memory")
    if shares:
        least = {name: Quantity(100 * found.value) for name, found in shares.items()}
        parts.append(
            f"the one with the fewest commands has {spread(analysis, least, '%')} "
            "of the median one's"
        )
    connections = cell.workload["connections"]
    return f"Of {connections:,} connections {listed(parts)}, by the medians." if parts else ""


def of_disturbers(analysis: Analysis, who: str, cell: Cell, without: Cell) -> str:
    """Say how many times as long the slowest answers take beside others, `who` they are."""
    found, before = (_shown(analysis, each, LATENCY_P99) for each in (cell, without))
    times = {
        name: Quantity(quantity.value / before[name].value)
        for name, quantity in found.items()
        if name in before and before[name].value
    }
    return f"{who} {spread(analysis, times, 'times')}" if times else ""


def _shown(analysis: Analysis, cell: Cell, metric: Metric) -> dict[str, Quantity]:
    figures = analysis.estimates.quantities(cell, metric)
    return {name: found for name, found in figures.items() if name in analysis.shown}


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
