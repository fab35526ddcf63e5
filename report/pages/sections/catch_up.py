"""Catch-up: how soon a follower that was away has all that it missed."""

from __future__ import annotations

from raftmark.bench.analysis.metrics import CATCH_UP
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales
from raftmark.report.drawing.series import in_words, scaled
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.takeaways import of_times
from raftmark.report.model import Section

_BY = {"entries": "by entries", "snapshot": "by snapshot"}


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a follower ever came back."""
    estimates = analysis.estimates
    cells = [c for c in analysis.evidence.cells_of("catch_up") if estimates.quantities(c, CATCH_UP)]
    if not cells:
        return None
    titles = [f"{c.workload['entries']:,} missed, {_BY[c.workload['by']]}" for c in cells]
    names = list(analysis.shown)

    def panels(log: bool) -> list[Panel]:
        found = []
        for cell, title in zip(cells, titles, strict=True):
            series = []
            for row, name in enumerate(names):
                quantity = estimates.quantities(cell, CATCH_UP).get(name)
                if quantity is not None:
                    value, interval = scaled(quantity, 1e6)
                    tip = f"{analysis.contenders[name].label}: {in_words(quantity, 'ms', 1e6)}"
                    series.append(Series(name, [Point(value, row, tip, x_interval=interval)]))
            labels = [analysis.contenders[name].label for name in names]
            axis = Axis("ms until it has caught up", log)
            found.append(Panel(title, axis, Axis(), series, rows=_brief(labels)))
        return found

    drawn = chart(
        "catch-up",
        "Time until a restarted follower has all that it missed. The table has the figures.",
        analysis.contenders,
        scales(panels),
        row_height=34,
    )
    rows = [
        (title, cell.cluster["storage"], estimates.quantities(cell, CATCH_UP))
        for cell, title in zip(cells, titles, strict=True)
    ]
    facts = {
        "chart": drawn,
        "rows": rows,
        "takeaway": of_times(
            analysis, "Median time to catch up", [(row[0], row[2]) for row in rows], "ms"
        ),
    }
    return Section("catch-up", "Catch-up", facts, ("catch_up",))


def _brief(labels: list[str]) -> list[str]:
    """Cut labels that a chart has no room for; the legend has them whole."""
    return [label if len(label) <= 24 else f"{label[:23]}…" for label in labels]
