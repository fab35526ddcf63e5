"""Frontier: what latency each contender asks for its throughput."""

from __future__ import annotations

from collections.abc import Sequence

from raftmark.bench.analysis.metrics import LATENCY_P50, LATENCY_P99, THROUGHPUT, Metric
from raftmark.bench.design.specification import Cell
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales
from raftmark.report.drawing.series import FEWEST_JOINED, in_words, scaled, unjoined
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.loads import plain_loads
from raftmark.report.findings.takeaways import of_loads
from raftmark.report.findings.wording import outstanding, setting
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section | None:
    """Return the section, if there are two loads of the same cluster."""
    cells = plain_loads(analysis.evidence)
    if len(cells) < 2 or not any(analysis.estimates.quantities(cell, THROUGHPUT) for cell in cells):
        return None

    def panels(log: bool) -> list[Panel]:
        return [
            Panel(
                title,
                Axis("commands committed per second", log),
                Axis(log=log),
                _series(analysis, cells, metric),
            )
            for title, metric in (
                ("Median latency, µs", LATENCY_P50),
                ("99th percentile, µs", LATENCY_P99),
            )
        ]

    drawn = chart(
        "frontier",
        f"Latency against throughput as more commands are outstanding, {setting(cells[0])}. "
        "The figures are in the table of all loads below.",
        analysis.contenders,
        scales(panels),
        same_y=True,
    )
    loads = [cell.workload["outstanding"] for cell in cells]
    facts = {
        "chart": drawn,
        "loads": loads,
        "joined": len(cells) >= FEWEST_JOINED,
        "setting": setting(cells[0]),
        "takeaway": of_loads(analysis),
    }
    return Section("frontier", "Frontier", facts, ("replicate",))


def _series(analysis: Analysis, cells: Sequence[Cell], latency: Metric) -> list[Series]:
    found = []
    for name, contender in analysis.shown.items():
        points = []
        for cell in cells:
            rate = analysis.estimates.quantities(cell, THROUGHPUT).get(name)
            time = analysis.estimates.quantities(cell, latency).get(name)
            if rate is None or time is None:
                continue
            value, interval = scaled(time, 1e3)
            tip = (
                f"{contender.label}, {outstanding(cell.workload['outstanding'])}: "
                f"{in_words(rate, 'commands/s')}, {latency.title} {in_words(time, 'µs', 1e3)}"
            )
            points.append(Point(rate.value, value, tip, interval, rate.interval))
        if points:
            found.append(Series(name, points, unjoined(len(cells))))
    return found
