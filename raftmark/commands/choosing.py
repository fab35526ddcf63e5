"""What a command is about: which contenders, in what surroundings, and which run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from raftmark.bench.contenders.registry import DEFAULT_TABLE, ContenderSpec, load_contenders
from raftmark.bench.contenders.variants import Contenders, find_interpreters
from raftmark.terminal.console import say

if TYPE_CHECKING:
    from raftmark.bench.runs.forms import Asked, Elsewhere


def contenders_of(table: Path, python: list[str] | None, env: list[str] | None) -> Contenders:
    """Return the contenders of a table; of an interpreter that is not there, say so."""
    interpreters, complaints = find_interpreters(python or [])
    for complaint in complaints:
        say(complaint)
    more = _variables(env)
    specs = {name: spec.with_env(more) for name, spec in load_contenders(table).items()}
    return Contenders(specs, interpreters)


def _variables(env: list[str] | None) -> dict[str, str]:
    from raftmark.bench.contenders.surroundings import NotAsked, read_asked

    try:
        return read_asked(env or [])
    except NotAsked as error:
        raise typer.BadParameter(f"'--env': {error}") from error


def asked_of(
    table: Path,
    python: list[str] | None,
    env: list[str] | None,
    elsewhere: Elsewhere | None = None,
) -> Asked:
    """Return what a run keeps of how its contenders were chosen."""
    from raftmark.bench.runs.forms import Asked

    return Asked(
        table=None if table == DEFAULT_TABLE else str(table),
        python=python or [],
        env=_variables(env),
        elsewhere=elsewhere,
    )


def choose(
    names: str | None, specs: Contenders, controls: bool = False
) -> dict[str, ContenderSpec]:
    """Return the named contenders in the table's order, all but controls without names.

    With `controls` those take part too.
    """
    chosen = specs.usual() if names is None else listed(names)
    return specs.choose([*chosen, *(specs.controls() if controls else [])])


def from_here(path: Path) -> Path:
    """Return a path as one would type it here: what a run keeps names no more of a machine."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def listed(names: str | None) -> list[str]:
    """Return the names of a list as it is typed, separated by commas."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def find_run(name: str, results: Path) -> Path:
    """Return the directory of a run, named by its path or by its name in `results`."""
    candidates = list(dict.fromkeys([Path(name), results / name]))
    for path in candidates:
        if path.is_dir():
            return path
    if len(candidates) == 1:
        raise typer.BadParameter(f"no run {name}: it is no directory")
    raise typer.BadParameter(
        f"no run {name}: neither {candidates[0]} nor {candidates[1]} is a directory"
    )
