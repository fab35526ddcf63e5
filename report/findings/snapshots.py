"""What snapshots cost: the same load with them and without, in the same blocks.

A contender's rate with snapshots is divided by its rate without, block by block. What is said of
all contenders and loads holds together at 95 %, and what is no further from 1 than the noise floor
is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftmark.bench.analysis.metrics import THROUGHPUT
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.comparison import above, compare
from raftmark.report.findings.headlines import noise_of
from raftmark.report.findings.loads import besides
from raftmark.report.findings.wording import factor, outstanding
from raftmark.report.model import Comparison, Outcome

_SETTING = "snapshot_entries"


def sentences(analysis: Analysis) -> list[str]:
    """Say what snapshots cost each contender, for each load that was measured with and without."""
    pairs = [
        (cell, plain, name)
        for cell, plain in _pairs(analysis)
        for name in analysis.shown
        if name in analysis.estimates.quantities(cell, THROUGHPUT)
    ]
    return [_sentence(analysis, *pair, among=len(pairs)) for pair in pairs]


def _pairs(analysis: Analysis) -> Iterator[tuple[Cell, Cell]]:
    cells = analysis.evidence.cells_of("replicate")
    for cell in cells:
        if cell.cluster.get(_SETTING):
            for plain in cells:
                alike = besides(plain, _SETTING) == besides(cell, _SETTING)
                if alike and not plain.cluster.get(_SETTING, 0):
                    yield cell, plain


def _sentence(analysis: Analysis, cell: Cell, plain: Cell, name: str, among: int) -> str:
    with_them, without = (analysis.evidence.samples(c, THROUGHPUT) for c in (cell, plain))
    twins = {twin: one.base for twin, one in analysis.contenders.items() if one.twin}
    noise = noise_of(without, twins, higher_is_better=True)
    found = compare(with_them[name], without[name], higher_is_better=True, among=among)
    load = outstanding(int(cell.workload["outstanding"]))
    return (
        f"{analysis.contenders[name].label}, {load}: a snapshot every "
        f"{cell.cluster[_SETTING]:,} entries {_said(above(noise, found))}."
    )


def _said(found: Comparison) -> str:
    if found.ratio is None or found.outcome is Outcome.UNKNOWN:
        return f"costs what is not known ({found.reason})"
    if found.outcome is Outcome.ALIKE:
        return "makes no difference that this run can tell"
    spelled = factor(found.ratio)
    times = f"{spelled.value} ({spelled.interval})" if spelled.interval else spelled.value
    if found.outcome is Outcome.WORSE:
        return f"leaves 1/{times} of its commands per second"
    return f"lets it commit {times} times as much"
