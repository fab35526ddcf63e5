"""`raftmark appendix` and `raftmark summary`: a run for a paper, and for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raftmark.commands.keeping import find_run

_Run = Annotated[str, typer.Argument(help="A run's name, or the path of its directory.")]
_Results = Annotated[Path, typer.Option(metavar="DIR", help="The directory that holds the runs.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command(name="appendix")(appendix)
    app.command(name="summary")(summary)


def appendix(
    run: _Run,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Where to write it.", show_default=False
        ),
    ] = None,
    results: _Results = Path("results"),
) -> None:
    """Write a run as a paper's appendix: LaTeX with its figures and sources, and a PDF.

    Prints the PDF's file, or where there is no LaTeX, that of the source.
    """
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.pages.appendix import AppendixError, write_appendix

    try:
        found = Run.open(find_run(run, results))
        directory = found.path / "appendix" if output is None else output
        print(write_appendix(found, directory))
    except (AppendixError, StoreError) as error:
        raise typer.TyperException(str(error)) from error
    except OSError as error:
        if error.errno is None:
            raise  # Not the system's: jinja2 calls a fault in a template an OSError too.
        raise typer.TyperException(
            f"cannot write the appendix to {directory}: {error.strerror}; "
            "name another place with -o"
        ) from error


def summary(run: _Run, results: _Results = Path("results")) -> None:
    """Print a run as Markdown: for a pull request, or the summary of a CI job."""
    from raftmark.bench.runs.store import Run, StoreError
    from raftmark.report.findings.analysis import examine
    from raftmark.report.pages.markdown import summary as in_markdown

    try:
        found = Run.open(find_run(run, results))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
    print(in_markdown(examine(found)), end="")
