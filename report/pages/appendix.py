"""A run as a paper's appendix: LaTeX that compiles as it is, its figures, its sources, a PDF.

The directory has `appendix.tex` with a preamble of its own, `body.tex` to be input into a paper,
`figures/` (PDF, and PGF for those who want the paper's own fonts), `references.bib`, and where
there is a LaTeX, `appendix.pdf`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from raftmark.bench.codemetrics import SourceMetrics
from raftmark.bench.contenders.registry import DEFAULT_TABLE
from raftmark.bench.files import replace_file, require_writable
from raftmark.bench.runs.store import Run
from raftmark.report.drawing.charts import Chart
from raftmark.report.drawing.latex import escape, long_table, table
from raftmark.report.drawing.printed import write
from raftmark.report.findings.analysis import Analysis, examine
from raftmark.report.findings.answers import answers
from raftmark.report.findings.caveats import caveats
from raftmark.report.findings.conclusion import findings, rule
from raftmark.report.findings.wording import figure, floor, headline_unit, moved, ratio
from raftmark.report.model import Comparison, Headline, Outcome
from raftmark.report.pages.sections import SECTIONS
from raftmark.report.pages.sections.elections import ElectionSample, elections

_LATEX_TIMEOUT_S = 120.0


class AppendixError(Exception):
    """An appendix cannot be written or does not compile; the message says why."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure of the appendix: its file's stem, and what its caption says."""

    stem: str
    title: str
    description: str


def write_appendix(run: Run, directory: Path, table: Path = DEFAULT_TABLE) -> Path:
    """Write a run's appendix; return the PDF, or the LaTeX file where there is no LaTeX.

    It is made elsewhere, and comes into the directory when it is whole. `table` is the contenders'
    table that names the code to count. Raises `AppendixError` if it does not compile, its sources
    are there then, and OSError if it cannot be written.
    """
    (directory / "figures").mkdir(parents=True, exist_ok=True)
    require_writable(directory / "figures" / "figure.pdf")
    with tempfile.TemporaryDirectory() as scratch:
        _write_sources(examine(run, table), Path(scratch))
        _bring(Path(scratch), directory)
        if shutil.which("pdflatex") is None or shutil.which("bibtex") is None:
            return directory / "appendix.tex"
        _compile(Path(scratch))
        replace_file(directory / "appendix.pdf", (Path(scratch) / "appendix.pdf").read_bytes())
        return directory / "appendix.pdf"


def _bring(made: Path, directory: Path) -> None:
    """Put all that was made into the directory, each file whole."""
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        replace_file(directory / path.relative_to(made), path.read_bytes())


def _write_sources(analysis: Analysis, directory: Path) -> None:
    (directory / "figures").mkdir()
    figures = list(_figures(analysis, directory / "figures"))
    environment = Environment(
        loader=PackageLoader("raftmark.report.pages", "templates/appendix"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # HTML's rules are not LaTeX's: see the filter `tex`.
    )
    environment.filters["tex"] = escape
    facts = {
        "analysis": analysis,
        "answers": answers(analysis),
        "findings": findings(analysis),
        "rule": rule(analysis),
        "caveats": caveats(analysis),
        "figures": figures,
        "verdicts": _verdicts(analysis),
        "noise": _noise(analysis),
        "elections": _elections(analysis),
        "code": _code(analysis),
    }
    for name in ("appendix.tex", "body.tex", "references.bib"):
        text = environment.get_template(name).render(facts)
        (directory / name).write_text(text, encoding="utf-8")


def _figures(analysis: Analysis, directory: Path) -> Iterator[Drawn]:
    """Draw the chart of every section that has one."""
    for make in SECTIONS:
        section = make(analysis)
        if section is None:
            continue
        for number, chart in enumerate(_charts(section.facts)):
            stem = section.key if number == 0 else f"{section.key}-{number + 1}"
            write(chart, analysis.contenders, directory / stem)
            yield Drawn(stem, section.title, _alone(chart.description))


def _alone(description: str) -> str:
    """Leave out what a chart's description says of tables that only the page has."""
    kept = [each for each in description.split(". ") if "table" not in each]
    return ". ".join(kept).rstrip(".") + "."


def _charts(facts: Any) -> Iterator[Chart]:
    """Find the charts among a section's facts, wherever they are kept."""
    if isinstance(facts, Chart):
        yield facts
    elif isinstance(facts, Mapping):
        for value in facts.values():
            yield from _charts(value)
    elif isinstance(facts, list | tuple):
        for value in facts:
            yield from _charts(value)
    elif (chart := getattr(facts, "chart", None)) is not None:
        yield from _charts(chart)


def _verdicts(analysis: Analysis) -> list[tuple[str, str]]:
    """Each headline as a caption and a table: figures, and ratios to the baseline."""
    return [
        (_caption(headline, analysis), _verdict(headline, analysis))
        for headline in analysis.headlines
    ]


def _caption(headline: Headline, analysis: Analysis) -> str:
    details = ", ".join(part for part in (headline.condition, headline.setting) if part)
    better = "Higher" if headline.higher_is_better else "Lower"
    reference = ""
    if analysis.baseline is not None:
        reference = f" Ratios are to {analysis.contenders[analysis.baseline].label}."
    if headline.drift is not None:
        unit = analysis.moved_by
        reference += f" From {unit} to {unit} they move {moved(headline.drift)}."
    subject = f"{headline.title}, {details}" if details else headline.title
    return escape(f"{subject}. {better} is better.{reference}")


def _verdict(headline: Headline, analysis: Analysis) -> str:
    unit, divisor = headline_unit(headline)
    rows = []
    for name, contender in analysis.shown.items():
        if name not in headline.figures:
            why = contender.absence or "no figure"
            rows.append([escape(contender.label), rf"\emph{{{escape(why)}}}", "", "", "", ""])
            continue
        spelled = figure(headline.figures[name], divisor)
        rows.append(
            [
                escape(contender.label),
                escape(spelled.value),
                escape(spelled.interval or "\N{EN DASH}"),
                *_comparison(headline.pairs.get((name, analysis.baseline or ""))),
            ]
        )
    measured = ["Contender", escape(unit) or "count", r"95\,\% interval"]
    return table([*measured, "Ratio", "Interval", "Verdict"], rows, "lrrrrl")


_VERDICTS = {
    Outcome.BETTER: "better",
    Outcome.WORSE: "worse",
    Outcome.ALIKE: "not told apart",
    Outcome.UNKNOWN: "no verdict",
}


def _comparison(compared: Comparison | None) -> list[str]:
    if compared is None:
        return ["--", "--", "the reference"]
    if compared.ratio is None:
        return ["--", "--", escape(compared.reason or _VERDICTS[compared.outcome])]
    spelled = ratio(compared.ratio)
    return [
        escape(spelled.value),
        escape(spelled.interval or "exact"),
        _VERDICTS[compared.outcome],
    ]


def _noise(analysis: Analysis) -> str | None:
    """The table of what differs where nothing does, None without a twin."""
    rows = []
    for headline in analysis.headlines:
        if headline.noise is not None and headline.noise.compared.ratio is not None:
            spelled = ratio(headline.noise.compared.ratio)
            placed = headline.deployed and len(analysis.placements) > 1
            where = ", as deployed" if placed else ""
            subject = escape(f"{headline.title}, {headline.condition}{where}")
            ends = escape(spelled.interval or "\N{EN DASH}")
            rows.append([subject, escape(spelled.value), ends, escape(floor(headline.noise))])
    return table(["Figure", "Ratio", r"95\,\% interval", "Floor"], rows, "lrrr") if rows else None


def _elections(analysis: Analysis) -> str | None:
    """The table of all elections by timeouts, with what the Raft paper reports of the same."""
    cells = list(elections(analysis))
    if not cells:
        return None
    groups = []
    for cell in cells:
        rows: list[list[str]] = []
        timeouts = escape(cell.title) + r"\textsuperscript{*}" * cell.as_in_paper
        for name, sample in cell.samples.items():
            label = escape(analysis.contenders[name].label)
            rows.append([timeouts, label, f"{sample.held:,}", *_times(sample, cell.cap)])
            timeouts = ""
        if cell.paper:
            said = {what: f"{ms:g}" for what, _, ms in cell.paper}
            median, mean, worst = (said.get(what, "--") for what in ("median", "mean", "worst"))
            rows.append(["", r"\emph{Raft paper}", "1,000", median, "--", mean, worst, "--"])
        groups.append(rows)
    caption = (
        "Elections: times in ms from the crash to the new leader, and those that stayed undecided."
    )
    if any(cell.as_in_paper for cell in cells):
        caption += " Those with * have the logs and the delays of the Raft paper's Figure 16."
    head = ["Timeouts", "Contender", "Elections", "Median", r"95\,\% interval", "Mean", "Worst"]
    return long_table(escape(caption), [*head, "Undecided"], groups, "llrrrrrr")


def _times(sample: ElectionSample, cap: float) -> list[str]:
    """A sample's median, its interval, mean, worst, and how many stayed undecided."""
    over = rf"\textgreater{{}}\,{cap / 1e6:,.0f}"
    median = figure(sample.median, 1e6)
    decided = sample.median.value < cap
    return [
        escape(median.value) if decided else over,
        escape(median.interval or "\N{EN DASH}") if decided else "--",
        "--" if sample.mean is None else f"{sample.mean / 1e6:,.0f}",
        over if sample.worst is None else f"{sample.worst / 1e6:,.0f}",
        f"{sample.undecided:,}",
    ]


def _code(analysis: Analysis) -> str | None:
    """The table of the runtimes' code, None if nothing was counted."""
    head = ["Contender", "Lines", "Tokens", "Compressed", "Functions", "Cyclomatic", "Cognitive"]
    rows = [
        [escape(analysis.contenders[name].label), *_counts(code.runtime_total)]
        for name, code in analysis.runtimes.items()
    ]
    return table(head, rows) if rows else None


def _counts(total: SourceMetrics) -> list[str]:
    counts = (total.lines, total.tokens, total.compressed, len(total.functions))
    return [f"{count:,}" for count in (*counts, total.complexity, total.cognitive)]


def _compile(directory: Path) -> None:
    """Make the PDF, and auxiliary files beside it."""
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "appendix"]
    for command in (latex, ["bibtex", "appendix"], latex, latex):
        _run(command, directory)


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LATEX_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AppendixError(f"{command[0]} did not end within {_LATEX_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        errors = [line for line in said if line.startswith("!")] or said
        raise AppendixError(f"{command[0]} failed: {' '.join(errors[-3:])}")
