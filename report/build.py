"""Lays a run out as one page: analysis, sentences and charts into a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.codemetrics import SourceMetrics
from bench.registry import ROOT, load_contenders
from bench.store import Run
from report import figures, verdict
from report.analysis import analyse, measure_code
from report.model import Analysis, Code, Comparison, Metric
from report.svg import marker_svg
from report.wording import cardinal, figure, metric_unit, ratio


def write_report(run: Run, output: Path) -> None:
    """Write a run's report to `output`, whole or not at all. OSError if that cannot be done."""
    specs = load_contenders()
    analysis = analyse(run, specs, measure_code(specs, ROOT))
    text = render(analysis)
    partial = output.with_name(output.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def render(analysis: Analysis) -> str:
    """The page, as HTML that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["figure"] = figure
    environment.filters["ratio"] = ratio
    environment.filters["cardinal"] = cardinal
    counted = {n: c for n, c in analysis.code.items() if isinstance(c, Code)}
    style = Path(__file__).with_name("static") / "report.css"
    return environment.get_template("report.html").render(
        analysis=analysis,
        style=Markup(style.read_text(encoding="utf-8")),
        lead=verdict.lead(analysis),
        findings=verdict.findings(analysis),
        caveats=verdict.caveats(analysis),
        markers={
            contender.name: marker_svg(contender.marker, contender.colour)
            for contender in analysis.contenders.values()
        },
        verdicts=_verdict_table(analysis),
        units={metric.key: metric_unit(metric) for metric in analysis.metrics},
        replications=[
            (
                replication,
                figures.throughput(replication, analysis, f"throughput-{number}"),
                figures.latency(replication, analysis, f"latency-{number}"),
            )
            for number, replication in enumerate(analysis.replications)
            if replication.loads
        ],
        elections=figures.elections(analysis.elections, analysis, "elections")
        if (elected := {name for cell in analysis.elections for name in cell.samples})
        else None,
        elected=elected,
        code=figures.code(analysis, "code"),
        counted=counted,
        components=list(_components({n: c.runtime for n, c in counted.items()})),
        cores=(cores := _cores(counted)),
        modules=list(_components({n: counted[n].core for n in cores})),
    )


def _verdict_table(
    analysis: Analysis,
) -> list[tuple[str, list[tuple[Metric, Comparison | None]]]]:
    """A row per contender: for each metric its comparison with the baseline, None for itself."""
    return [
        (name, [(metric, metric.against_baseline.get(name)) for metric in analysis.metrics])
        for name in analysis.contenders
    ]


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
