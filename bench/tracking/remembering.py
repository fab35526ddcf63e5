"""What a history keeps of a run: of one of `raftmark bench` figures, of a comparison ratios.

A comparison of a revision with another that stays the same, night for night, tells what changed by
ratios that were measured pair by pair on one machine in one hour, and by counts that no machine
touches. So a history of those sees far smaller changes than one of figures that stand alone.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    HEADLINES,
    LATENCY_P50,
    PEAK_MEMORY,
    Metric,
    values,
)
from raftmark.bench.analysis.statistics import median_interval
from raftmark.bench.design.specification import Cell, Specification
from raftmark.bench.experiment.environment import machine, measured_revision
from raftmark.bench.runs.forms import ContenderEntry, Manifest
from raftmark.bench.runs.runtimes import started
from raftmark.bench.runs.store import Run, StoreError
from raftmark.bench.tracking.compare import Comparison, compare
from raftmark.bench.tracking.history import Counted, Entry, Figure
from raftmark.bench.tracking.plans import BASE, HEAD, Plan, side

_KEPT = (CPU_PER_COMMAND, LATENCY_P50, PEAK_MEMORY)


def entry_of(run: Run) -> Entry:
    """Return what is kept of a run. Raises `StoreError` for one that is of no use here."""
    plan = Plan.of(run)
    entry = _of_bench(run) if plan is None else _of_comparison(run, plan)
    if not entry.figures and not entry.counts:
        raise StoreError(f"{run.path} has no figure yet, so there is nothing to remember")
    return entry


def _of_bench(run: Run) -> Entry:
    figures = list(_figures(run))
    shown = {figure.contender for figure in figures}
    runtimes = {e.name: started(e) for e in run.manifest.contenders if e.name in shown}
    return _entry(run.manifest, figures, runtimes, against=None, counts=[])


def _of_comparison(run: Run, plan: Plan) -> Entry:
    if plan.base_commit is None:
        raise StoreError(
            f"{run.path} compares with no commit, or was made before that was kept; "
            "a history is of comparisons with one commit that stays the same"
        )
    found = compare(run, plan)
    entries = {entry.name: entry for entry in run.manifest.contenders}
    runtimes = {name: _started_of_both(name, entries) for name in plan.labels}
    counts = [
        Counted(count.contender, plan.labels[count.contender], count.what, count.head, count.margin)
        for count in found.counts
        if count.gated
    ]
    return _entry(
        run.manifest, list(_ratios(found)), runtimes, against=plan.base_commit, counts=counts
    )


def _entry(
    manifest: Manifest,
    figures: list[Figure],
    runtimes: dict[str, str],
    against: str | None,
    counts: list[Counted],
) -> Entry:
    revision = measured_revision(manifest.environment)
    specification = manifest.specification
    asked = {figure.cell for figure in figures}
    return Entry(
        schema=1,
        run=manifest.run,
        at=manifest.started_at,
        commit=revision.get("commit"),
        dirty=bool(revision.get("dirty")),
        machine=machine(manifest.environment),
        figures=figures,
        runtimes=runtimes,
        cells={
            cell.id: _digest(cell, specification)
            for cell in specification.cells
            if cell.id in asked
        },
        counting=manifest.counting,
        against=against,
        counts=counts,
    )


def _digest(cell: Cell, specification: Specification) -> str:
    """Return what tells one cell from another of the same name."""
    asked = {key: value for key, value in msgspec.to_builtins(cell).items() if value is not None}
    shares = [specification.one_process, *[True] * specification.one_cluster]
    content = msgspec.json.encode([asked, *shares], order="sorted")
    return hashlib.sha256(content).hexdigest()[:8]


def _started_of_both(name: str, entries: dict[str, ContenderEntry]) -> str:
    """Describe what a contender ran on in both revisions, once if that is the same."""
    base, head = (started(entries[side(name, which)]) for which in (BASE, HEAD))
    return head if base == head else f"{head} (BASE on {base})"


def _ratios(found: Comparison) -> Iterator[Figure]:
    for finding in found.findings:
        if finding.ratio is not None:
            yield Figure(
                contender=finding.contender,
                label=found.plan.labels[finding.contender],
                cell=finding.cell,
                metric=finding.metric,
                value=_short(finding.ratio),
                low=None if finding.low is None else _short(finding.low),
                high=None if finding.high is None else _short(finding.high),
                blocks=finding.blocks,
            )


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _figures(run: Run) -> Iterator[Figure]:
    manifest = run.manifest
    measured: defaultdict[tuple[str, str, Metric], list[float]] = defaultdict(list)
    cells = {cell.id: cell for cell in manifest.specification.cells}
    for trial in run.trials:
        cell = cells[trial.cell]
        kept = {HEADLINES[cell.workload["name"]], *_KEPT}
        for metric, value in values(cell, trial).items():
            if metric in kept:
                measured[trial.contender, trial.cell, metric].append(value)
    labels = {entry.name: entry.label for entry in manifest.contenders if not entry.twin}
    for (contender, cell_id, metric), sample in measured.items():
        if contender not in labels:
            continue
        estimate = median_interval(sample)
        low, high = (
            None if math.isnan(end) else _short(end) for end in (estimate.low, estimate.high)
        )
        yield Figure(
            contender=contender,
            label=labels[contender],
            cell=cell_id,
            metric=metric.key,
            value=_short(estimate.value),
            low=low,
            high=high,
            blocks=len(sample),
        )
