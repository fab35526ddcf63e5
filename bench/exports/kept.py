"""Runs in short, as `docs/runs/` keeps them: what tells how far ratios move from run to run.

A run is megabytes, and what moves from one to the next shows over many. Of each is kept what a page
compares, a value for each process, and what was measured with what, where and how quietly.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P99,
    MEMORY_PER_ENTRY,
    THROUGHPUT,
    VOTING_MEDIAN,
    Metric,
    values,
)
from raftmark.bench.contenders.places import ROOT
from raftmark.bench.design.specification import Cell
from raftmark.bench.experiment.environment import machine, measured_revision
from raftmark.bench.exports.series import ExportError
from raftmark.bench.runs.runtimes import started
from raftmark.bench.runs.store import Run, StoreError

DIRECTORY = ROOT / "docs" / "runs"

METRICS = (
    *(THROUGHPUT, LATENCY_P99, CPU_PER_COMMAND, MEMORY_PER_ENTRY),
    *(ELECTION_MEDIAN, VOTING_MEDIAN),
)
"""What is kept: the metrics that a report's first tables compare."""

QUIET = 0.5
"""A machine is quiet if somebody waits for a processor for less of the time, by median."""

_DIGITS = 6
_HOW_LONG = ("warmup_s", "duration_s", "elections")


class KeptCell(msgspec.Struct, frozen=True):
    """What was asked for, and by metric and contender each block's value, if it has one."""

    workload: dict[str, Any]
    cluster: dict[str, Any]
    values: dict[str, dict[str, list[float | None]]]

    def is_like(self, cell: Cell | KeptCell) -> bool:
        """Whether it is the same as another one, but for how long it was measured."""
        asked, other = _but_for_time(self.workload), _but_for_time(cell.workload)
        return self.cluster == cell.cluster and asked == other


class Kept(msgspec.Struct, frozen=True):
    """A run in short; `contenders` has what each ran on.

    `load`: the load average before the run; `pressure`: the share of a trial's time in which some
    process of the machine waited for a processor, the median of trials; None where nothing tells.
    """

    run: str
    profile: str
    started_at: str
    machine: str
    counting: int
    contenders: dict[str, str]
    cells: dict[str, KeptCell]
    commit: str | None = None
    load: float | None = None
    pressure: float | None = None
    schema: int = 1

    @property
    def quiet(self) -> bool:
        """Whether the machine had nothing else to do that mattered, as far as is known."""
        return self.pressure is not None and self.pressure < QUIET

    def has_like(self, cell: KeptCell) -> bool:
        """Whether the same was asked for here."""
        return any(own.is_like(cell) for own in self.cells.values())

    def samples(self, cell: Cell, metric: Metric) -> dict[str, dict[int, float]]:
        """Return a metric's values in a cell, by contender and block; none if it was not asked."""
        kept = self.cells.get(cell.id)
        if kept is None or not kept.is_like(cell):
            return {}
        return {
            name: {block: value for block, value in enumerate(found) if value is not None}
            for name, found in kept.values.get(metric.key, {}).items()
            if name in self.contenders
        }


def in_short(run: Run) -> Kept:
    """Return what is kept of a run: of the trials that count, those of no twin."""
    manifest = run.manifest
    environment = manifest.environment
    names = {entry.name for entry in manifest.contenders if not entry.twin}
    pressures = [
        trial.machine.cpu_pressure
        for trial in run.trials
        if trial.machine is not None and trial.machine.cpu_pressure is not None
    ]
    return Kept(
        run=manifest.run,
        profile=manifest.profile,
        started_at=manifest.started_at,
        machine=machine(environment),
        counting=manifest.counting,
        contenders={e.name: started(e) for e in manifest.contenders if e.name in names},
        cells={
            cell.id: KeptCell(cell.workload, cell.cluster, _values(run, cell, names))
            for cell in manifest.specification.cells
            if cell.followers is None
        },
        commit=measured_revision(environment).get("commit"),
        load=next(iter(environment.get("load", ())), None),
        pressure=statistics.median(pressures) if pressures else None,
    )


def kept(run: Run) -> dict[str, str]:
    """Return the file of a run in short, which is named as the run is.

    Raises `ExportError` where no trial counts.
    """
    if not any(trial.status == "ok" for trial in run.trials):
        raise ExportError(f"{run.manifest.run} has no trial that is ok: there is nothing to keep")
    encoded = msgspec.json.format(msgspec.json.encode(in_short(run)), indent=0)
    return {f"{run.manifest.run}.json": f"{encoded.decode()}\n"}


def load(directory: Path = DIRECTORY) -> list[Kept]:
    """Read the runs that a directory keeps, none where there is none.

    Raises `StoreError` for a file that is no such run.
    """
    found = []
    for file in sorted(directory.glob("*.json")):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Kept))
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{file} is no kept run ({error}): restore or delete it") from error
    return found


def alike(kept: Iterable[Kept], run: Kept) -> list[Kept]:
    """Return the quiet ones of the same machine and counting, without the run itself.

    Each with those contenders only that ran on the same there as here.
    """
    found = [
        msgspec.structs.replace(
            each,
            contenders={
                name: what
                for name, what in each.contenders.items()
                if run.contenders.get(name) == what
            },
        )
        for each in kept
        if each.quiet
        and each.run != run.run
        and (each.machine, each.counting) == (run.machine, run.counting)
        and any(each.has_like(cell) for cell in run.cells.values())
    ]
    return [each for each in found if len(each.contenders) > 1]


def _values(run: Run, cell: Cell, names: set[str]) -> dict[str, dict[str, list[float | None]]]:
    found: dict[str, dict[str, list[float | None]]] = {}
    for trial in run.trials:
        if trial.cell != cell.id or trial.contender not in names:
            continue
        for metric, value in values(cell, trial).items():
            if metric in METRICS:
                blocks = found.setdefault(metric.key, {}).setdefault(
                    trial.contender, [None] * run.manifest.specification.blocks
                )
                blocks[trial.block] = float(f"{value:.{_DIGITS}g}")
    return found


def _but_for_time(workload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in workload.items() if name not in _HOW_LONG}
