"""A run in a screenful of Markdown: for a pull request, or the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Sequence

from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers
from raftmark.report.findings.caveats import caveats
from raftmark.report.findings.conclusion import findings, rule
from raftmark.report.findings.wording import figure, headline_unit, ratio
from raftmark.report.model import Comparison, Headline, Outcome

_SIGNS = {
    Outcome.BETTER: "▲ ",
    Outcome.WORSE: "▼ ",
    Outcome.ALIKE: "≈ ",
    Outcome.UNKNOWN: "",
}
_TIMES = "\N{MULTIPLICATION SIGN}"


def summary(analysis: Analysis) -> str:
    """Return the answer, the verdict table, and what a reader has to know before quoting."""
    lines = [f"## Raftmark: {_plain(analysis.run)}", ""]
    lines += [*(f"- {_plain(sentence.text)}" for sentence in answers(analysis)), ""]
    lines += _table(analysis)
    if analysis.baseline is not None:
        reference = _plain(analysis.contenders[analysis.baseline].label)
        lines += [
            "",
            f"Medians over {analysis.measured_over} with 95 % intervals, and their ratios to "
            f"{reference}: ▲ better, ▼ worse, ≈ not told apart. A difference is called one only "
            f"where {rule(analysis)}.",
        ]
    if found := findings(analysis):
        lines += ["", *(f"- {_plain(sentence.text)}" for sentence in found)]
    if known := caveats(analysis):
        lines += ["", "**Before you quote a figure**", ""]
        lines += [f"- {_plain(caveat)}" for caveat in known]
    lines += ["", f"To measure the same again: {_code(analysis.command)}"]
    return "\n".join(lines) + "\n"


def _table(analysis: Analysis) -> list[str]:
    head = ["Contender", *(_heading(headline) for headline in analysis.headlines)]
    lines = [_row(head), _row(["---", *["---:"] * len(analysis.headlines)])]
    for name, contender in analysis.shown.items():
        cells = [_cell(analysis, headline, name) for headline in analysis.headlines]
        absence = f" ({_plain(contender.absence)})" if contender.absence else ""
        lines.append(_row([_plain(contender.label) + absence, *cells]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(headline: Headline) -> str:
    unit, _ = headline_unit(headline)
    return _plain(f"{headline.title}{f', {unit}' if unit else ''}") + (
        f"<br><sub>{_plain(headline.condition)}</sub>" if headline.condition else ""
    )


def _cell(analysis: Analysis, headline: Headline, name: str) -> str:
    if name not in headline.figures:
        return "no figure"
    _, divisor = headline_unit(headline)
    shown = str(figure(headline.figures[name], divisor))
    compared = headline.pairs.get((name, analysis.baseline or ""))
    return f"{shown}{_against(compared)}"


def _against(compared: Comparison | None) -> str:
    if compared is None or compared.ratio is None:
        return ""
    return f"<br>{_SIGNS[compared.outcome]}{_TIMES}{ratio(compared.ratio)}"


_REFERENCES = {ord(special): f"&#{ord(special)};" for special in "&\\`*_{}[]<>#|~$@"}


def _plain(text: str) -> str:
    """Return text that Markdown and HTML print as it is, in one line."""
    return " ".join(text.translate(_REFERENCES).split("\n"))


def _code(text: str) -> str:
    """Return text as code: between more of the marks than it has in a row."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    marks, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{marks}{space}{' '.join(text.splitlines())}{space}{marks}"
