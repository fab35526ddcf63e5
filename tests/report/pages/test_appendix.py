"""The appendix compiles as it is, says what the report says, and prints any text as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader

from raftmark.bench.design.specification import FIGURE_16_MS
from raftmark.bench.runs.store import Run
from raftmark.report.drawing.latex import escape, table
from raftmark.report.drawing.printed import HEIGHT_IN
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.answers import answers
from raftmark.report.pages.appendix import write_appendix
from raftmark.report.pages.markdown import summary
from tests.report.example_runs import HOSTILE, RUNS
from tests.report.synthetic_runs import FIGURE_16, LABELS, write_run


def test_text_is_printed_as_it_is() -> None:
    assert escape(r"50 % of $x_1^2 & {a}~\b #<>") == (
        r"50 \% of \$x\_1\textasciicircum{}2 \& \{a\}\textasciitilde{}\textbackslash{}b "
        r"\#\textless{}\textgreater{}"
    )
    assert escape("--seed 7") == "-{}-seed 7"
    assert escape("7 µs \N{MULTIPLICATION SIGN} é") == r"7 \textmu{}s \ensuremath{\times} é"
    assert escape("\N{SNOWMAN}\0") == r"\texttt{U+2603}\texttt{U+0000}"


def test_a_table_is_in_the_style_of_booktabs() -> None:
    assert table(["a", "b"], [["1", "2"]]).splitlines() == [
        r"\begin{tabular}{@{}lr@{}}",
        r"\toprule",
        r"a & b \\",
        r"\midrule",
        r"1 & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.fixture
def latex() -> None:
    if shutil.which("pdflatex") is None:
        if os.environ.get("RAFTMARK_NO_LATEX") == "1":
            pytest.skip("RAFTMARK_NO_LATEX=1")
        pytest.fail(
            "there is no pdflatex to compile the appendix with: install the apt packages that "
            ".ci/run names, or set RAFTMARK_NO_LATEX=1 to go without these tests"
        )


@pytest.mark.slow
@pytest.mark.usefixtures("latex")
@pytest.mark.parametrize("name", ["everything", "figure 16", "failing", "attacked", "empty"])
def test_an_appendix_compiles(tmp_path: Path, name: str) -> None:
    run = Run.open(write_run(tmp_path / "run", **{**RUNS, "figure 16": FIGURE_16}[name]))
    pdf = write_appendix(run, tmp_path / "appendix")
    assert pdf == tmp_path / "appendix" / "appendix.pdf"
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())
    for part in ("Result", "Method", "Environment", "References", "Ongaro"):
        assert part in text
    assert "??" not in text  # a reference or citation that leads nowhere
    figures = list((tmp_path / "appendix" / "figures").iterdir())
    assert {path.suffix for path in figures} == {".pdf", ".pgf"}
    for path in figures:
        if path.suffix == ".pdf":
            assert PdfReader(path).pages[0].mediabox.height <= 72 * HEIGHT_IN + 1
    left = {path.name for path in (tmp_path / "appendix").iterdir()}
    assert left == {"appendix.tex", "body.tex", "references.bib", "appendix.pdf", "figures"}


@pytest.mark.slow
def test_the_table_of_elections_has_what_the_raft_paper_reports(tmp_path: Path) -> None:
    run = Run.open(write_run(tmp_path / "run", **FIGURE_16))
    write_appendix(run, tmp_path / "appendix")
    body = (tmp_path / "appendix" / "body.tex").read_text()
    (table,) = re.findall(r"\\begin{longtable}.*?\\end{longtable}", body, re.DOTALL)
    lines = [line.rstrip("*").removesuffix(r" \\") for line in table.splitlines() if "&" in line]
    rows = [line.split(" & ") for line in lines]
    measured = [row for row in rows if row[1] in LABELS.values()]
    assert len(measured) == len(FIGURE_16_MS) * len(LABELS)
    assert [row[3:7] for row in rows if row[1] == r"\emph{Raft paper}"] == [
        ["287", "--", "--", "--"],
        ["--", "--", "--", "513"],
        ["--", "--", "35", "152"],
    ]
    # The first four are those without randomness, of which some stay undecided.
    assert all(row[5:7] == ["--", r"\textgreater{}\,30,000"] for row in measured[:4])
    assert all(int(row[7]) > 0 for row in measured[:4])
    assert all(row[7] == "0" for row in measured[4:])


@pytest.mark.slow
def test_without_a_latex_there_is_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(write_run(tmp_path / "run"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert write_appendix(run, tmp_path / "a") == tmp_path / "a" / "appendix.tex"
    assert {p.suffix for p in (tmp_path / "a" / "figures").iterdir()} == {".pdf"}


def test_the_summary_says_what_the_report_says(examine: Callable[..., Analysis]) -> None:
    analysis = examine()
    text = summary(analysis)
    assert answers(analysis)[0].text.replace("*", "&#42;") in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(analysis.contenders)
    assert {row.count(" | ") for row in rows} == {len(analysis.headlines)}
    assert analysis.command in text


def test_the_summary_of_hostile_names_is_plain(examine: Callable[..., Analysis]) -> None:
    text = summary(examine(**RUNS["attacked"]))
    assert HOSTILE not in text
    assert "<script" not in text


def test_both_are_commands(tmp_path: Path) -> None:
    write_run(tmp_path / "results" / "a-run")

    def raftmark(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("raftmark")), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = raftmark("summary", "a-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## Raftmark: a-run\n")
    done = raftmark("appendix", "no-run")
    assert done.returncode == 2
    assert "no run no-run: neither no-run nor results/no-run is a directory" in done.stderr
    (tmp_path / "file").touch()
    done = raftmark("appendix", "a-run", "-o", "file")
    assert done.returncode == 1
    assert "cannot write file: Not a directory" in done.stderr
