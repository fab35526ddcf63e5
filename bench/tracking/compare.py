"""HEAD against BASE: what is compared, and what can be said of it.

A comparison of two revisions is a run like any other, whose contenders are called `NAME@base` and
`NAME@head`; `comparison.json` beside its manifest is the plan: which figures are compared, fixed
before the first trial, and with what margin and error. So it can be looked at again, also when the
process that measured it was killed.

Every figure gets an interval for its ratio, HEAD over BASE, that holds under peeking
(`bench.analysis.sequential`). All intervals of a comparison hold together with probability 1 -
`error`: each has its share of the error (Bonferroni), whatever the figures have in common.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from raftmark.bench.analysis import metrics
from raftmark.bench.analysis.metrics import Metric, values
from raftmark.bench.analysis.sequential import Verdict, confidence_sequence, fewest_blocks, judge
from raftmark.bench.design.cells import LOWEST_MS, Cell, election_cell, replicate_cell, turns_cell
from raftmark.bench.experiment.environment import machine
from raftmark.bench.files import replace_file
from raftmark.bench.runs.forms import ContenderEntry, Trial
from raftmark.bench.runs.runtimes import started
from raftmark.bench.runs.store import Run, StoreError, explained
from raftmark.bench.tracking.counting import COUNTED_CELL, Count, count_commands

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

    Two that are busy all the time take turns. An election is a matter of timers, which run out
    while a contender is stopped, so elections are held one after the other. Memory is compared
    there, where the work is the same however fast it is done.
    """
    return [
        Gated(
            replicate_cell(64, warmup_s=0.2, duration_s=0.5),
            (metrics.THROUGHPUT, metrics.CPU_PER_COMMAND),
            turns_cell(64, warmup_s=0.4, duration_s=2.0),
        ),
        Gated(
            replicate_cell(1, warmup_s=0.1, duration_s=0.3),
            (metrics.LATENCY_P50,),
            turns_cell(1, warmup_s=0.2, duration_s=1.2),
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

    @property
    def error_each(self) -> float:
        """The share of the error that each figure has."""
        return self.error / max(1, len(self.figures))

    @property
    def fewest_blocks(self) -> int:
        """After how many blocks, at the earliest, any figure can be decided."""
        return fewest_blocks(self.error_each)

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


class Finding(msgspec.Struct, frozen=True):
    """What is known of one figure. `ratio` is HEAD over BASE, in the figure itself.

    `base` and `head` are medians over blocks, `low` and `high` the ratio's interval, None where
    that has no end yet.
    """

    contender: str
    cell: str
    metric: str
    title: str
    unit: str
    blocks: int
    base: float | None
    head: float | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict


class Outcome(Enum):
    """What a comparison comes to; each is a status of `raftmark gate`."""

    BROKEN = "HEAD does not work, or broke a safety rule"
    WORSE = "something got slower, or costs more"
    UNDECIDED = "not one figure could be decided"
    FIRST = "there is nothing to compare with yet"
    PASSED = "nothing got worse, as far as it can be told"


class Comparison(msgspec.Struct, frozen=True):
    """All that a comparison found so far.

    `failures` says of the failed trials by contender; `unsafe` are the trials in which HEAD broke
    a safety rule, and `uncounted` the contenders whose commands could not be counted. `broken` are
    sentences on what works in BASE and not in HEAD, `base_broken` on the reverse, and `frail` on
    the contenders whose trials fail more often in HEAD.
    """

    plan: Plan
    run: str
    findings: list[Finding]
    counts: list[Count]
    uncounted: list[str]
    failures: dict[str, str]
    unsafe: list[str]
    broken: list[str]
    base_broken: list[str]
    frail: list[str]
    seconds: float

    def with_verdict(self, verdict: Verdict) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.verdict is verdict]

    @property
    def costlier(self) -> list[Count]:
        """The counted costs of a command that grew."""
        return [count for count in self.counts if count.gated and count.grew]

    @property
    def outcome(self) -> Outcome:
        """What it comes to, the worst first."""
        if self.broken or self.unsafe:
            return Outcome.BROKEN
        if self.with_verdict(Verdict.SLOWER) or self.costlier:
            return Outcome.WORSE
        if self.plan.is_first:
            return Outcome.FIRST
        if len(self.with_verdict(Verdict.UNDECIDED)) == len(self.findings):
            return Outcome.UNDECIDED
        return Outcome.PASSED

    @property
    def undecided(self) -> bool:
        """Whether anything could not be decided."""
        return bool(self.with_verdict(Verdict.UNDECIDED) or self.uncounted)


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


def compare(run: Run, plan: Plan) -> Comparison:
    """Compare what a run has measured so far."""
    return compare_runs(run, run, plan, both=True)


def compare_runs(base: Run, head: Run, plan: Plan, *, both: bool = False) -> Comparison:
    """Compare two runs, or with `both` the two sides of one."""
    names = list(plan.labels)
    of_base = {side(n, BASE) if both else n: n for n in names}
    of_head = {side(n, HEAD) if both else n: n for n in names}
    measured = {BASE: _by_figure(base, of_base), HEAD: _by_figure(head, of_head)}
    trials = base.trials if both else [*base.trials, *head.trials]
    counts = _count(base, of_base, head, of_head)
    known = {count.contender for count in counts}
    before, after = _tallies(base.trials, of_base), _tallies(head.trials, of_head)
    return Comparison(
        plan=plan,
        run=head.manifest.run,
        findings=[_find(figure, measured[BASE], measured[HEAD], plan) for figure in plan.figures],
        counts=[*counts, *plan.code],
        uncounted=[name for name in plan.counted if name not in known],
        failures=_failures(trials),
        unsafe=[
            trial.trial
            for trial in head.trials
            if trial.contender in of_head and trial.check is not None and not trial.check.passed
        ],
        broken=[*plan.broken, *_broken(after, before, HEAD)],
        base_broken=[*plan.base_broken, *_broken(before, after, BASE)],
        frail=list(_frail(before, after)),
        # Two that took turns took the same time.
        seconds=round(sum(t.duration_s / (1 if t.turns is None else 2) for t in trials), 1),
    )


_Measured = dict[tuple[str, str, str], dict[int, float]]


def _by_figure(run: Run, names: Mapping[str, str]) -> _Measured:
    """Return each figure's values by block, for contenders by their names in the run."""
    cells = {cell.id: cell for cell in run.manifest.specification.cells}
    found: _Measured = {}
    for trial in run.trials:
        if trial.contender not in names:
            continue
        for metric, value in values(cells[trial.cell], trial).items():
            key = (names[trial.contender], trial.cell, metric.key)
            found.setdefault(key, {})[trial.block] = value
    return found


def log_ratios(run: Run, plan: Plan, figure: Compared) -> dict[int, float]:
    """Return the logarithm of HEAD over BASE for a figure of a comparison's run, by block."""
    base, head = (
        _by_figure(run, {side(name, which): name for name in plan.labels}) for which in (BASE, HEAD)
    )
    return {block: math.log(new / old) for block, (old, new) in _pairs(figure, base, head).items()}


def _pairs(figure: Compared, base: _Measured, head: _Measured) -> dict[int, tuple[float, float]]:
    """Return a figure's two values by block, where both trials succeeded and have a ratio."""
    key = (figure.contender, figure.cell, figure.metric)
    before, after = base.get(key, {}), head.get(key, {})
    return {
        block: (before[block], after[block])
        for block in sorted(before.keys() & after.keys())
        if before[block] > 0 and after[block] > 0
    }


def _find(figure: Compared, base: _Measured, head: _Measured, plan: Plan) -> Finding:
    metric = METRICS[figure.metric]
    pairs = list(_pairs(figure, base, head).values())
    logarithms = [math.log(new / old) for old, new in pairs]
    interval = confidence_sequence(logarithms, plan.error_each)
    cost = type(interval)(-interval.high, -interval.low) if metric.higher_is_better else interval
    return Finding(
        contender=figure.contender,
        cell=figure.cell,
        metric=metric.key,
        title=metric.title,
        unit=metric.unit,
        blocks=len(pairs),
        base=statistics.median(old for old, _ in pairs) if pairs else None,
        head=statistics.median(new for _, new in pairs) if pairs else None,
        ratio=math.exp(statistics.median(logarithms)) if pairs else None,
        low=math.exp(interval.low) if math.isfinite(interval.low) else None,
        high=math.exp(interval.high) if math.isfinite(interval.high) else None,
        verdict=judge(cost, plan.margin),
    )


def _count(
    base: Run, of_base: Mapping[str, str], head: Run, of_head: Mapping[str, str]
) -> list[Count]:
    before, after = _counted(base.trials, of_base), _counted(head.trials, of_head)
    return [
        Count(name, metric.title, number, after[name][metric], gated=True)
        for name, numbers in before.items()
        if name in after
        for metric, number in numbers.items()
        if metric in after[name]
    ]


def _counted(trials: Sequence[Trial], names: Mapping[str, str]) -> dict[str, dict[Metric, float]]:
    """Return what a command of each contender costs, by its first trial that succeeded."""
    found: dict[str, dict[Metric, float]] = {}
    for trial in trials:
        if trial.cell == COUNTED_CELL.id and trial.contender in names and trial.status == "ok":
            found.setdefault(names[trial.contender], count_commands(trial))
    return found


class _Tally:
    """How many trials of a contender succeeded in a cell, and what the others said."""

    def __init__(self) -> None:
        self.ok = 0
        self.failed: list[str] = []

    @property
    def trials(self) -> int:
        return self.ok + len(self.failed)


_Tallies = dict[tuple[str, str], _Tally]


def _tallies(trials: Iterable[Trial], names: Mapping[str, str]) -> _Tallies:
    """Count the trials of contenders by their names in the run, each by name and cell."""
    found: _Tallies = {}
    for trial in trials:
        if trial.contender in names:
            tally = found.setdefault((names[trial.contender], trial.cell), _Tally())
            if trial.failure is None:
                tally.ok += 1
            else:
                tally.failed.append(trial.failure.message)
    return found


def _broken(of: _Tallies, others: _Tallies, which: str) -> Iterator[str]:
    """Yield what never succeeds on a side, and does on the other."""
    for (name, cell), tally in of.items():
        other = others.get((name, cell))
        if tally.failed and not tally.ok and other is not None and other.ok:
            count = len(tally.failed)
            trials = f"all {count} trials" if count > 1 else "the only trial"
            yield f"{name}: {trials} of {cell} failed in {which}: {tally.failed[-1]}"


def _frail(before: _Tallies, after: _Tallies) -> Iterator[str]:
    """Yield the contenders whose trials fail more often in HEAD than in BASE."""
    for name in dict.fromkeys(name for name, _ in after):
        old, new = (
            [tally for (whose, _), tally in of.items() if whose == name] for of in (before, after)
        )
        failed = [sum(len(tally.failed) for tally in of) for of in (old, new)]
        trials = [sum(tally.trials for tally in of) for of in (old, new)]
        if failed[1] * trials[0] > failed[0] * trials[1]:
            yield (
                f"{name}: {failed[1]} of {trials[1]} trials failed in {HEAD}, "
                f"{failed[0]} of {trials[0]} in {BASE}"
            )


def _failures(trials: Iterable[Trial]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for trial in trials:
        if trial.failure is not None:
            found.setdefault(trial.contender, []).append(trial.failure.message)
    return {name: f"{len(said)} failed, the last one: {said[-1]}" for name, said in found.items()}
