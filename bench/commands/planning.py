"""What comes before a run: `raftmark doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(doctor)


def doctor(
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="The directory that is to hold the runs.")
    ] = Path("results"),
) -> None:
    """Say how fit this machine is for measuring, and what would help.

    It looks for about two seconds, changes nothing, and ends with status 0 whatever it finds.
    """
    from rich.console import Console

    from bench.doctor import Fitness, examine, findings_table

    findings = examine(results=results)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    console.print(findings_table(findings))
    harms = [finding.what for finding in findings if finding.fitness is Fitness.HARMS]
    told = f"these harm: {', '.join(harms)}" if harms else "nothing that harms was found"
    console.print(told, markup=False, highlight=False)
