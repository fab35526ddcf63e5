"""Who takes part, `raftmark contenders`, and being one of them, `raftmark host`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from raftmark.bench.contenders.places import ROOT, start_directory
from raftmark.bench.contenders.registry import DEFAULT_TABLE, ContenderSpec, Unavailable
from raftmark.bench.contenders.variants import TCP
from raftmark.commands.choosing import choose, contenders_of
from raftmark.commands.options import ContendersFile, Pythons, Variables
from raftmark.terminal.console import console, say

SECRET = "RAFTMARK_SECRET"


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(contenders)
    app.command()(host)
    app.command()(node)


def host(
    name: Annotated[
        str,
        typer.Argument(
            help="The contender's name; asyncio@tcp is one whose nodes are programs, and "
            "tcp:go,asyncio,threading one that mixes them."
        ),
    ],
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Become a contender: it reads requests from standard input and answers on standard output."""
    spec = _chosen(name, contenders_file, env)
    spec.prepare()
    _become(spec, spec.argv())


def node(
    name: Annotated[str, typer.Argument(help="The contender's name.")],
    secret_file: Annotated[
        Path | None,
        typer.Option(help="What the cluster's nodes share; else RAFTMARK_SECRET has it."),
    ] = None,
    env: Variables = None,
    contenders_file: ContendersFile = DEFAULT_TABLE,
) -> None:
    """Become one node of a cluster, which speaks TCP with its peers (docs/protocol.md)."""
    spec = _chosen(name, contenders_file, env)
    spec.prepare()
    secret = [] if secret_file is None else ["--secret-file", str(secret_file.absolute())]
    if SECRET in os.environ:
        spec = spec.with_env({SECRET: os.environ[SECRET]})
    _become(spec, [*spec.node_argv(), *secret])


def _chosen(name: str, table: Path, env: list[str] | None) -> ContenderSpec:
    """Return the one contender of a name; a mixture may have its members' with commas."""
    known = contenders_of(table, None, env)
    if name.startswith(TCP):
        return known[name.replace(",", "+")]
    (spec,) = choose(name, known).values()
    return spec


def _become(spec: ContenderSpec, argv: list[str]) -> NoReturn:
    """Go on as another program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would keep that.
    try:
        if spec.directory != ROOT or spec.started_in != start_directory():
            os.chdir(spec.started_in)
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
