"""Contenders and baselines in turns: in each block everything once, in random order.

The contenders' trials are kept in the run as ever, the baselines' readings in `baselines.jsonl`
beside them, so that a run which was interrupted goes on with what it lacks.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from raftmark.bench.analysis.metrics import THROUGHPUT, Metric, values
from raftmark.bench.contenders.places import start_directory
from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.contenders.surroundings import clean
from raftmark.bench.design.cells import Cell
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.trial import run_trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run

READINGS = "baselines.jsonl"
_BASELINE_TIMEOUT_S = 300.0

Baseline: TypeAlias = Callable[[], dict[str, float]]
"""Measures once: a value for each subject. Raises BaselineFailed."""
Step: TypeAlias = Planned | tuple[int, str]
"""A trial, or a block and a baseline's name."""


class Reading(msgspec.Struct, frozen=True):
    """A baseline's figure in one block: commands/s, or the seconds of a round trip.

    `baseline` is the one that it is of; older files lack it.
    """

    subject: str
    block: int
    value: float
    baseline: str = ""


class BaselineFailed(Exception):
    """A baseline could not be measured; the message says why."""


def take_turns(
    run: Run,
    specs: Mapping[str, ContenderSpec],
    baselines: Mapping[str, Baseline],
    say: Callable[[str], None],
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Measure what the run lacks; what cannot be measured is said and left out.

    Before each step `enough` is asked whether to leave the rest for another time.
    """
    for step in interleave(run, baselines):
        if enough():
            return
        if isinstance(step, Planned):
            say(step.id)
            trial = run_trial(step, specs[step.contender], run)
            run.append(trial)
            if trial.failure is not None:
                say(f"{trial.trial} failed at {trial.failure.stage}: {trial.failure.message}")
            continue
        block, name = step
        say(f"{name}/{block}")
        try:
            found = baselines[name]()
        except BaselineFailed as error:
            say(f"{name} cannot be measured: {error}")
            continue
        readings = [Reading(subject, block, value, name) for subject, value in found.items()]
        with (run.path / READINGS).open("ab") as file:
            file.writelines(msgspec.json.encode(reading) + b"\n" for reading in readings)


def interleave(run: Run, baselines: Mapping[str, Baseline]) -> Iterator[Step]:
    """Yield the trials and the baselines that a run lacks, in random places of their blocks."""
    trials = remaining(run)
    done = {(reading.block, reading.baseline) for reading in readings_of(run)}
    for block in range(run.manifest.specification.blocks):
        steps: list[Step] = [trial for trial in trials if trial.block == block]
        steps += [(block, name) for name in baselines if (block, name) not in done]
        random.Random(f"{run.manifest.seed}/floors/{block}").shuffle(steps)
        yield from steps


def readings_of(run: Run) -> list[Reading]:
    """Return the baselines' readings of a run."""
    path = run.path / READINGS
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Reading) for line in lines]


def samples_of(run: Run, subject: Callable[[str, Cell], str]) -> dict[str, dict[int, float]]:
    """Return a value by block for each subject, baselines' and contenders'.

    `subject` names a contender's commands/s, given its name and the cell.
    """
    samples: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for reading in readings_of(run):
        samples[reading.subject][reading.block] = reading.value
    return {**samples, **of_trials(run, subject, THROUGHPUT)}


def of_trials(
    run: Run, subject: Callable[[str, Cell], str], metric: Metric
) -> dict[str, dict[int, float]]:
    """Return a metric of the contenders' trials by subject and block, of those that have it."""
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    samples: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for trial in run.trials:
        cell = cells[trial.cell]
        found = values(cell, trial)
        if metric in found:
            samples[subject(trial.contender, cell)][trial.block] = found[metric]
    return dict(samples)


def pysyncobj(
    setting: str, outstanding: int, warmup_s: float, duration_s: float, *, journal: bool = False
) -> Baseline:
    """Return what measures PySyncObj, with a journal if it is to keep one."""
    subject = f"pysyncobj-{setting}-w{outstanding}" + "-journal" * journal

    def measure() -> dict[str, float]:
        printed = output_of(
            [
                *(sys.executable, "-m", "raftmark.bench.baselines.pysyncobj", setting),
                *("--outstanding", str(outstanding)),
                *("--warmup", str(warmup_s), "--duration", str(duration_s)),
                *["--journal"] * journal,
            ]
        )
        result = json.loads(printed)
        return {subject: result["commands"] / result["seconds"]}

    return measure


def output_of(command: list[str], cwd: Path | None = None) -> str:
    """Return what a baseline's program prints. Raises BaselineFailed."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd or start_directory(),
            env=clean(),
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_BASELINE_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BaselineFailed(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise BaselineFailed((error.stderr or error.stdout).strip()[-2000:]) from error
    return done.stdout
