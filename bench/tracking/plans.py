"""What of two revisions is compared: which figures and counts of which contenders, in which cells.

A comparison's plan is fixed before its first trial, and kept beside its run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from raftmark.bench.analysis import metrics
from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.analysis.verdicts import Rule
from raftmark.bench.design.cells import LOWEST_MS, Cell, election_cell, replicate_cell, turns_cell
from raftmark.bench.experiment.environment import machine
from raftmark.bench.files import replace_file
from raftmark.bench.runs.forms import ContenderEntry
from raftmark.bench.runs.runtimes import started
from raftmark.bench.runs.store import Run, StoreError, explained
from raftmark.bench.tracking.counting import Count

BASE, HEAD = "base", "head"
ERROR = 0.05
_PLAN = "comparison.json"

METRICS = {m.key: m for m in vars(metrics).values() if isinstance(m, Metric)}
"""Every metric by its key."""


class Gated(NamedTuple):
    """A cell, and which of its figures are compared; `in_turns` is the cell for two in turns."""

    cell: Cell
    metrics: tuple[Metric, ...]
    in_turns: Cell | None = None


def gated_cells() -> list[Gated]:
    """Return what two revisions are compared in: few figures, so that each is decided soon.

    Two that are busy all the time take turns, for so short a time as shows their pace: the check
    reads the log of each from its beginning, and more pairs tell more than longer ones. An election
    is a matter of timers, which run out while a contender is stopped, so elections are held one
    after the other. Memory is compared there, where the work is the same however fast it is done.
    """
    return [
        Gated(
            replicate_cell(64, warmup_s=0.2, duration_s=0.5),
            (metrics.THROUGHPUT, metrics.CPU_PER_COMMAND),
            turns_cell(64, warmup_s=0.2, duration_s=0.8),
        ),
        Gated(
            replicate_cell(1, warmup_s=0.1, duration_s=0.3),
            (metrics.LATENCY_P50,),
            turns_cell(1, warmup_s=0.2, duration_s=0.6),
        ),
        Gated(
            election_cell(LOWEST_MS, elections=10),
            (metrics.ELECTION_MEDIAN, metrics.PEAK_MEMORY),
        ),
    ]


class Compared(msgspec.Struct, frozen=True):
    """A figure that is compared: a contender's, in a cell."""

    contender: str
    cell: str
    metric: str


class Plan(msgspec.Struct, frozen=True):
    """What is compared, and what is known of it before the first trial.

    `labels` are the contenders', `counted` those whose commands' cost is counted, `code` counts of
    source code and of replays, `left_out` sentences on what only one of the two has, `apart`
    sentences on what is measured one after the other though it could be in turns. `caution` is what
    a reader of every figure has to know. `broken` are sentences on what does not even start in HEAD
    and does in BASE, `base_broken` on the reverse. `is_first`: BASE has none of the contenders yet.
    `base_commit` and `head_commit` are None where a side is no commit, and in comparisons from
    before they were kept.
    """

    base: str
    head: str
    margin: float
    error: float
    labels: dict[str, str]
    figures: list[Compared]
    counted: list[str]
    code: list[Count]
    left_out: list[str]
    caution: str | None = None
    broken: list[str] = []
    base_broken: list[str] = []
    is_first: bool = False
    apart: list[str] = []
    base_commit: str | None = None
    head_commit: str | None = None

    @property
    def rule(self) -> Rule:
        """How each figure is judged: all have the same share of the error."""
        return Rule(self.margin, self.error / max(1, len(self.figures)))

    @property
    def fewest_blocks(self) -> int:
        """After how many blocks, at the earliest, a difference can be told."""
        return self.rule.fewest

    def save(self, run: Run) -> None:
        """Keep the plan beside a run. Raises `StoreError` when that cannot be done."""
        path = run.path / _PLAN
        with explained(path):
            replace_file(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def of(cls, run: Run) -> Plan | None:
        """Return the plan of a run, None if it is no comparison."""
        path = run.path / _PLAN
        if not path.exists():
            return None
        with explained(path):
            try:
                return msgspec.json.decode(path.read_bytes(), type=cls)
            except msgspec.DecodeError as error:
                raise StoreError(f"{path} is damaged: {error}") from error


def side(name: str, which: str) -> str:
    """Return what a contender is called in a comparison's run."""
    return f"{name}@{which}"


class Shared(NamedTuple):
    """The contenders that can be compared, and sentences on those that cannot.

    Those in `broken` cannot run in HEAD, although they can in BASE or are new; those in
    `base_broken` can run in HEAD only.
    """

    names: list[str]
    left_out: list[str]
    broken: list[str]
    base_broken: list[str]


def shared(base: Mapping[str, ContenderEntry], head: Mapping[str, ContenderEntry]) -> Shared:
    """Tell which contenders of two sides can be compared."""
    found = Shared([], [], [], [])
    for name in dict.fromkeys([*base, *head]):
        entries = {which: of[name] for which, of in ((BASE, base), (HEAD, head)) if name in of}
        stopped = {
            which: f"{name} cannot run in {which}: {entry.unavailable}"
            for which, entry in entries.items()
            if entry.unavailable is not None
        }
        if len(stopped) == 2:
            found.left_out.append(" and ".join(stopped.values()))
        elif HEAD in stopped:
            found.broken.append(stopped[HEAD])
        elif len(entries) == 1:
            (absent,) = {BASE, HEAD} - entries.keys()
            found.left_out.append(f"{name} is not in {absent}'s table")
        elif BASE in stopped:
            found.base_broken.append(stopped[BASE])
        else:
            found.names.append(name)
    return found


def lacking(cell: Cell, base: ContenderEntry, head: ContenderEntry) -> str:
    """Return which sides do not offer a cell, in words; nothing if both do."""
    return " and ".join(which for which, entry in ((BASE, base), (HEAD, head)) if entry.lacks(cell))


def plan_of_runs(base: Run, head: Run, margin: float) -> Plan:
    """Return what of two runs can be compared: the headline of each cell that both have.

    Raises `StoreError` when the runs are of different machines, or share nothing.
    """
    machines = [machine(run.manifest.environment) for run in (base, head)]
    if machines[0] != machines[1]:
        raise StoreError(
            f"{base.path.name} is of another machine ({machines[0]}) than {head.path.name} "
            f"({machines[1]}), so nothing can be said: measure both on one"
        )
    entries = [{e.name: e for e in run.manifest.contenders} for run in (base, head)]
    names, left_out, broken, base_broken = shared(*entries)
    cells = [{c.id: c for c in run.manifest.specification.cells} for run in (base, head)]
    both = {id: cell for id, cell in cells[0].items() if cells[1].get(id) == cell}
    left_out += [
        f"{id} is not the same in both, or in one of them only"
        for id in dict.fromkeys([*cells[0], *cells[1]])
        if id not in both
    ]
    figures = [
        Compared(name, id, metrics.HEADLINES[cell.workload["name"]].key)
        for name in names
        for id, cell in both.items()
    ]
    if not figures:
        sentences = ["the two runs share nothing to compare", *left_out, *broken, *base_broken]
        raise StoreError("; ".join(sentences))
    return Plan(
        base=base.manifest.run,
        head=head.manifest.run,
        margin=margin,
        error=ERROR,
        labels={name: entries[1][name].label for name in names},
        figures=figures,
        counted=[],
        code=[],
        left_out=left_out,
        caution=(
            f"These runs were measured apart, from {base.manifest.started_at} and from "
            f"{head.manifest.started_at} on: a difference may be the machine's. "
            "Compare two revisions to be sure." + _say_what_differs(names, *entries)
        ),
        broken=broken,
        base_broken=base_broken,
    )


def _say_what_differs(
    names: Iterable[str], base: Mapping[str, ContenderEntry], head: Mapping[str, ContenderEntry]
) -> str:
    """Say which contenders were built or started in another way; nothing where none was."""
    pairs = {name: (started(base[name]), started(head[name])) for name in names}
    return "".join(
        f" {head[name].label} ran on {before} in BASE and on {after} in HEAD."
        for name, (before, after) in pairs.items()
        if before != after
    )
