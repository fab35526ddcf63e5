"""The run itself: trial after trial in the schedule's order, each kept as soon as it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import zip_longest
from typing import Protocol

from raftmark.bench.contenders.registry import ContenderSpec
from raftmark.bench.contenders.variants import Mixture
from raftmark.bench.design.schedule import Planned
from raftmark.bench.experiment.life import Life
from raftmark.bench.experiment.trial import run_trial, skipped_trial
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.plan import remaining
from raftmark.bench.runs.store import Run


class End(Enum):
    """Why the measuring ended."""

    COMPLETE = "complete"
    OUT_OF_TIME = "out of time"


class Display(Protocol):
    """What is told of each trial as it begins and ends."""

    def begins(self, planned: Planned) -> None:
        """Show that a trial begins."""

    def ended(self, trial: Trial) -> None:
        """Show how it ended."""


def measure(run: Run, specs: Mapping[str, ContenderSpec], display: Display) -> End:
    """Run the trials that a run still lacks, and keep each as it ends.

    An interruption loses the trial under way and nothing else. Raises `StoreError` when a result
    cannot be kept.
    """
    trials = remaining(run)
    life = Life()
    try:
        return _measure(run, specs, display, trials, life)
    finally:
        life.end()


def _measure(
    run: Run,
    specs: Mapping[str, ContenderSpec],
    display: Display,
    trials: Sequence[Planned],
    life: Life,
) -> End:
    specification = run.manifest.specification
    started = time.monotonic()
    for planned, following in zip_longest(trials, trials[1:]):
        if (
            specification.budget_s is not None
            and time.monotonic() - started > specification.budget_s
        ):
            return End.OUT_OF_TIME
        display.begins(planned)
        lost_s = _lost_to_failures(run, planned.contender)
        if lost_s > specification.patience_s:
            reason = (
                f"not tried: {planned.contender} has already cost this run "
                f"{lost_s:.0f} s in failed trials"
            )
            life.end()
            trial = skipped_trial(planned, reason)
        else:
            life.goes_on = specification.one_process and _share(planned, following)
            trial = run_trial(planned, _taking_part(planned, specs), run, life)
        run.append(trial)
        display.ended(trial)
    return End.COMPLETE


def _taking_part(planned: Planned, specs: Mapping[str, ContenderSpec]) -> ContenderSpec:
    """Return the contender of a trial, mixed with those that follow it there."""
    spec, cell = specs[planned.contender], planned.cell
    if cell.followers is None:
        return spec
    return Mixture.of([spec, *[specs[cell.followers]] * (cell.cluster["nodes"] - 1)])


def _share(planned: Planned, following: Planned | None) -> bool:
    """Whether both trials are of the same contender and placement in the same block."""
    return following is not None and _process(planned) == _process(following)


def _process(planned: Planned) -> tuple[int, str, str, str | None]:
    cell = planned.cell
    return planned.block, planned.contender, cell.transport, cell.followers


def _lost_to_failures(run: Run, contender: str) -> float:
    return sum(
        trial.duration_s
        for trial in run.trials
        if trial.contender == contender and trial.status == "failed"
    )
