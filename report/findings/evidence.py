"""The evidence of a run: the trials that count, and those that do not, with the reason.

A trial counts if it passed its safety check and its result can be read. What is read
off it, `bench.analysis.metrics` says; nothing is computed here.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from raftmark.bench.analysis.metrics import Metric, values
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs import outcomes, readings, recordings
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.outcomes import Outcomes
from raftmark.bench.runs.readings import Reading
from raftmark.bench.runs.recordings import Recording
from raftmark.bench.runs.results import Result, parse_result
from raftmark.bench.runs.store import Run
from raftmark.report.model import Failure, Samples


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial that counts, with its result and the value of each metric that it gives."""

    cell: str
    block: int
    contender: str
    result: Result
    values: Mapping[Metric, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run found out. Cells and contenders' names are in the run's order.

    Of several runs that are pooled, blocks from a multiple of `stride` to the next are one run's;
    it is 0 for a single run. `hosts` has the host of each block that was measured on another than
    the harness's; `clocks_ns`, of each trial whose nodes had hosts of their own, by how much
    moments of two of them may be off.
    """

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    measured: tuple[Measured, ...]
    failures: tuple[Failure, ...]
    readings: tuple[Reading, ...]
    outcomes: tuple[Outcomes, ...]
    recordings: tuple[Recording, ...]
    stride: int = 0
    hosts: Mapping[int, str] = field(default_factory=dict)
    clocks_ns: tuple[int, ...] = ()

    def cells_of(
        self, workload: str, fits: Callable[[Cell], bool] = lambda cell: True
    ) -> list[Cell]:
        """Return a workload's cells, of those that fit; without mixtures, which are `mixtures`."""
        found = (c for c in self.cells if c.workload["name"] == workload and c.followers is None)
        return [cell for cell in found if fits(cell)]

    @property
    def mixtures(self) -> list[Cell]:
        """The cells in which a leader has another contender's programs as its followers."""
        return [
            c for c in self.cells if c.workload["name"] == "replicate" and c.followers is not None
        ]

    def of(self, cell: Cell, name: str) -> list[Measured]:
        """Return a contender's trials in a cell, in the order in which they ended."""
        return [t for t in self.measured if t.cell == cell.id and t.contender == name]

    def metrics(self, cell: Cell) -> list[Metric]:
        """Return the metrics of which a cell has any value."""
        trials = (trial for trial in self.measured if trial.cell == cell.id)
        return list(dict.fromkeys(metric for trial in trials for metric in trial.values))

    def samples(self, cell: Cell, metric: Metric) -> Samples:
        """Return a metric's values in a cell, by contender and block, or by run if pooled."""
        by_block = self.block_samples(cell, metric)
        if not self.stride:
            return by_block
        return {name: self._by_run(values) for name, values in by_block.items()}

    def group_of(self, block: int) -> int | str | None:
        """Return what a block shares with others that may differ from those of the rest.

        The run where several are pooled, else the host where they were measured on several.
        """
        return block // self.stride if self.stride else self.hosts.get(block)

    @property
    def grouped_by(self) -> str | None:
        """What that is, in a word; None where all blocks are of one run and one host."""
        if self.stride:
            return "run"
        return "host" if len({*self.hosts.values()}) > 1 else None

    def _by_run(self, values: Mapping[int, float]) -> dict[int, float]:
        runs: dict[int, list[float]] = {}
        for block, value in values.items():
            runs.setdefault(block // self.stride, []).append(value)
        return {run: statistics.median(found) for run, found in runs.items()}

    def block_samples(self, cell: Cell, metric: Metric) -> Samples:
        """Return a metric's values in a cell, by contender and block."""
        found: dict[str, dict[int, float]] = {name: {} for name in self.names}
        for trial in self.measured:
            if trial.cell == cell.id and metric in trial.values:
                found[trial.contender][trial.block] = trial.values[metric]
        return found


def gather(run: Run) -> Evidence:
    """Sort a run's trials into those that count and those that failed; read what else it keeps.

    Raises `StoreError` where that is damaged.
    """
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    measured: list[Measured] = []
    failures: list[Failure] = []
    hosts = hosts_of_blocks(run.trials)
    for trial in run.trials:
        found = _read(trial, cells.get(trial.cell))
        if isinstance(found, Measured) and trial.host != hosts[trial.block]:
            found = _failure(trial, "report", f"most of its block is {hosts[trial.block]}'s")
        if isinstance(found, Measured):
            measured.append(found)
        else:
            failures.append(found)
    return Evidence(
        names=tuple(contender.name for contender in run.manifest.contenders),
        cells=tuple(cells.values()),
        measured=tuple(measured),
        failures=tuple(failures),
        readings=tuple(readings.load(run.path)),
        outcomes=tuple(outcomes.load(run.path)),
        recordings=tuple(recordings.load(run.path)),
        hosts={block: host for block, host in hosts.items() if host is not None},
        clocks_ns=tuple(trial.clock_uncertainty_ns for trial in run.trials if trial.node_hosts),
    )


def hosts_of_blocks(trials: Iterable[Trial]) -> dict[int, str | None]:
    """Return where each block was measured: ratios within it hold on that host.

    Where a host was lost and another has gone on, it is the one that has most of its trials.
    """
    found: dict[int, Counter[str | None]] = {}
    for trial in trials:
        if trial.failure is None:
            found.setdefault(trial.block, Counter())[trial.host] += 1
    return {block: counts.most_common(1)[0][0] for block, counts in found.items()}


def _read(trial: Trial, cell: Cell | None) -> Measured | Failure:
    if trial.failure is not None:
        failure = trial.failure
        return _failure(trial, failure.stage, failure.message, failure.stderr)
    if cell is None:
        return _failure(trial, "report", f"the run has no cell {trial.cell}")
    try:
        result = parse_result(cell.workload["name"], trial.result or {})
        read = values(cell, trial)
    except msgspec.ValidationError as error:
        return _failure(trial, "report", f"its result cannot be read: {error}")
    return Measured(trial.cell, trial.block, trial.contender, result, read)


def _failure(trial: Trial, stage: str, message: str, stderr: str = "") -> Failure:
    return Failure(trial.trial, trial.contender, trial.cell, trial.block, stage, message, stderr)
