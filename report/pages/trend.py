"""The page of figures over time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from raftmark.bench.analysis.metrics import HEADLINES
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.tracking.history import Entry, History, Series
from raftmark.report.drawing.charts import INK, MUTED, Drawing, log_ticks, short, sketch
from raftmark.report.drawing.svg import marker_svg
from raftmark.report.findings.changes import changes
from raftmark.report.findings.units import readable_unit
from raftmark.report.pages.templating import static, templates

_HEADLINES = set(HEADLINES.values())
_MOST_TICKS = 6
_UNKNOWN = (INK, "o")


class Graph(NamedTuple):
    """One figure of all contenders, on one machine."""

    machine: str
    title: str
    chart: Drawing
    contenders: dict[str, Markup]


def render(history: History) -> str:
    """The page, as HTML that needs nothing else."""
    page = templates().get_template("trend.html")
    return page.render(
        entries=history.entries,
        left_out=history.left_out,
        other_runtimes=history.other_runtimes(),
        changes=changes(history),
        graphs=list(_graphs(history)),
        style=static("report.css"),
    )


def _graphs(history: History) -> Iterator[Graph]:
    """Yield a graph for each headline figure: the other figures are in the table of changes."""
    specs = load_contenders()
    looks = {name: (spec.color, spec.marker) for name, spec in specs.items()}
    headline = [series for series in history.series() if series.metric in _HEADLINES]
    grouped = groupby(headline, key=lambda each: (each.machine, each.cell, each.metric))
    for number, ((machine, cell, metric), members) in enumerate(grouped):
        group = list(members)
        title = f"{metric.title} in {cell}"
        drawn = sketch(
            f"trend-{number}", f"{title} over time", [partial(_draw, group=group, looks=looks)]
        )
        markers = {each.label: _marker(*_look(each, looks)) for each in group}
        yield Graph(machine, title, drawn, markers)


def _draw(axes: Axes, group: list[Series], looks: dict[str, tuple[str, str]]) -> None:
    """Draw all contenders' series over the runs, with a line where one of them changed."""
    entries = sorted({e.at: e for series in group for e in series.entries}.values(), key=_at)
    places = {entry.at: place for place, entry in enumerate(entries)}
    symbol, size = readable_unit(group[0].metric.unit, [f.value for s in group for f in s.figures])
    for series in group:
        colour, marker = _look(series, looks)
        x = [places[entry.at] for entry in series.entries]
        y = [figure.value / size for figure in series.figures]
        below = [(f.value - (f.value if f.low is None else f.low)) / size for f in series.figures]
        above = [((f.value if f.high is None else f.high) - f.value) / size for f in series.figures]
        axes.errorbar(x, y, yerr=[below, above], color=colour, marker=marker, elinewidth=1)
        for change in series.changes():
            axes.axvline(places[change.entry.at] - 0.5, color=colour, linestyle="--", linewidth=1)
    step = max(1, -(-len(entries) // _MOST_TICKS))
    axes.set_xticks(range(0, len(entries), step), [e.at[:10] for e in entries[::step]])
    if all(figure.value > 0 for series in group for figure in series.figures):
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(log_ticks(*axes.get_ylim(), _MOST_TICKS))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(float(f"{value:.6g}"))))
    axes.set_title(f"{group[0].metric.title}{f', {symbol}' if symbol else ''}", color=MUTED)


def _look(series: Series, looks: dict[str, tuple[str, str]]) -> tuple[str, str]:
    return looks.get(series.contender.partition("@")[0], _UNKNOWN)


def _marker(colour: str, marker: str) -> Markup:
    return marker_svg(marker, colour)


def _at(entry: Entry) -> str:
    return entry.at
