"""Lays a run out as one page: analysis, sentences and charts into a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.registry import ROOT, load_contenders
from bench.store import Run
from report import figures, verdict
from report.analysis import analyse, measure_code
from report.model import Analysis, Code, Comparison, Metric
from report.svg import marker_svg
from report.wording import figure, metric_unit, ratio


def write_report(run: Run, output: Path) -> None:
    """Write a run's report to `output`, whole or not at all. OSError if that cannot be done."""
    specs = load_contenders()
    analysis = analyse(run, specs, measure_code(specs, ROOT))
    text = render(analysis)
    partial = output.with_name(output.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(output)


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
        if any(cell.samples for cell in analysis.elections)
        else None,
        code=figures.code(analysis, "code"),
        components=_components(analysis),
    )


def _verdict_table(
    analysis: Analysis,
) -> list[tuple[str, list[tuple[Metric, Comparison | None]]]]:
    """A row per contender: for each metric its comparison with the baseline, None for itself."""
    return [
        (name, [(metric, metric.against_baseline.get(name)) for metric in analysis.metrics])
        for name in analysis.contenders
    ]


def _components(analysis: Analysis) -> list[tuple[str, str, Mapping[str, object]]]:
    """The code table's rows: part, component, and each contender's metrics."""

    def rows(part: str) -> Iterator[tuple[str, str, Mapping[str, object]]]:
        measured = {n: getattr(c, part) for n, c in analysis.code.items() if isinstance(c, Code)}
        for component in dict.fromkeys(c for parts in measured.values() for c in parts):
            yield part, component, {n: p[component] for n, p in measured.items() if component in p}

    return [*rows("runtime"), *rows("core")]
