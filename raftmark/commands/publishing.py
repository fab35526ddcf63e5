"""A run to be read: `raftmark report`, `appendix` for a paper, `summary` for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.bench.contenders.registry import DEFAULT_TABLE
from raftmark.commands.choosing import find_run
from raftmark.commands.options import MeasuredWith, Results, RunName
from raftmark.commands.writing import explained, require_place

if TYPE_CHECKING:
    from raftmark.bench.runs.store import Run


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (report, appendix, summary):
        app.command()(command)


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="A run's name, or the path of its directory; of three or more, measured by one "
            "command on one machine, the report is of all together.",
        ),
    ],
    before: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="An earlier run: the report also tells what changed since.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write the report."),
    ] = None,
    results: Results = Path("results"),
    contenders_file: MeasuredWith = DEFAULT_TABLE,
) -> None:
    """Write the report of a run that was measured before, complete or not, or of several."""
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.findings.pooling import PoolError

    if output is not None:
        require_place(output)
    try:
        *pooled, last = [Run.open(find_run(run, results)) for run in runs]
        earlier = None if before is None else Run.open(find_run(before, results))
        print(write(last, output, earlier, contenders_file, pooled))
    except (PoolError, StoreError) as error:
        raise typer.TyperException(str(error)) from error


def appendix(
    run: RunName,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Where to write it.", show_default=False
        ),
    ] = None,
    results: Results = Path("results"),
    contenders_file: MeasuredWith = DEFAULT_TABLE,
) -> None:
    """Write a run as a paper's appendix: LaTeX with its figures and sources, and a PDF.

    Prints the PDF's file, or where there is no LaTeX, that of the source.
    """
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.pages.appendix import AppendixError, write_appendix

    try:
        found = Run.open(find_run(run, results))
        directory = found.place("appendix", "figures").parent if output is None else output
        with explained(directory):
            print(write_appendix(found, directory, contenders_file))
    except (AppendixError, StoreError) as error:
        raise typer.TyperException(str(error)) from error


def summary(
    run: RunName,
    results: Results = Path("results"),
    contenders_file: MeasuredWith = DEFAULT_TABLE,
) -> None:
    """Print a run as Markdown: for a pull request, or the summary of a CI job."""
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.findings.analysis import examine
    from raftmark.report.pages.markdown import summary as in_markdown

    try:
        text = in_markdown(examine(Run.open(find_run(run, results)), contenders_file))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
    print(text, end="")


def write(
    run: Run,
    output: Path | None,
    before: Run | None = None,
    table: Path = DEFAULT_TABLE,
    pooled: Sequence[Run] = (),
) -> Path:
    """Write a run's report and return its file, by default in the run's directory."""
    from raftmark.report.pages.build import write_report

    name = "pooled.html" if pooled else "report.html"
    output = run.path / name if output is None else output
    with explained(output):
        write_report(run, output, before, table, pooled)
    return output
