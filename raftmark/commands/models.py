"""What the models cost without Raft, or with another: `raftmark primitives`, `races`, `floors`."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftmark.bench.contenders.places import how_to_install
from raftmark.bench.contenders.registry import (
    DEFAULT_TABLE,
    PEERS_TABLE,
    ContenderSpec,
    load_contenders,
)
from raftmark.bench.contenders.variants import Contenders
from raftmark.commands.beginning import able, check_surroundings, create
from raftmark.commands.choosing import asked_of, choose, contenders_of, find_run
from raftmark.commands.options import (
    MOST_BLOCKS,
    ContenderNames,
    IntoRun,
    Pythons,
    Results,
    Variables,
)
from raftmark.terminal.console import console, say

if TYPE_CHECKING:
    from raftmark.bench.runs.store import Run


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (primitives, races, floors):
        app.command()(command)


def primitives(
    quick: Annotated[bool, typer.Option("--quick", help="A first answer, fewer blocks.")] = False,
    blocks: Annotated[
        int | None, typer.Option(min=1, max=MOST_BLOCKS, help="How often everything is measured.")
    ] = None,
    contenders: ContenderNames = None,
    python: Pythons = None,
    env: Variables = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Determines the order.")] = None,
    run: IntoRun = None,
    results: Results = Path("results"),
) -> None:
    """Measure what the models consist of, without any Raft, and print a table.

    Spawn and join, one-way and ping-pong messages, a majority of four, lock hand-over, and how late
    timers come: each with the model's usual tool and with its fastest one, in randomised blocks.
    The readings are kept in `primitives.jsonl`; with --run, those that a run lacks are added.
    """
    from raftmark.bench.primitives.bare import go_benchmarks, models
    from raftmark.bench.primitives.measure import FULL, QUICK, measure_primitives
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import primitives_table

    effort = QUICK if quick else FULL
    effort = effort._replace(blocks=blocks or effort.blocks)
    try:
        chosen, specs = _bare_run(
            "primitives", contenders, python, env, effort.blocks, seed, run, results
        )
        with chosen.lock():
            measure_primitives(chosen, models(specs, go_benchmarks, say), effort, say)
        console(sys.stdout).print(primitives_table(chosen))
        print(chosen.path)
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


def races(
    runs: Annotated[int, typer.Option(min=1, help="How often each program runs.")] = 1000,
    contenders: ContenderNames = None,
    python: Pythons = None,
    env: Variables = None,
    run: IntoRun = None,
    results: Results = Path("results"),
) -> None:
    """Run the seminar paper's programs many times, and count their outcomes.

    Two that compute with the same variables: unsynchronised, and synchronised by a message; and
    eight that are started and joined in turn. The outcomes are kept in `races.json`.
    """
    from raftmark.bench.primitives.bare import go_races, models
    from raftmark.bench.primitives.races import count_races
    from raftmark.bench.runs.outcomes import load
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import races_table

    try:
        chosen, specs = _bare_run("races", contenders, python, env, 1, None, run, results)
        with chosen.lock():
            count_races(chosen.path, models(specs, go_races, say), runs, say)
        console(sys.stdout).print(races_table(load(chosen.path)))
        print(chosen.path)
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


def floors(
    blocks: Annotated[
        int, typer.Option(min=1, max=MOST_BLOCKS, help="How often everything is measured.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Determines the order.")] = 1,
    results: Results = Path("results"),
) -> None:
    """Hold the contenders against other people's Rafts and against their models' bare ping-pong.

    Prints the ratios that show whether the implementations are fast enough to stand for their
    models, with the bound that each is meant to keep: throughput against PySyncObj (three
    processes on loopback, no journal, its better setting) at 256, 64 and 1 outstanding; shares of
    the bare programs, which have no Raft, as far as there are any, those of the compiled forms
    included; commands for each CPU second against Go's libraries, as deployed, where 'raftmark
    peers' has built them; Go's commands/s at 256; and the time of a lone command against the
    messages it consists of. A block takes about a minute and a half. It needs PySyncObj, and an
    otherwise idle machine.
    """
    from raftmark.bench.baselines.floors import CONTENDERS, measure_floors, specification
    from raftmark.bench.runs.store import StoreError
    from raftmark.terminal.tables import floors_table

    if find_spec("pysyncobj") is None:
        raise typer.TyperException(
            f"there is no PySyncObj here: {how_to_install('floors')} installs it"
        )
    specs, absent = _built(CONTENDERS)
    try:
        run = create(specs, specification(blocks), "floors", seed, results)
        with run.lock():
            console(sys.stdout).print(floors_table(measure_floors(run, specs, absent, say)))
    except StoreError as error:
        raise typer.TyperException(str(error)) from error


def _built(names: Iterable[str]) -> tuple[dict[str, ContenderSpec], dict[str, str]]:
    """Return the contenders of these names, without peers that nobody asked to be built: why."""
    known = Contenders(load_contenders(PEERS_TABLE))
    specs = {name: known[name] for name in names}
    absent = {
        name: f"{spec.label} is not built here; 'raftmark peers' builds it"
        for name, spec in specs.items()
        if spec.peer and spec.build and not spec.build.is_done(spec.directory)
    }
    return {name: spec for name, spec in specs.items() if name not in absent}, absent


def _bare_run(
    kind: str,
    contenders: str | None,
    python: list[str] | None,
    env: list[str] | None,
    blocks: int,
    seed: int | None,
    into: str | None,
    results: Path,
) -> tuple[Run, dict[str, ContenderSpec]]:
    """Return the run that what has no Raft in it is kept in, and its contenders that can run."""
    from raftmark.bench.design.specification import Specification
    from raftmark.bench.runs.store import Run

    specs = contenders_of(DEFAULT_TABLE, python, env)
    if into is None:
        chosen = specs.spread(choose(contenders, specs))
        seed = secrets.randbelow(2**32) if seed is None else seed
        asked = asked_of(DEFAULT_TABLE, python, env)
        run = create(chosen, Specification(blocks, []), kind, seed, results, asked=asked)
    elif seed is not None or contenders is not None:
        raise typer.BadParameter("--run has its contenders and its seed: leave these options out")
    else:
        run = Run.open(find_run(into, results))
        check_surroundings(run, specs)
    return run, able(run, specs)
