"""How a run begins, and how it goes on: who takes part in it, and what is said of that."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from raftmark.bench.contenders.places import ROOT
from raftmark.bench.contenders.registry import ContenderSpec, Unavailable
from raftmark.bench.contenders.variants import Contenders, Variant
from raftmark.commands.choosing import from_here
from raftmark.commands.hosting import spelled
from raftmark.terminal.console import say

if TYPE_CHECKING:
    from raftmark.bench.design.specification import Specification
    from raftmark.bench.runs.forms import Asked, ContenderEntry
    from raftmark.bench.runs.store import Run


def create(
    chosen: Mapping[str, ContenderSpec],
    specification: Specification,
    profile: str,
    seed: int,
    results: Path,
    twin: str | None = None,
    with_twin: bool = False,
    project: Path = ROOT,
    asked: Asked | None = None,
    hosts: Mapping[str, Any] | None = None,
) -> Run:
    """Make a run of the chosen contenders, those that cannot run included.

    With `with_twin` one of them runs twice: the one named `twin`, or one that the seed chooses.
    `project` is the directory that they come from, and `asked` what is kept of the command line;
    `hosts` is what is said of others than this one.
    """
    from raftmark.bench.experiment.entries import with_their_followers
    from raftmark.bench.experiment.environment import describe_environment
    from raftmark.bench.experiment.twin import choose_base, twin_of
    from raftmark.bench.runs import meanings
    from raftmark.bench.runs.forms import Asked, Manifest
    from raftmark.bench.runs.store import Run, free_name, now

    entries = line_up(chosen)
    if with_twin and (base := choose_base(entries, seed, twin)) is not None:
        entries.append(twin_of(base))
    specification = with_their_followers(entries, specification, say)
    _say_what_is_not_asked(entries, specification)
    return Run.create(
        results,
        Manifest(
            run=free_name(results, profile),
            profile=profile,
            seed=seed,
            started_at=now(),
            specification=specification,
            contenders=entries,
            environment={**describe_environment(project), **(hosts or {})},
            asked=asked or Asked(),
            counting=meanings.VERSION,
        ),
    )


def line_up(chosen: Mapping[str, ContenderSpec]) -> list[ContenderEntry]:
    """Ask each contender what it is, and say what people should know of it.

    Raises `Unavailable` when none can run.
    """
    from raftmark.bench.experiment.entries import describe, gil_is_back

    entries = []
    for spec in chosen.values():
        found = describe(spec, say)
        entries.append(found)
        if found.unavailable is not None:
            say(f"{spec.name} cannot run: {found.unavailable}")
        elif isinstance(spec, Variant):
            for package, why in spec.lacks().items():
                say(f"{spec.name} goes without {package}: {why}")
        if gil_is_back(found):
            say(
                f"{spec.name} runs with the GIL on, although its build is free-threaded: "
                "PYTHON_GIL or an extension module turned it on"
            )
    if all(entry.unavailable is not None for entry in entries):
        raise Unavailable("no contender can run, so there is nothing to measure")
    return entries


def _say_what_is_not_asked(entries: list[ContenderEntry], specification: Specification) -> None:
    for entry in entries:
        lacking = [(cell, entry.lacks(cell)) for cell in specification.cells]
        features = sorted({feature for _, lacks in lacking for feature in lacks})
        if features and entry.unavailable is None:
            count = sum(bool(lacks) for _, lacks in lacking)
            cells = "a cell" if count == 1 else f"{count} cells"
            say(f"{entry.name} does not offer {', '.join(features)}: not asked for {cells}")


def able(run: Run, specs: Contenders) -> dict[str, ContenderSpec]:
    """Return the contenders of a run that can run, without their twins."""
    entries = run.manifest.contenders
    names = [entry.name for entry in entries if entry.unavailable is None and not entry.twin]
    return {name: specs[name] for name in names}


def check_surroundings(run: Run, specs: Contenders) -> None:
    """Refuse to measure the rest of a run with other variables: what a run keeps sets none."""
    for entry in run.manifest.contenders:
        if entry.unavailable is None and not entry.twin and entry.env != specs[entry.name].env:
            raise typer.BadParameter(
                f"{entry.name} was measured with {_spelled(entry.env) or 'no variables'}, and now "
                f"has {_spelled(specs[entry.name].env) or 'none'}: {how_to_resume(run)}"
            )


def how_to_resume(run: Run) -> str:
    """Say which command goes on with a run, with the options that it was begun with."""
    asked = run.manifest.asked
    words = ["raftmark bench --resume", shlex.quote(str(from_here(run.path)))]
    words += [f"--python {shlex.quote(each)}" for each in asked.python]
    words += [_spelled(asked.env)] if asked.env else []
    words += [f"--contenders-file {shlex.quote(asked.table)}"] if asked.table is not None else []
    words += [shlex.join(spelled(asked.elsewhere))] if asked.elsewhere is not None else []
    return f"go on with '{' '.join(words)}'"


def _spelled(env: Mapping[str, str]) -> str:
    return " ".join(f"--env {shlex.quote(f'{name}={value}')}" for name, value in env.items())
