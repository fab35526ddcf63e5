"""Who takes part, `raftmark contenders`, and being one of them, `raftmark host`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import DEFAULT_TABLE, Unavailable
from raftmark.commands.choosing import choose, contenders_of
from raftmark.commands.options import ContendersFile, Pythons, Variables
from raftmark.terminal.console import console, say


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(contenders)
    app.command()(host)


def host(
    name: Annotated[str, typer.Argument(help="The contender's name.")],
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Become a contender: it reads requests from standard input and answers on standard output."""
    (spec,) = choose(name, contenders_of(contenders_file, None, env)).values()
    spec.prepare()
    argv = spec.argv()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would keep that.
    try:
        if spec.directory != ROOT:
            os.chdir(spec.directory)
        os.execvpe(argv[0], argv, spec.environment())
    except OSError as error:
        raise Unavailable(f"cannot start {argv[0]}: {error.strerror}") from error


def contenders(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    python: Pythons = None,
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """List the contenders, what they run on, and for one that cannot run, why."""
    import msgspec

    from raftmark.bench.experiment.entries import describe
    from raftmark.terminal.tables import contenders_table

    known = contenders_of(contenders_file, python, env)
    entries = [describe(spec, say) for spec in known.spread(known.forms()).values()]
    if json:
        print(msgspec.json.format(msgspec.json.encode(entries), indent=2).decode())
    else:
        console(sys.stdout).print(contenders_table(entries))
