"""Beside other Rafts: ours and other people's libraries as deployed, and what a user writes."""

from __future__ import annotations

from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.peers import Gain, Measure, gains, measures, rows, sentences
from raftmark.report.findings.wording import ratio
from raftmark.report.model import Code, Section


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a peer and one of ours were measured in the same cell."""
    found = measures(analysis)
    gained = gains(analysis, found)
    if not gained:
        return None
    drawn = chart(
        "peers",
        "How many times as good as each peer our contenders are, as deployed. The table below has "
        "the figures.",
        analysis.contenders,
        scales(
            lambda log: [_panel(analysis, found, gained, peer, log) for peer in _compared(gained)]
        ),
        row_height=42,
        abreast=True,
    )
    facts = {
        "chart": drawn,
        "peers": analysis.peers,
        "rows": list(rows(analysis, found, gained)),
        "comparisons": len(gained),
        "sentences": sentences(analysis, gained),
        "unsynced": [c.label for c in analysis.peers.values() if c.peer and not c.peer.synced],
        "code": _written(analysis),
    }
    workloads = dict.fromkeys(str(measure.cell.workload["name"]) for measure in found)
    return Section("peers", "Beside other Rafts", facts, tuple(workloads))


def _written(analysis: Analysis) -> dict[str, Code]:
    """Return what was written for each, once where two differ in their settings alone."""
    written: dict[str, Code] = {}
    for name, code in analysis.code.items():
        if isinstance(code, Code) and code.runtime not in [c.runtime for c in written.values()]:
            written[name] = code
    return written


def _compared(gained: list[Gain]) -> list[str]:
    return list(dict.fromkeys(gain.peer for gain in gained))


def _panel(
    analysis: Analysis, found: list[Measure], gained: list[Gain], peer: str, log: bool
) -> Panel:
    """Draw what ours are beside one peer: a row for each measure, the same in every panel."""
    mine = [gain for gain in gained if gain.peer == peer]
    names = [name for name in analysis.shown if any(gain.contender == name for gain in mine)]
    series = []
    for place, name in enumerate(names):
        shift = 0.6 * ((place + 0.5) / len(names) - 0.5)
        points = [
            _point(analysis, gain, found.index(gain.measure) + shift)
            for gain in mine
            if gain.contender == name and gain.gain.ratio is not None
        ]
        series.append(Series(name, points, ((), ())))
    return Panel(
        f"Beside {analysis.contenders[peer].label}",
        Axis("times as good", log, origin=False),
        Axis(),
        series,
        rows=[_brief(measure) for measure in found],
        level=1.0,
    )


def _point(analysis: Analysis, gain: Gain, height: float) -> Point:
    assert gain.gain.ratio is not None
    spelled = ratio(gain.gain.ratio)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    tip = (
        f"{gain.measure.title}: {analysis.contenders[gain.contender].label} {spelled.value}"
        f"{interval} times as good as {analysis.contenders[gain.peer].label}"
    )
    return Point(gain.gain.ratio.value, height, tip, x_interval=gain.gain.ratio.interval)


def _brief(measure: Measure) -> str:
    """Name a row as there is room for on a phone."""
    cell = measure.cell
    if measure.storage:
        return f"{cell.workload['outstanding']} at once, {measure.storage.split()[-1]}"
    low, high = cell.cluster["election_timeout_ms"]
    kind = "outage" if cell.workload["name"] == "failover" else "election"
    return f"{kind} {low:g} to {high:g}"
