"""What work costs in a study of growth, by what is varied: see `growth`.

Each cost is such that *linear* is what has to be paid: a round of so many clients that each send a
command; a command that goes to so many followers, or has so many bytes; so many entries; a command
where so many sessions are known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from raftmark.bench.analysis.metrics import CPU_PER_COMMAND, values
from raftmark.bench.baselines.turns import readings_of
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.results import Pieces, ReplicateResult, parse_result
from raftmark.bench.runs.store import Run

ENTRIES = (10_000, 100_000, 1_000_000, 10_000_000)
"""Lengths of the log at which the time is read that it took to get there."""

Costs = Mapping[str, Mapping[str, Mapping[float, Mapping[int, float]]]]
"""Seconds by dimension, contender, what is varied, and block."""


class Dimension(NamedTuple):
    """What is varied, and what is told of it: its `axis`, and the cost that grows."""

    key: str
    axis: str
    cost: str


DIMENSIONS = (
    Dimension("outstanding", "commands outstanding", "CPU time of a round, a command of each"),
    Dimension("followers", "followers", "CPU time of a command"),
    Dimension("bytes", "bytes a value", "CPU time of a command"),
    Dimension("entries", "entries in the log", "time until there are so many"),
    Dimension("sessions", "sessions known", "CPU time of a command"),
)


def costs_of(run: Run) -> Costs:
    """Return what a run has measured so far; a trial that failed is in none of it."""
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    found: dict[str, dict[str, dict[float, dict[int, float]]]] = {
        each.key: defaultdict(lambda: defaultdict(dict)) for each in DIMENSIONS
    }
    for trial in run.trials:
        if trial.status == "ok":
            for key, x, cost in _of_trial(cells[trial.cell], trial):
                found[key][trial.contender][x][trial.block] = cost
    for reading in readings_of(run):
        contender, _, known = reading.subject.rpartition("-sessions-")
        found["sessions"][contender][float(known)][reading.block] = reading.value
    return found


def _of_trial(cell: Cell, trial: Trial) -> Iterator[tuple[str, float, float]]:
    """Yield what one trial tells: dimension, value of what is varied, cost."""
    workload, cluster = cell.workload, cell.cluster
    if cluster.get("snapshot_entries"):
        result = parse_result(workload["name"], trial.result or {})
        assert isinstance(result, ReplicateResult)
        yield from (("entries", x, cost) for x, cost in reached(result.slices, ENTRIES))
        return
    cpu_s = values(cell, trial).get(CPU_PER_COMMAND)
    if cpu_s is None:
        return
    outstanding, payload, nodes = workload["outstanding"], workload["payload"], cluster["nodes"]
    if payload == 64 and nodes == 3:
        yield "outstanding", outstanding, outstanding * cpu_s
    if payload == 64 and outstanding == 64:
        yield "followers", nodes - 1, cpu_s
    if nodes == 3 and outstanding == 1:
        yield "bytes", payload, cpu_s


def reached(slices: Pieces, wanted: Iterable[int]) -> Iterator[tuple[float, float]]:
    """Yield each of `wanted`, in ascending order, that was reached, and after how many seconds.

    Within a slice commands are taken to come evenly.
    """
    done, begun_ns = 0, 0
    left = iter(wanted)
    entries = next(left, None)
    for end_ns, commands in slices:
        while entries is not None and done + commands >= entries:
            share = (entries - done) / commands
            yield float(entries), (begun_ns + share * (end_ns - begun_ns)) / 1e9
            entries = next(left, None)
        done, begun_ns = done + commands, end_ns
