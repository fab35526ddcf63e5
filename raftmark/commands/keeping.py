"""What is done with a run that is kept: `raftmark export`, `check` and `schema`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from raftmark.commands.choosing import find_run
from raftmark.commands.options import Results, RunName
from raftmark.terminal.console import harmless


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (export, check, schema):
        app.command()(command)


def export(
    run: RunName,
    format: Annotated[
        str,
        typer.Option("--format", metavar="F", help="The format; see docs/exports.md for each."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|DIR",
            help="Where to write; a directory for a format that makes several files.",
            show_default="RUN/exports/F/",
        ),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Write a run in the format of another tool.

    One of pyperf, pytest-benchmark, benchstat, customBiggerIsBetter, customSmallerIsBetter,
    bencher, asv, csv, kept. A failed trial is in no figure. Prints the paths of what is written.
    """
    from raftmark.bench.exports import FORMATS, ExportError, write_files
    from raftmark.bench.runs.store import Run, StoreError

    if format not in FORMATS:
        raise typer.BadParameter(f"no format {format}; choose from {', '.join(FORMATS)}")
    try:
        found = Run.open(find_run(run, results))
        files = FORMATS[format].files(found)
        if output is None:
            output = found.place("exports", format)
        for path in write_files(files, output):
            print(path)
    except (StoreError, ExportError) as error:
        raise typer.TyperException(str(error)) from error
    if failed := sum(trial.status == "failed" for trial in found.trials):
        told = f"{failed} of {len(found.trials)} trials failed and are in no figure"
        print(told, file=sys.stderr)


def check(
    run: RunName,
    results: Results = Path("results"),
) -> None:
    """Verify that a run is whole: every trial planned, in order, once, and sound in itself.

    Damage is named with file and line, and the exit status is then 1. What an interruption leaves
    and a resumption takes up is remarked on.
    """
    from raftmark.bench.runs.audit import audit
    from raftmark.bench.runs.store import StoreError

    try:
        findings = audit(find_run(run, results))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
    for problem in findings.problems:
        print(harmless(f"damaged: {problem}"))
    for remark in findings.remarks:
        print(harmless(f"remark: {remark}"))
    failed = sum(findings.failures.values())
    stages = ", ".join(f"{count} at {stage}" for stage, count in sorted(findings.failures.items()))
    print(
        f"{findings.ended} of {findings.planned} trials, "
        f"{findings.ended - failed} ok, {failed} failed{f' ({stages})' if stages else ''}, "
        f"{len(findings.problems)} problems"
    )
    if findings.problems:
        raise typer.TyperException("the run is damaged: restore it, or measure again")


def schema(
    part: Annotated[str, typer.Argument(metavar="run|trial", help="Of run.json, or of a trial.")],
) -> None:
    """Print the JSON Schema of what a run's directory keeps."""
    import msgspec

    from raftmark.bench.runs.schema import SCHEMAS

    if part not in SCHEMAS:
        raise typer.BadParameter(f"no schema of {part}; choose from {', '.join(SCHEMAS)}")
    print(msgspec.json.format(msgspec.json.encode(SCHEMAS[part]()), indent=2).decode())
