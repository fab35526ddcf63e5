"""Answer: a picture of who commits how much, and a few sentences to repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, short
from raftmark.report.findings.analysis import Analysis, Placement
from raftmark.report.findings.answers import answers, models
from raftmark.report.findings.wording import figure, ratio
from raftmark.report.model import Headline, Interval, Section

_LOADS: Mapping[str, Callable[[Headline], str]] = {
    "alone": lambda headline: "one at a time",
    "throughput": lambda headline: headline.condition.replace(" commands outstanding", " at once"),
}
_FARTHEST = 160.0
"""An interval that reaches farther, in per cent of the best, is cut off there."""


def section(analysis: Analysis) -> Section:
    """Return the section; without a measurement it says so."""
    panels = list(_panels(analysis))
    drawn = chart(
        "answer",
        "Commands committed per second, in per cent of the best of each panel. "
        "The tables below have the figures.",
        analysis.contenders,
        {(None, None): panels},
        row_height=20,
        foot=8,
        abreast=True,
    )
    facts = {
        "chart": drawn if panels else None,
        "answers": answers(analysis),
        "placements": [placement.title for placement in analysis.placements],
    }
    return Section("answer", "Answer", facts)


def _panels(analysis: Analysis) -> Iterator[Panel]:
    for placement in analysis.placements:
        headlines = {headline.kind: headline for headline in placement.headlines}
        for key in _LOADS:
            headline = headlines.get(key)
            names = models(analysis, placement)
            if headline is not None and headline.best(names) is not None:
                yield _panel(analysis, placement, headline)


def _panel(analysis: Analysis, placement: Placement, headline: Headline) -> Panel:
    names = models(analysis, placement)
    best = headline.best(names)
    assert best is not None, "a panel is of those that have figures"
    series = [
        Series(name, [_bar(analysis, headline, name, best, row)], ((), ()))
        for row, name in enumerate(names)
        if name in headline.figures
    ]
    return Panel(
        f"{placement.title}\n{_LOADS[headline.kind](headline)}",
        Axis(),
        Axis(),
        series,
        rows=[_brief(analysis, name) for name in names],
        bars=True,
    )


def _bar(analysis: Analysis, headline: Headline, name: str, best: str, row: int) -> Point:
    """A contender's figure, in per cent of the best, with the interval of their ratio."""
    label, shown = analysis.contenders[name].label, figure(headline.figures[name])
    said = f"{label}: {shown} commands/s"
    rate = short(float(f"{headline.figures[name].value:.2g}"))
    found = headline.pairs.get((name, best))
    if found is None or found.ratio is None:
        return Point(100.0 if name == best else 0.0, row, said, label=rate)
    spelled = ratio(found.ratio)
    return Point(
        100 * found.ratio.value,
        row,
        f"{said}, {spelled} times {analysis.contenders[best].label}",
        x_interval=_cut(found.ratio.interval),
        label=rate,
    )


def _cut(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    low, high = (min(100 * end, _FARTHEST) for end in interval)
    return low, high


def _brief(analysis: Analysis, name: str) -> str:
    """Name a contender as a panel of its placement does; cut what a chart has no room for."""
    contender = analysis.contenders[name]
    base = analysis.contenders.get(contender.base) if contender.deployed else None
    label = (base or contender).brief
    return label if len(label) <= 15 else f"{label[:14]}…"
