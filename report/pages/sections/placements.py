"""Two placements: the same work in one program and as deployed, and what messages cost there."""

from __future__ import annotations

from raftmark.report.drawing.charts import Axis, Chart, Panel, Point, Series, chart, scales
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.placements import (
    Counterparts,
    better,
    counterparts,
    main_metric,
    memory,
    rows,
    way,
)
from raftmark.report.findings.wording import ratio
from raftmark.report.model import Section


def section(analysis: Analysis) -> Section | None:
    """Return the section, if anything was measured in both placements."""
    pairs = counterparts(analysis)
    table = list(rows(analysis, pairs))
    if not table:
        return None
    facts = {
        "chart": _chart(analysis, pairs) if analysis.baseline is not None else None,
        "rows": table,
        "way": list(way(analysis, pairs)),
        "way_titles": ("Messages a command", "Bytes a command", "Wake-ups a command"),
        "memory": list(memory(analysis, pairs)),
    }
    workloads = dict.fromkeys(str(pair.native.workload["name"]) for pair in pairs)
    return Section("placements", "Two placements", facts, tuple(workloads))


def _chart(analysis: Analysis, pairs: list[Counterparts]) -> Chart | None:
    assert analysis.baseline is not None
    label = analysis.contenders[analysis.baseline].label
    pairs = [pair for pair in pairs if _is_known(analysis, pair)]
    drawn = chart(
        "placements",
        f"How many times as good as each contender {label} is, in one program and as deployed. "
        "The table below has the figures.",
        analysis.contenders,
        scales(
            lambda log: [
                _panel(analysis, pairs, deployed, f"{label}, times as good", log)
                for deployed in (False, True)
            ]
        ),
        row_height=42,
    )
    return drawn if drawn.shown else None


def _is_known(analysis: Analysis, pair: Counterparts) -> bool:
    """Whether anybody is compared with the baseline in either placement."""
    found = [
        better(analysis, cell, main_metric(pair), name) for cell in pair for name in analysis.shown
    ]
    return any(each is not None and each.ratio is not None for each in found)


def _panel(
    analysis: Analysis, pairs: list[Counterparts], deployed: bool, label: str, log: bool
) -> Panel:
    names = [name for name in analysis.shown if name != analysis.baseline]
    series = []
    for place, name in enumerate(names):
        points = [
            point
            for row, pair in enumerate(pairs)
            if (point := _point(analysis, pair, deployed, name, row, place / len(names)))
        ]
        if points:
            series.append(Series(name, points, ((), ())))
    return Panel(
        "As deployed" if deployed else "In one program",
        Axis(label, log, origin=False),
        Axis(),
        series,
        rows=[_brief(pair) for pair in pairs],
        level=1.0,
    )


def _point(
    analysis: Analysis, pair: Counterparts, deployed: bool, name: str, row: int, place: float
) -> Point | None:
    cell, metric = (pair.deployed if deployed else pair.native), main_metric(pair)
    found = better(analysis, cell, metric, name)
    if found is None or found.ratio is None:
        return None
    spelled = ratio(found.ratio)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    baseline = analysis.contenders[str(analysis.baseline)].label
    tip = (
        f"{pair.title}, {metric.title}: {baseline} {spelled.value}{interval} times as good as "
        f"{analysis.contenders[name].label}"
    )
    height = row - 0.3 + 0.6 * place
    return Point(found.ratio.value, height, tip, x_interval=found.ratio.interval)


def _brief(pair: Counterparts) -> str:
    """Name a row as there is room for on a phone."""
    workload = pair.native.workload
    low, high = pair.native.cluster["election_timeout_ms"]
    match workload["name"]:
        case "replicate":
            return ", ".join([f"{workload['outstanding']} at once", *pair.unusual])
        case "offered":
            return f"{workload['rate']:,}/s"
        case name:
            return f"{name} {low:g} to {high:g}"
