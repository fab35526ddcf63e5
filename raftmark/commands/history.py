"""`raftmark history`: figures over time, and when they changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.commands.choosing import find_run
from raftmark.commands.options import Results, RunName, require_command
from raftmark.commands.writing import require_place, write
from raftmark.terminal.console import harmless, say

if TYPE_CHECKING:
    from raftmark.bench.tracking.history import History

_Store = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="The directory that holds the history.")
]
_STORE = Path("history")

commands = typer.Typer(
    help="Keep the figures of runs over time, and find when they changed.",
    callback=require_command,
    invoke_without_command=True,
)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="history")


@commands.command()
def add(
    run: RunName,
    store: _Store = _STORE,
    results: Results = Path("results"),
) -> None:
    """Add a run or a comparison to the history; a run that went on since takes its own place."""
    from raftmark.bench.runs.store import Run
    from raftmark.bench.tracking import history
    from raftmark.bench.tracking.remembering import entry_of

    with _explained():
        print(history.add(store, entry_of(Run.open(find_run(run, results)))))


@commands.command(name="list")
def list_entries(store: _Store = _STORE) -> None:
    """List the runs in the history, and when which figure changed for good."""
    for line in _listing(_read(store)):
        print(harmless(line))


@commands.command()
def report(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the page.")
    ] = Path("history.html"),
    store: _Store = _STORE,
) -> None:
    """Write the page that shows every figure over time, with its changes."""
    from raftmark.report.pages.trend import render

    require_place(output)
    write(output, render(_read(store)))
    print(output)


def _read(store: Path) -> History:
    from raftmark.bench.tracking import history

    with _explained():
        found = history.read(store)
    for sentence in found.left_out:
        say(f"left out: {sentence}")
    return found


def _listing(found: History) -> Iterator[str]:
    from raftmark.bench.tracking.series import series_of
    from raftmark.report.findings.changes import (
        breaks_in_words,
        changes_in_words,
        commit_of,
        outlook,
    )

    series = series_of(found)
    for entry in found.entries:
        against = "" if entry.against is None else f"  against {entry.against[:10]}"
        yield f"{entry.at}  {commit_of(entry):<11}  {entry.run}{against}  {entry.machine}"
    if broken := breaks_in_words(series):
        yield from ["", "Not joined:", *broken]
    words = changes_in_words(series)
    yield from ["", *(words or ["No lasting change was found."]), "What could be seen:"]
    yield from outlook(series)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from raftmark.bench.runs.store import StoreError

    try:
        yield
    except StoreError as error:
        raise typer.TyperException(str(error)) from error
