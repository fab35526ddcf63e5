"""Is a kept run whole? `raftmark check`.

A run is read line by line, and what is wrong is said with its file and line, not at the first fault
but at all of them. *Problems* are damage: what is written cannot be what was measured. *Remarks*
are what an interruption leaves and a resumption takes up: a torn last line, leftover files, trials
not run yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from raftmark.bench.design.schedule import Planned
from raftmark.bench.runs import code, outcomes, readings, recordings
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.plan import expected
from raftmark.bench.runs.results import contradictions, parse_result
from raftmark.bench.runs.store import (
    MANIFEST,
    TRIALS,
    OtherForm,
    Run,
    StoreError,
    decoded,
    read_lines,
    read_manifest,
    require_run,
)


@dataclass
class Findings:
    """What was found of a run; it is whole if there are no problems."""

    planned: int = 0
    ended: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def audit(path: Path) -> Findings:
    """Check the run in a directory; whatever is damaged is in the findings.

    Raises `StoreError` where there is no run, and `OtherForm` for one that is not read here.
    """
    path, findings = path.resolve(), Findings()
    require_run(path)
    try:
        manifest = read_manifest(path / MANIFEST)
        lines, torn = read_lines(path / TRIALS)
    except OtherForm:
        raise
    except StoreError as error:
        findings.problems.append(str(error))
        return findings
    run = Run(path, manifest, [], torn)
    schedule = {trial.id: trial for trial in expected(run.manifest)}
    positions = {trial: position for position, trial in enumerate(schedule)}
    findings.planned = len(schedule)
    last = -1
    lines_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        here = f"{path / TRIALS}, line {number}"
        try:
            trial = decoded(line, Trial, f"{here}:")
        except StoreError as error:
            findings.problems.append(str(error))
            continue
        if first := lines_of.get(trial.trial):
            findings.problems.append(f"{here}: repeats trial {trial.trial} of line {first}")
            continue
        lines_of[trial.trial] = number
        run.trials.append(trial)
        findings.problems += [
            f"{here}: {fault}" for fault in _faults(run, trial, schedule.get(trial.trial))
        ]
        position = positions.get(trial.trial, last)
        if position < last and not manifest.adaptive:
            # A line that was damaged and deleted leaves a gap, which a resumption fills at the end.
            out_of_order = f"{here}: {trial.trial} ran after trials that were planned later"
            (findings.remarks if manifest.resumptions else findings.problems).append(out_of_order)
        last = max(last, position)
    findings.ended = len(run.trials)
    if manifest.adaptive:
        findings.planned = findings.ended
    findings.failures.update(t.failure.stage for t in run.trials if t.failure is not None)
    findings.remarks += _remarks(
        run, 0 if manifest.adaptive else len(schedule.keys() - lines_of.keys())
    )
    try:
        code.load(run)
    except StoreError as error:
        findings.problems.append(str(error))
    for load in (readings.load, outcomes.load, recordings.load):
        try:
            load(path)
        except StoreError as error:
            findings.problems.append(str(error))
    return findings


def _remarks(run: Run, missing: int) -> Iterator[str]:
    if run.torn:
        yield f"{run.path / TRIALS}: its last line is torn: that trial is run again"
    for leftover in run.leftovers():
        yield f"{leftover}: left by an interruption; the next resumption removes it"
    if missing:
        yield f"trials not measured yet: {missing}; 'raftmark bench --resume' does"


def _faults(run: Run, trial: Trial, planned: Planned | None) -> Iterator[str]:
    """Yield what is wrong with one trial, by itself and against what was planned."""
    if planned is None:
        yield f"trial {trial.trial} is not in the run's schedule"
        return
    for name, found, wanted in (
        ("cell", trial.cell, planned.cell.id),
        ("block", trial.block, planned.block),
        ("order", trial.order, trial.order if run.manifest.adaptive else planned.order),
        ("contender", trial.contender, planned.contender),
    ):
        if found != wanted:
            yield f"{trial.trial} has {name} {found} where the schedule has {wanted}"
    if trial.log is not None and not (run.logs / trial.log).is_file():
        yield f"the log of this failed trial is gone: {run.logs / trial.log}"
    if trial.status == "failed":
        if trial.failure is None:
            yield "failed, but does not say why"
        return
    if trial.failure is not None:
        yield "is ok, but has a failure"
    if trial.check is None or not trial.check.passed:
        yield "is ok, but did not pass the safety check"
    if trial.result is None:
        yield "is ok, but has no result"
        return
    workload = planned.cell.workload["name"]
    if trial.result.get("workload") != workload:
        yield f"has a result of {trial.result.get('workload')} where {workload} was run"
    try:
        result = parse_result(workload, trial.result)
    except msgspec.ValidationError as error:
        yield f"has what is no result of {workload}: {error}"
    else:
        yield from contradictions(result)
