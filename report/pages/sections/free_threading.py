"""Free threading: the same code on other interpreters and loops, with and without the GIL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from raftmark.bench.analysis.metrics import HEADLINES, LATENCY_P99, Metric
from raftmark.bench.design.cells import NATIVE
from raftmark.bench.design.specification import Cell
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.loads import plain_loads
from raftmark.report.findings.takeaways import of_forms
from raftmark.report.findings.wording import ratio
from raftmark.report.model import Comparison, Section


@dataclass(frozen=True, slots=True)
class Row:
    """A form of a contender against the contender itself, in one metric of one cell."""

    contender: str
    condition: str
    metric: Metric
    compared: Comparison


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a contender ran in another form and both were measured."""
    forms = [c for c in analysis.shown.values() if c.base != c.name and c.base in analysis.shown]
    rows = [row for form in forms for row in _rows(analysis, form.name, form.base)]
    if not rows:
        return None
    conditions = list(dict.fromkeys((row.metric, row.condition) for row in rows))
    labels = [f"{_TITLES.get(metric.key, metric.title)}, {said}" for metric, said in conditions]

    def panel(higher: bool, log: bool) -> Panel | None:
        kept = [i for i, (metric, _) in enumerate(conditions) if metric.higher_is_better == higher]
        if not kept:
            return None
        series = []
        for place, form in enumerate(forms):
            points = [
                _point(row, kept.index(index) - 0.3 + 0.6 * (place + 0.5) / len(forms), analysis)
                for row in rows
                if row.contender == form.name
                for index in [conditions.index((row.metric, row.condition))]
                if index in kept and row.compared.ratio
            ]
            if points:
                series.append(Series(form.name, points, ((), ())))
        return Panel(
            "Higher is better" if higher else "Lower is better",
            Axis("ratio to its base", log, origin=False),
            Axis(),
            series,
            rows=[labels[i] for i in kept],
            level=1.0,
        )

    def panels(log: bool) -> list[Panel]:
        return [made for higher in (True, False) if (made := panel(higher, log)) is not None]

    drawn = chart(
        "forms",
        "Ratios of each form to the contender that it is a form of. The table has the figures.",
        analysis.contenders,
        scales(panels),
        row_height=30 + 8 * len(forms),
    )
    takeaway = of_forms([row.compared for row in rows])
    facts = {"chart": drawn, "rows": rows, "forms": forms, "takeaway": takeaway}
    return Section("free-threading", "Free threading", facts, ("replicate", "election"))


_TITLES = {"latency_p99": "p99", "election_median": "election"}


def _point(row: Row, height: float, analysis: Analysis) -> Point:
    assert row.compared.ratio is not None
    spelled = ratio(row.compared.ratio)
    tip = (
        f"{analysis.contenders[row.contender].label}, {row.condition}: {row.metric.title} "
        f"{spelled.value}" + (f" ({spelled.interval})" if spelled.interval else "") + " times"
    )
    return Point(row.compared.ratio.value, height, tip, x_interval=row.compared.ratio.interval)


def _rows(analysis: Analysis, form: str, base: str) -> Iterator[Row]:
    for cell, condition in _cells(analysis):
        metrics = [HEADLINES[cell.workload["name"]]]
        if cell.workload["name"] == "replicate":
            metrics.append(LATENCY_P99)
        for metric in metrics:
            samples = analysis.evidence.samples(cell, metric)
            if samples.get(form) and samples.get(base):
                compared = analysis.estimates.ratio(cell, metric, form, base)
                yield Row(form, condition, metric, compared)


def _cells(analysis: Analysis) -> Iterator[tuple[Cell, str]]:
    """Yield the plain loads and the plain elections, with a few words for each."""
    for cell in plain_loads(analysis.evidence):
        yield cell, f"{cell.workload['outstanding']} outstanding"
    plain = analysis.evidence.cells_of(
        "election", lambda c: not c.workload.get("lagging") and c.transport == NATIVE
    )
    for cell in plain:
        low, high = cell.cluster["election_timeout_ms"]
        yield cell, f"{low:g} to {high:g} ms"
