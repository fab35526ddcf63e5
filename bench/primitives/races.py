"""The seminar paper's programs, run many times: which outcomes do they have? `raftmark races`.

What was counted lies in the run's `races.json`, which is replaced whole after each program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.table import Table

from raftmark.bench.primitives.bare import GoModel, ProgramFailed, PythonModel, output_of
from raftmark.bench.runs.store import StoreError, explained, now

SCHEMA = 1
FILE = "races.json"

Program = Literal["unsynchronised", "channel", "joined"]
PROGRAMS: dict[Program, str] = {
    "unsynchronised": "b = a * b beside a = b * b, with nothing between them",
    "channel": "the same with a message that the first is done",
    "joined": "eight that count, each started when the one before was joined",
}

# Starting a process takes milliseconds, on a busy machine tens of them, and there are eight in one.
_TIMEOUT_S = 60.0
_TIMEOUT_PER_RUN_S = 1.0


class Outcomes(msgspec.Struct, frozen=True):
    """How often a contender's program came to each outcome; empty where it failed."""

    contender: str
    program: Program
    runs: int
    outcomes: dict[str, int]
    failure: str | None
    started_at: str


class _File(msgspec.Struct, frozen=True):
    counted: list[Outcomes] = []
    schema: int = SCHEMA


def load(run_path: Path) -> list[Outcomes]:
    """Return what was counted in a run, nothing without a file.

    Raises `StoreError` for a file that cannot be read.
    """
    path = run_path / FILE
    with explained(path):
        content = path.read_bytes() if path.exists() else b"{}"
    try:
        found = msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as error:
        raise StoreError(f"{path} is damaged: {error}; restore it or delete it") from error
    if found.schema != SCHEMA:
        raise StoreError(f"{path} has schema {found.schema}, not {SCHEMA}")
    return found.counted


def count_races(
    run_path: Path,
    models: Sequence[PythonModel | GoModel],
    runs: int,
    say: Callable[[str], None],
) -> None:
    """Run every program of every model `runs` times, but those that were run so often already.

    A program that fails is kept with its reason. Raises `StoreError` when nothing can be kept.
    """
    for model in models:
        for program in PROGRAMS:
            counted = load(run_path)
            others = [o for o in counted if (o.contender, o.program) != (model.contender, program)]
            if any(o.runs == runs and not o.failure for o in counted if o not in others):
                continue
            say(f"{model.contender}/{program}")
            found = _count(model, program, runs)
            if found.failure is not None:
                say(f"{model.contender}/{program} failed: {found.failure}")
            _keep(run_path, [*others, found])


def table(counted: Sequence[Outcomes]) -> Table:
    """Lay the outcomes out for people."""
    found = Table(title="how often each outcome came")
    for column in ("program", "contender", "runs", "outcomes"):
        found.add_column(column, justify="right" if column == "runs" else "left")
    for program in PROGRAMS:
        for each in counted:
            if each.program == program:
                usual = sorted(each.outcomes.items(), key=lambda item: -item[1])
                outcomes = "; ".join(f"{outcome}: {count:,}" for outcome, count in usual)
                found.add_row(program, each.contender, f"{each.runs:,}", outcomes or "failed")
    return found


def _count(model: PythonModel | GoModel, program: Program, runs: int) -> Outcomes:
    started_at = now()
    if isinstance(model, PythonModel):
        command = [
            str(model.python),
            "-m",
            "raftmark.bench.primitives.models.races",
            model.model,
            program,
        ]
        command += ["--event-loop", model.loop]
    else:
        command = [str(model.program), program]
    outcomes: dict[str, int] = {}
    failure = None
    try:
        printed = output_of(
            [*command, "--runs", str(runs)],
            timeout_s=_TIMEOUT_S + _TIMEOUT_PER_RUN_S * runs,
        )
        outcomes = msgspec.json.decode(printed, type=dict[str, int])
        if sum(outcomes.values()) != runs:
            outcomes, failure = {}, f"counted {sum(outcomes.values())} outcomes of {runs} runs"
    except ProgramFailed as error:
        failure = str(error)
    except msgspec.DecodeError as error:
        failure = f"printed nonsense: {error}"
    return Outcomes(model.contender, program, runs, outcomes, failure, started_at)


def _keep(run_path: Path, counted: list[Outcomes]) -> None:
    path = run_path / FILE
    new = path.with_name(f"{FILE}.new")
    with explained(path):
        encoded = msgspec.json.encode(_File(counted))
        new.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
        new.replace(path)
