"""The seminar paper's programs, run many times: which outcomes do they have? `raftmark races`.

What was counted is kept in the run after each program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from raftmark.bench.primitives.bare import GoModel, ProgramFailed, PythonModel, output_of
from raftmark.bench.runs import outcomes
from raftmark.bench.runs.outcomes import PROGRAMS, Outcomes, Program
from raftmark.bench.runs.store import now

# Starting a process takes milliseconds, on a busy machine tens of them, and there are eight in one.
_TIMEOUT_S = 60.0
_TIMEOUT_PER_RUN_S = 1.0


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
            counted = outcomes.load(run_path)
            others = [o for o in counted if (o.contender, o.program) != (model.contender, program)]
            if any(o.runs == runs and not o.failure for o in counted if o not in others):
                continue
            say(f"{model.contender}/{program}")
            found = _count(model, program, runs)
            if found.failure is not None:
                say(f"{model.contender}/{program} failed: {found.failure}")
            outcomes.keep(run_path, [*others, found])


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
    counted: dict[str, int] = {}
    failure = None
    try:
        printed = output_of(
            [*command, "--runs", str(runs)],
            timeout_s=_TIMEOUT_S + _TIMEOUT_PER_RUN_S * runs,
            env=model.env,
        )
        counted = msgspec.json.decode(printed, type=dict[str, int])
        if sum(counted.values()) != runs:
            counted, failure = {}, f"counted {sum(counted.values())} outcomes of {runs} runs"
    except ProgramFailed as error:
        failure = str(error)
    except msgspec.DecodeError as error:
        failure = f"printed nonsense: {error}"
    return Outcomes(model.contender, program, runs, counted, failure, started_at)
