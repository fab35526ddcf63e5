"""Open loop: latency when commands come at a rate that waits for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raftmark.bench.analysis.metrics import LATENCY_P50, LATENCY_P99, LATENCY_P999
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.results import OfferedResult
from raftmark.report.drawing.charts import Axis, Panel, chart, scales, shifted
from raftmark.report.drawing.series import over_cells
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.wording import setting
from raftmark.report.model import Quantity, Section

_PERCENTILES = (
    ("Median, µs", LATENCY_P50),
    ("99th percentile, µs", LATENCY_P99),
    ("99.9th percentile, µs", LATENCY_P999),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A contender at one rate: its percentiles in ns, and how many trials gave the load up."""

    contender: str
    rate: float
    percentiles: tuple[Quantity | None, ...]
    saturated: int
    trials: int


def section(analysis: Analysis) -> Section | None:
    """Return the section, if any load was offered."""
    cells = sorted(analysis.evidence.cells_of("offered"), key=_rate)
    rows = list(_rows(analysis, cells))
    if not rows:
        return None

    def panels(log: bool) -> list[Panel]:
        found = []
        for title, metric in _PERCENTILES:
            series = over_cells(
                analysis,
                cells,
                metric,
                x=_rate,
                said=lambda cell: f"{_rate(cell):,.0f} commands/s offered",
                unit=("µs", 1e3),
            )
            axis = Axis("commands offered per second", log)
            found.append(Panel(title, axis, Axis(log=log), shifted(series) if log else series))
        return found

    drawn = chart(
        "offered",
        "Latency from when a command was due, by the rate at which they were offered. "
        "The table below has the figures.",
        analysis.contenders,
        scales(panels),
    )
    facts = {"chart": drawn, "rows": rows, "setting": setting(cells[0])}
    return Section("offered", "Open loop", facts, ("offered",))


def _rate(cell: Cell) -> float:
    return float(cell.workload["rate"])


def _rows(analysis: Analysis, cells: list[Cell]) -> Iterator[Row]:
    for cell in cells:
        for name in analysis.shown:
            results = [
                trial.result
                for trial in analysis.evidence.of(cell, name)
                if isinstance(trial.result, OfferedResult)
            ]
            if results:
                yield Row(
                    name,
                    _rate(cell),
                    tuple(
                        analysis.estimates.quantities(cell, metric).get(name)
                        for _, metric in _PERCENTILES
                    ),
                    sum(result.saturated for result in results),
                    len(results),
                )
