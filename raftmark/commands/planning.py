"""What comes before a run: `raftmark doctor`, `raftmark pilot`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.commands.choosing import find_run
from raftmark.commands.options import Results, RunName
from raftmark.terminal.console import console

if TYPE_CHECKING:
    from raftmark.bench.planning.pilot import Plan


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(doctor)
    app.command()(pilot)


def doctor(
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="The directory that is to hold the runs.")
    ] = Path("results"),
) -> None:
    """Say how fit this machine is for measuring, and what would help.

    It looks for about two seconds, changes nothing, and ends with status 0 whatever it finds.
    """
    from raftmark.bench.experiment.doctor import Fitness, examine
    from raftmark.terminal.tables import findings_table

    findings = examine(results=results)
    out = console(sys.stdout)
    out.print(findings_table(findings))
    harms = [finding.what for finding in findings if finding.fitness is Fitness.HARMS]
    told = f"these harm: {', '.join(harms)}" if harms else "nothing that harms was found"
    out.print(told, markup=False, highlight=False)


def pilot(
    run: RunName,
    precision: Annotated[
        str, typer.Option(metavar="2%", help="How far the figures' intervals may reach.")
    ] = "2%",
    results: Results = Path("results"),
) -> None:
    """Say how a run's figures vary, and what would make their intervals as narrow as is wished.

    Any run of two blocks or more is a pilot; 'raftmark bench --precision' measures one by itself.
    """
    from raftmark.bench.planning.pilot import plan
    from raftmark.bench.runs.store import Run, StoreError

    wanted = read(precision)
    try:
        opened = Run.open(find_run(run, results))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
    show(plan(opened, wanted, opened.manifest.specification))


def read(precision: str) -> float:
    """Read a precision as it is typed."""
    from raftmark.bench.planning.pilot import read_precision

    try:
        return read_precision(precision)
    except ValueError as error:
        raise typer.BadParameter(f"'--precision': {error}; write it as 2%") from error


def show(made: Plan) -> None:
    """Print a plan: the variances, what each contender needs, and what that makes."""
    from raftmark.bench.planning.pilot import MOST_BLOCKS
    from raftmark.terminal.progress import usual_duration
    from raftmark.terminal.tables import plan_table

    out = console(sys.stdout)
    out.print(plan_table(made))
    specification = made.specification
    block_s = sum(usual_duration(cell) for cell in specification.cells)
    told = f"{specification.blocks} blocks of about {block_s:.0f} s for each contender"
    if made.out_of_reach:
        told += f"; even {MOST_BLOCKS} are too few for {', '.join(made.out_of_reach)}"
    out.print(told, markup=False, highlight=False, soft_wrap=True)
