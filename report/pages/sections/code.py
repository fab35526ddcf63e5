"""Code: length and complexity of what each concurrency model makes one write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.codemetrics.vocabulary import KINDS
from raftmark.report.drawing.charts import Axis, Chart, Panel, Point, Series, chart
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.takeaways import of_code
from raftmark.report.model import Code, Section


def section(analysis: Analysis) -> Section:
    """Return the section; code is there without any trial."""
    counted = analysis.runtimes
    cores = _cores(counted)
    return Section(
        "code",
        "Code",
        {
            "chart": _chart(analysis, counted),
            "takeaway": of_code(analysis),
            "counted": counted,
            "bases": [
                name
                for name, found in analysis.shown.items()
                if found.base == name and found.peer is None
            ],
            "worded": [name for name, code in counted.items() if code.words_are_counted],
            "components": list(_components({n: c.runtime for n, c in counted.items()})),
            "kinds": list(KINDS),
            "cores": cores,
            "modules": list(_components({n: counted[n].core for n in cores})),
        },
    )


def _components(
    parts: Mapping[str, Mapping[str, SourceMetrics]],
) -> Iterator[tuple[str, Mapping[str, SourceMetrics]]]:
    """A row per component that any of the contenders has, with the metrics of those that do."""
    for component in dict.fromkeys(c for measured in parts.values() for c in measured):
        yield component, {n: p[component] for n, p in parts.items() if component in p}


def _cores(counted: Mapping[str, Code]) -> dict[str, list[str]]:
    """Each core once: the first contender that runs on it, and all those that do."""
    cores: dict[str, list[str]] = {}
    for name, code in counted.items():
        first = next((n for n in cores if counted[n].core == code.core), name)
        cores.setdefault(first, []).append(name)
    return cores


def _chart(analysis: Analysis, counted: Mapping[str, Code]) -> Chart | None:
    """Draw length and complexity of the runtimes' components; None if nothing was counted."""
    components = list(dict.fromkeys(c for code in counted.values() for c in code.runtime))
    if not components:
        return None

    def panel(title: str, unit: str, of: Callable[[SourceMetrics], int]) -> Panel:
        series = []
        for place, (name, code) in enumerate(counted.items(), 1):
            label = analysis.contenders[name].label
            points = [
                Point(
                    of(code.runtime[component]),
                    row - 0.5 + place / (len(counted) + 1),
                    f"{label}, {component}: {of(code.runtime[component]):,} {unit}",
                )
                for row, component in enumerate(components)
                if component in code.runtime
            ]
            series.append(Series(name, points, ((), ())))
        return Panel(title, Axis(), Axis(), series, rows=components)

    words = "Length and cyclomatic complexity of each component: " + "; ".join(
        f"{analysis.contenders[name].label} {code.runtime_total.tokens:,} tokens, "
        f"complexity {code.runtime_total.complexity}"
        for name, code in counted.items()
    )
    panels = [
        panel("Lexical tokens", "tokens", lambda metrics: metrics.tokens),
        panel("Cyclomatic complexity", "in all", lambda metrics: metrics.complexity),
    ]
    return chart("code", words, analysis.contenders, {(None, None): panels}, row_height=58)
