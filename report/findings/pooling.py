"""Several runs as one: the run is the unit, so what moves from run to run is in every interval.

Within a run blocks are alike; from run to run the machine, its neighbours and the layout of memory
are others, and ratios move farther than a run's own intervals say. So each contender has one value
a run, the median over its blocks, and what is estimated is estimated over runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from raftmark.bench.experiment.environment import machine, measured_revision
from raftmark.bench.runs.runtimes import runtime
from raftmark.bench.runs.store import Run
from raftmark.report.findings.evidence import Evidence, gather

FEWEST_RUNS = 3
"""Of two runs nothing can be said that holds along with much else."""


class PoolError(Exception):
    """These runs are not one; the message says why, and what to do."""


def pool(runs: Sequence[Run]) -> Evidence:
    """Gather the trials of several runs of the same cells and contenders.

    Raises `PoolError` if they are too few or differ in what was measured, of which revision, in how
    contenders were built, or in the machine.
    """
    if len(runs) < FEWEST_RUNS:
        raise PoolError(
            f"it takes {FEWEST_RUNS} runs or more to pool, not {len(runs)}: name more, or say "
            "what changed from one to the other (--before)"
        )
    first = runs[0]
    for run in runs[1:]:
        for what, of in _EQUAL:
            if of(run) != of(first):
                raise PoolError(
                    f"{run.manifest.run} and {first.manifest.run} differ in {what}: pool runs of "
                    "one command on one machine, and compare others (--before)"
                )
    if len({run.manifest.run for run in runs}) < len(runs):
        raise PoolError("a run is named twice: name each run once")
    names = {entry.name for entry in runs[-1].manifest.contenders}
    stride = 1 + max(run.manifest.specification.blocks for run in runs)
    found = [gather(run) for run in runs]
    return replace(
        found[-1],
        measured=tuple(
            replace(trial, block=trial.block + stride * number)
            for number, each in enumerate(found)
            for trial in each.measured
            if trial.contender in names  # an earlier run's twin may be another's
        ),
        failures=tuple(
            replace(failure, block=failure.block + stride * number)
            for number, each in enumerate(found)
            for failure in each.failures
            if failure.contender in names
        ),
        stride=stride,
    )


def _runtimes(run: Run) -> list[str]:
    return [runtime(entry.hello or {}) for entry in run.manifest.contenders if not entry.twin]


_EQUAL: tuple[tuple[str, Callable[[Run], object]], ...] = (
    ("what was measured, or for how long", lambda run: run.manifest.specification.cells),
    ("the revision that was measured", lambda run: measured_revision(run.manifest.environment)),
    ("contenders", lambda run: [c.name for c in run.manifest.contenders if not c.twin]),
    ("how contenders were built", _runtimes),
    ("the machine", lambda run: machine(run.manifest.environment)),
    ("how Raftmark counts", lambda run: run.manifest.counting),
)
