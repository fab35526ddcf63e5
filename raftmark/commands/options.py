"""Options that several commands have, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raftmark.terminal.console import say

USAGE = 2
"""The status of a command that was called in a wrong way."""

# Weeks of measuring: who asks for more has mistyped it.
MOST_BLOCKS = 100_000

ContendersFile = Annotated[
    Path,
    typer.Option(
        metavar="PATH",
        help="A contenders' table to use instead of the project's: the way to try another "
        "contender, which has to speak the protocol of docs/protocol.md.",
        show_default=False,
    ),
]
MeasuredWith = Annotated[
    Path,
    typer.Option(
        "--contenders-file",
        metavar="PATH",
        help="The contenders' table that the run was measured with: it names the code to count.",
        show_default=False,
    ),
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python",
        metavar="VERSION|PATH",
        help="Another interpreter for the Python contenders: a version, such as 3.14 or 3.14t "
        "(free-threaded), or the path of its executable. May be repeated.",
        show_default="auto: only the one that runs raftmark",
    ),
]
Variables = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME[=VALUE]",
        help="A variable that the contenders start with, besides the few that all have; without a "
        "value, that which it has here. May be repeated. It is kept with the run.",
    ),
]
ContenderNames = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Only these contenders; asyncio@uvloop is asyncio on uvloop, threading@3.14t "
        "threads on that interpreter.",
    ),
]
IntoRun = Annotated[
    str | None, typer.Option(metavar="RUN", help="Keep it in a run that was measured before.")
]
Results = Annotated[Path, typer.Option(metavar="DIR", help="The directory that holds the runs.")]
RunName = Annotated[str, typer.Argument(help="A run's name, or the path of its directory.")]


def require_command(context: typer.Context) -> None:
    """Say which commands a family has where none of them is named, which is wrong usage."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(USAGE)
