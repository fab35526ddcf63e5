"""What comes before a run: `raftmark doctor`, `raftmark pilot`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

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
    console = _console()
    console.print(findings_table(findings))
    harms = [finding.what for finding in findings if finding.fitness is Fitness.HARMS]
    told = f"these harm: {', '.join(harms)}" if harms else "nothing that harms was found"
    console.print(told, markup=False, highlight=False)


def pilot(
    run: Annotated[str, typer.Argument(help="A run's name, or the path of its directory.")],
    precision: Annotated[
        str, typer.Option(metavar="2%", help="How far the figures' intervals may reach.")
    ] = "2%",
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="The directory that holds the runs.")
    ] = Path("results"),
) -> None:
    """Say how a run's figures vary, and what would make their intervals as narrow as is wished.

    Any run of two blocks or more is a pilot; 'raftmark bench --precision' measures one by itself.
    """
    from raftmark.bench.planning.pilot import plan, read_precision
    from raftmark.bench.runs.store import Run, StoreError

    try:
        wanted = read_precision(precision)
    except ValueError as error:
        raise typer.BadParameter(f"'--precision': {error}; write it as 2%") from error
    path = next((path for path in (Path(run), results / run) if path.is_dir()), None)
    if path is None:
        raise typer.BadParameter(f"no run {run}: neither {run} nor {results / run} is a directory")
    try:
        opened = Run.open(path)
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
    show(plan(opened, wanted, opened.manifest.specification))


def show(made: Plan) -> None:
    """Print a plan: the variances, what each contender needs, and what that makes."""
    from raftmark.bench.planning.pilot import MOST_BLOCKS
    from raftmark.terminal.progress import usual_duration
    from raftmark.terminal.tables import plan_table

    console = _console()
    console.print(plan_table(made))
    specification = made.specification
    block_s = sum(usual_duration(cell) for cell in specification.cells)
    told = f"{specification.blocks} blocks of about {block_s:.0f} s for each contender"
    if made.out_of_reach:
        told += f"; even {MOST_BLOCKS} are too few for {', '.join(made.out_of_reach)}"
    console.print(told, markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
