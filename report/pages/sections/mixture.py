"""Mixtures: one language leads, another follows, and what rewriting a part would give."""

from __future__ import annotations

from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, short
from raftmark.report.drawing.series import in_words
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.mixture import Mixtures, mixtures, sentences
from raftmark.report.model import Section

_LONGEST = 10
_BESIDE = 0.3
"""How far left of a tile's middle its marker is, so that both it and its label have room."""


def section(analysis: Analysis) -> Section | None:
    """Return the section, if mixtures were measured."""
    found = mixtures(analysis)
    if not found:
        return None
    drawn = chart(
        "mixture",
        "Commands committed per second by who leads and who follows; the darker, the more. "
        "The table below has the figures.",
        analysis.contenders,
        {(None, None): [_panel(analysis, each) for each in found]},
        row_height=42,
    )
    facts = {
        "chart": drawn,
        "mixtures": found,
        "sentences": sentences(analysis, found),
    }
    return Section("mixture", "Rewriting a part", facts, ("replicate",))


def _panel(analysis: Analysis, found: Mixtures) -> Panel:
    best = max(quantity.value for quantity in found.figures.values())
    series = []
    for row, leader in enumerate(found.leaders):
        points = []
        for column, followers in enumerate(found.followers):
            quantity = found.figures.get((leader, followers))
            if quantity is None:
                continue
            rate = short(float(f"{quantity.value:.2g}"))
            led = f"{_brief(analysis, leader)} leads, {_brief(analysis, followers)} follows"
            tip = f"{led}: {in_words(quantity, 'commands/s', 1.0)}"
            shade = quantity.value / best
            points.append(Point(column - _BESIDE, row, tip, label=rate, shade=shade))
        series.append(Series(leader, points, ((), ())))
    return Panel(
        f"Commands/s, {found.condition}",
        Axis("who follows"),
        Axis(),
        series,
        rows=[_brief(analysis, name) for name in found.leaders],
        columns=[_brief(analysis, name) for name in found.followers],
    )


def _brief(analysis: Analysis, name: str) -> str:
    """Name a contender in a word, as there is room for in a tile."""
    contender = analysis.contenders.get(name)
    label = name if contender is None else contender.label
    if contender is not None and contender.base == name == "go":
        label = contender.language
    label = label.removeprefix("Python ")
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
