"""Code: length and complexity of what each concurrency model makes one write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from matplotlib.axes import Axes

from bench.codemetrics import SourceMetrics
from report.charts import Chart, Panel, chart
from report.model import Analysis, Code, Section


def section(analysis: Analysis) -> Section:
    """Return the section; code is there without any trial."""
    counted = {n: c for n, c in analysis.code.items() if isinstance(c, Code)}
    cores = _cores(counted)
    return Section(
        "code",
        "Code",
        {
            "chart": _chart(analysis, "code"),
            "counted": counted,
            "components": list(_components({n: c.runtime for n, c in counted.items()})),
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


def _chart(analysis: Analysis, name: str) -> Chart | None:
    """Lines and complexity of the runtimes' components; None if nothing could be counted."""
    runtimes = {
        contender: measured.runtime
        for contender, measured in analysis.code.items()
        if isinstance(measured, Code)
    }
    components = list(dict.fromkeys(c for runtime in runtimes.values() for c in runtime))
    if not components:
        return None

    def panel(title: str, of: Callable[[SourceMetrics], int]) -> Panel:
        def draw(axes: Axes) -> None:
            for place, (contender, runtime) in enumerate(runtimes.items(), 1):
                look = analysis.contenders[contender]
                present = [row for row, c in enumerate(components) if c in runtime]
                counts = [of(runtime[components[row]]) for row in present]
                heights = [row - 0.5 + place / (len(runtimes) + 1) for row in present]
                axes.hlines(heights, 0, counts, color=look.colour)
                axes.plot(counts, heights, look.marker, color=look.colour, label=look.label)
            axes.set_yticks(range(len(components)), components)
            axes.set_ylim(len(components) - 0.5, -0.5)
            axes.set_yticks([row - 0.5 for row in range(1, len(components))], minor=True)
            axes.grid(axis="y", visible=False)
            axes.grid(axis="y", which="minor", visible=True)
            axes.tick_params(axis="y", which="minor", length=0)
            axes.set_xlim(left=0)
            axes.set_title(title)

        return draw

    words = "Lines and cyclomatic complexity of each component: " + "; ".join(
        f"{analysis.contenders[contender].label} {sum(m.lines for m in runtime.values())} lines, "
        f"complexity {sum(m.complexity for m in runtime.values())}"
        for contender, runtime in runtimes.items()
    )
    panels = [
        panel("Lines of code", lambda metrics: metrics.lines),
        panel("Cyclomatic complexity", lambda metrics: metrics.complexity),
    ]
    return chart(name, words, panels)
