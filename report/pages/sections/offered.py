"""Open loop: latency when commands come at a rate that waits for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    LATE,
    LATENCY_P50,
    LATENCY_P99,
    LATENCY_P999,
    LATENESS_P99,
    SERVICE_P50,
)
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.results import OfferedResult
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales, shifted
from raftmark.report.drawing.series import FEWEST_JOINED, in_words, over_cells, scaled
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.takeaways import of_rates
from raftmark.report.findings.wording import GLUE, figure, listed, setting
from raftmark.report.model import Quantity, Section

_LATE_NS = 50e3
"""A sender of which 1 in 100 commands is later than this is said to be late, and why."""

_PERCENTILES = (
    ("Median, µs", LATENCY_P50),
    ("99th percentile, µs", LATENCY_P99),
    ("99.9th percentile, µs", LATENCY_P999),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A contender at one rate: its percentiles in ns, and how many trials gave the load up.

    `service` is the median from the sending on, `lateness` the 99th percentile of how late that
    was; in so many trials as `late` says it shows in the latency. None where nobody told.
    """

    contender: str
    deployed: bool
    rate: float
    percentiles: tuple[Quantity | None, ...]
    service: Quantity | None
    lateness: Quantity | None
    late: int | None
    saturated: int
    trials: int


def section(analysis: Analysis) -> Section | None:
    """Return the section, if any load was offered; one placement is drawn, all are in the table."""
    offered = analysis.evidence.cells_of("offered")
    rows = list(_rows(analysis, sorted(offered, key=_rate)))
    if not rows:
        return None
    deployed = rows[0].deployed if len({row.deployed for row in rows}) == 1 else False
    cells = sorted((c for c in offered if (c.transport == TCP) == deployed), key=_rate)

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

    rates = sorted({_rate(cell) for cell in cells})
    alone = len(rates) == 1
    drawn = chart(
        "offered",
        "Latency from when a command was due, by the rate at which they were offered. "
        "The table below has the figures.",
        analysis.contenders,
        scales(lambda log: [_dots(analysis, cells[0], log)] if alone else panels(log)),
        row_height=46 if alone else 0,
    )
    facts = {
        "chart": drawn,
        "rows": rows,
        "alone": alone,
        "joined": len(rates) >= FEWEST_JOINED,
        "setting": setting(cells[0]),
        "takeaway": of_rates(analysis, _held([r for r in rows if r.deployed == deployed]), rates),
        "elsewhere": any(row.deployed != deployed for row in rows),
        "late": lateness(analysis, sorted(offered, key=_rate)),
    }
    return Section("offered", "Open loop", facts, ("offered",))


def lateness(analysis: Analysis, cells: list[Cell]) -> list[str]:
    """Say of each rate whose sender was late, by how much, and how busy the processors were."""
    said = []
    for cell in cells:
        told = analysis.estimates.quantities(cell, LATENESS_P99)
        used = analysis.estimates.quantities(cell, CPU_PER_COMMAND)
        late = [name for name in analysis.shown if name in told and told[name].value > _LATE_NS]
        if not late:
            continue
        parts = [
            f"{figure(told[name], 1e3).value}{GLUE}µs with {analysis.contenders[name].label}"
            + (
                f", whose nodes kept {_rate(cell) * used[name].value:.1f} of them busy"
                if name in used
                else ""
            )
            for name in late
        ]
        where = ", as deployed" if cell.transport == TCP else ""
        said.append(
            f"At {_rate(cell):,.0f} commands/s{where} 1 command in 100 was sent later than "
            f"{listed(parts)}."
        )
    return said


def _dots(analysis: Analysis, cell: Cell, log: bool) -> Panel:
    """One rate: a row for each percentile, with a dot for each contender."""
    series = []
    names = list(analysis.shown)
    for place, name in enumerate(names, 1):
        points = []
        for row, (title, metric) in enumerate(_PERCENTILES):
            quantity = analysis.estimates.quantities(cell, metric).get(name)
            if quantity is not None:
                value, interval = scaled(quantity, 1e3)
                said = f"{analysis.contenders[name].label}, {title.partition(',')[0].lower()}"
                tip = f"{said}: {in_words(quantity, 'µs', 1e3)}"
                height = row - 0.5 + place / (len(names) + 1)
                points.append(Point(value, height, tip, x_interval=interval))
        if points:
            series.append(Series(name, points, ((), ())))
    titles = [title.partition(",")[0].replace("percentile", "pct.") for title, _ in _PERCENTILES]
    rate = f"{_rate(cell):,.0f} commands/s offered"
    return Panel(rate, Axis("µs from when a command was due", log), Axis(), series, rows=titles)


def _held(rows: list[Row]) -> dict[str, float]:
    """The highest rate that each contender held in every trial, and all below it."""
    held: dict[str, float] = {}
    given_up: set[str] = set()
    for row in sorted(rows, key=lambda row: row.rate):
        held.setdefault(row.contender, 0.0)
        given_up |= {row.contender} if row.saturated else set()
        if row.contender not in given_up:
            held[row.contender] = row.rate
    return held


def _rate(cell: Cell) -> float:
    return float(cell.workload["rate"])


def _rows(analysis: Analysis, cells: list[Cell]) -> Iterator[Row]:
    for cell in cells:
        for name in analysis.shown:
            trials = analysis.evidence.of(cell, name)
            results = [t.result for t in trials if isinstance(t.result, OfferedResult)]
            late = [trial.values[LATE] for trial in trials if LATE in trial.values]
            if results:
                yield Row(
                    name,
                    cell.transport == TCP,
                    _rate(cell),
                    tuple(
                        analysis.estimates.quantities(cell, metric).get(name)
                        for _, metric in _PERCENTILES
                    ),
                    analysis.estimates.quantities(cell, SERVICE_P50).get(name),
                    analysis.estimates.quantities(cell, LATENESS_P99).get(name),
                    round(sum(late)) if late else None,
                    sum(result.saturated for result in results),
                    len(results),
                )
