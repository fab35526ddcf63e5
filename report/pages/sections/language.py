"""Language or model: what the controls tell apart, and whether compiling would do."""

from __future__ import annotations

from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.controls import Gain, Kind, gains, sentences
from raftmark.report.findings.wording import ratio
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a control and what it is held against were both measured."""
    found = gains(analysis)
    if not any(gain.kind is not Kind.FREE for gain in found):
        return None
    subjects = list(dict.fromkeys(gain.subject for gain in found))
    drawn = chart(
        "language",
        "How many times better each step makes a contender, by what the step changes. The table "
        "has the figures.",
        analysis.contenders,
        scales(lambda log: [_panel(analysis, found, kind, log) for kind in _kinds(found)]),
        row_height=42,
    )
    facts = {
        "chart": drawn,
        "gains": found,
        "sentences": sentences(analysis, found),
        "subjects": subjects,
    }
    return Section("language", "Language or model?", facts, ("replicate",))


def _kinds(found: list[Gain]) -> list[Kind]:
    present = {gain.kind for gain in found}
    return [kind for kind in Kind if kind in present]


def _panel(analysis: Analysis, found: list[Gain], kind: Kind, log: bool) -> Panel:
    """Draw what the steps of a kind gain: a row for each measure, the same in every panel."""
    measures = list(dict.fromkeys(gain.headline.key for gain in found))
    titles = {g.headline.key: f"{g.headline.title}, {g.headline.condition}" for g in found}
    mine = [gain for gain in found if gain.kind is kind]
    subjects = list(dict.fromkeys(gain.subject for gain in mine))
    series = []
    for place, subject in enumerate(subjects):
        shift = (place + 0.5) / len(subjects) - 0.5
        points = [
            _point(analysis, gain, measures.index(gain.headline.key) + 0.6 * shift)
            for gain in mine
            if gain.subject == subject and gain.gain.ratio is not None
        ]
        series.append(Series(subject, points, ((), ())))
    return Panel(
        kind.value,
        Axis("times better", log, origin=False),
        Axis(),
        series,
        rows=[titles[key] for key in measures],
        level=1.0,
    )


def _point(analysis: Analysis, gain: Gain, height: float) -> Point:
    assert gain.gain.ratio is not None
    spelled = ratio(gain.gain.ratio)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    tip = (
        f"{gain.headline.title}, {gain.headline.condition}: from "
        f"{analysis.contenders[gain.base].label} to {analysis.contenders[gain.subject].label} "
        f"{spelled.value}{interval} times better"
    )
    return Point(gain.gain.ratio.value, height, tip, x_interval=gain.gain.ratio.interval)
