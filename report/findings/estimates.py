"""Estimates of a run's evidence: each contender's figure in a cell, and ratios of two."""

from __future__ import annotations

from collections.abc import Iterator

from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.comparison import compare, quantities
from raftmark.report.findings.evidence import Evidence
from raftmark.report.model import Comparison, Quantity


class Estimates:
    """What the evidence says of any metric in any cell; each is made when it is first asked for."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._quantities: dict[tuple[str, str], dict[str, Quantity]] = {}
        self._ratios: dict[tuple[str, str, str, str], Comparison] = {}

    def quantities(self, cell: Cell, metric: Metric) -> dict[str, Quantity]:
        """Estimate a metric in a cell for each contender that has it."""
        key = (cell.id, metric.key)
        if key not in self._quantities:
            self._quantities[key] = quantities(self._evidence.samples(cell, metric))
        return self._quantities[key]

    def all(self) -> Iterator[tuple[Cell, Metric, str, Quantity]]:
        """Yield every figure that there is: cell, metric, contender and figure."""
        for cell in self._evidence.cells:
            for metric in self._evidence.metrics(cell):
                for name, quantity in self.quantities(cell, metric).items():
                    yield cell, metric, name, quantity

    def ratio(self, cell: Cell, metric: Metric, subject: str, reference: str) -> Comparison:
        """Compare two contenders in a metric in a cell, block by block."""
        key = (cell.id, metric.key, subject, reference)
        if key not in self._ratios:
            samples = self._evidence.samples(cell, metric)
            self._ratios[key] = compare(
                samples.get(subject, {}),
                samples.get(reference, {}),
                higher_is_better=metric.higher_is_better,
            )
        return self._ratios[key]
