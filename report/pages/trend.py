"""The page of figures over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from raftmark.bench.analysis.metrics import HEADLINES
from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.tracking.history import Entry, History
from raftmark.bench.tracking.series import Kind, Series, breaks, series_of
from raftmark.report.drawing.charts import INK, MUTED, Drawing, log_ticks, short, sketch
from raftmark.report.drawing.svg import marker_svg
from raftmark.report.findings.changes import (
    KINDS,
    breaks_in_words,
    changes,
    commit_of,
    outlook,
    sights,
)
from raftmark.report.findings.units import readable_unit
from raftmark.report.pages.templating import static, templates

_HEADLINES = {metric.key for metric in HEADLINES.values()}
_MOST_TICKS = 6
_UNKNOWN = (INK, "o")
_WIDE = 4.0
"""From this ratio of its ends on, an axis is logarithmic: below it would have too few numbers."""

Looks = dict[str, tuple[str, str]]


class Graph(NamedTuple):
    """One figure of all contenders, on one machine."""

    machine: str
    title: str
    chart: Drawing
    contenders: dict[str, Markup]


def render(history: History) -> str:
    """The page, as HTML that needs nothing else."""
    series = series_of(history)
    page = templates().get_template("trend.html")
    return page.render(
        entries=history.entries,
        commit_of=commit_of,
        left_out=history.left_out,
        breaks=breaks_in_words(series),
        changes=changes(series),
        graphs={name: list(graphs) for name, graphs in _graphs(series)},
        outlook=outlook(series),
        sights=sights(series),
        style=static("report.css"),
    )


def _graphs(series: Sequence[Series]) -> Iterator[tuple[str, Iterator[Graph]]]:
    """Yield the graphs of each kind. Of figures, only headlines have one: all are in the tables."""
    specs = load_contenders()
    looks = {name: (spec.color, spec.marker) for name, spec in specs.items()}
    for kind in Kind:
        shown = [
            each
            for each in series
            if each.subject.kind is kind
            and (kind is not Kind.FIGURE or each.subject.metric in _HEADLINES)
        ]
        if shown:
            yield KINDS[kind], _graphs_of(kind.name.lower(), shown, looks)


def _graphs_of(name: str, series: Sequence[Series], looks: Looks) -> Iterator[Graph]:
    grouped = groupby(series, key=lambda each: each.subject[:-1])
    for number, (_, members) in enumerate(grouped):
        group = list(members)
        drawn = sketch(
            f"trend-{name}-{number}",
            f"{group[0].title} over time",
            [partial(_draw, group=group, looks=looks)],
        )
        markers = {each.label: _marker(*_look(each, looks)) for each in group}
        yield Graph(group[0].subject.machine, group[0].title, drawn, markers)


def _draw(axes: Axes, group: list[Series], looks: Looks) -> None:
    """Draw all contenders' series over the runs, with a line where one of them changed."""
    entries = sorted({p.entry.at: p.entry for s in group for p in s.points}.values(), key=_at)
    places = {entry.at: place for place, entry in enumerate(entries)}
    values = [point.value for series in group for point in series.points]
    symbol, size = readable_unit(group[0].unit, values)
    for series in group:
        colour, marker = _look(series, looks)
        x = [places[point.entry.at] for point in series.points]
        y = [point.value / size for point in series.points]
        below = [(p.value - (p.value if p.low is None else p.low)) / size for p in series.points]
        above = [((p.value if p.high is None else p.high) - p.value) / size for p in series.points]
        axes.errorbar(x, y, yerr=[below, above], color=colour, marker=marker, elinewidth=1)
        for change in series.changes():
            axes.axvline(places[change.entry.at] - 0.5, color=colour, linestyle="--", linewidth=1)
    for place in sorted({places[each.entry.at] for each in breaks(group)}):
        axes.axvline(place - 0.5, color=MUTED, linestyle=":", linewidth=1.5)
        axes.annotate(
            "measured otherwise",
            (place - 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            color=MUTED,
            fontsize=11,
        )
    step = max(1, -(-len(entries) // _MOST_TICKS))
    axes.set_xticks(range(0, len(entries), step), [e.at[:10] for e in entries[::step]])
    _number(axes, values)
    axes.set_title(f"{group[0].title}{f', {symbol}' if symbol else ''}", color=MUTED)


def _number(axes: Axes, values: list[float]) -> None:
    """Give the vertical axis numbers."""
    if min(values) > 0 and max(values) / min(values) > _WIDE:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(log_ticks(*axes.get_ylim(), _MOST_TICKS))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(float(f"{value:.6g}"))))


def _look(series: Series, looks: Looks) -> tuple[str, str]:
    return looks.get(series.subject.contender.partition("@")[0], _UNKNOWN)


def _marker(colour: str, marker: str) -> Markup:
    return marker_svg(marker, colour)


def _at(entry: Entry) -> str:
    return entry.at
