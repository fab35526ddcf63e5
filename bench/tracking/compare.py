"""HEAD against BASE: what can be said of it.

A comparison of two revisions is a run like any other, whose contenders are called `NAME@base` and
`NAME@head`; `comparison.json` beside its manifest is the plan: which figures are compared, fixed
before the first trial, and with what margin and error. So it can be looked at again, also when the
process that measured it was killed.

Every figure gets an interval for its ratio, HEAD over BASE, and one for its mean, which hold under
peeking (`bench.analysis.verdicts`). Each has its share of the comparison's error (Bonferroni),
whatever the figures have in common.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

import msgspec

from raftmark.bench.analysis.averages import winsorised
from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.analysis.sequential import Interval, Verdict
from raftmark.bench.runs.forms import Trial
from raftmark.bench.runs.store import Run
from raftmark.bench.tracking.counting import COUNTED_CELL, Count, count_commands
from raftmark.bench.tracking.differences import Difference, Pair, differences
from raftmark.bench.tracking.plans import BASE, HEAD, METRICS, Compared, Plan, side


class Finding(msgspec.Struct, frozen=True):
    """What is known of one figure. `ratio` is HEAD over BASE, in the figure itself.

    `base` and `head` are medians over blocks, `low` and `high` the ratio's interval, None where
    that has no end yet. `mean` is the ratio on the average, of logarithms up to a bound, with its
    interval.
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
    mean: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None


class Outcome(Enum):
    """What a comparison comes to; each is a status of `raftmark gate`."""

    BROKEN = "HEAD does not work, broke a safety rule, or told what cannot be"
    WORSE = "something got slower, or costs more"
    UNDECIDED = "not one figure could be decided"
    FIRST = "there is nothing to compare with yet"
    PASSED = "nothing got worse, as far as it can be told"


class Comparison(msgspec.Struct, frozen=True):
    """All that a comparison found so far.

    `failures` says of the failed trials by contender; `unsafe` are the trials in which HEAD broke
    a safety rule or told what cannot be, and `uncounted` the contenders whose commands could not be
    counted. `broken` are sentences on what works in BASE and not in HEAD, `base_broken` on the
    reverse, and `frail` on the contenders whose trials fail more often in HEAD.
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


def compare(run: Run, plan: Plan) -> Comparison:
    """Compare what a run has measured so far."""
    return compare_runs(run, run, plan, both=True)


def compare_runs(base: Run, head: Run, plan: Plan, *, both: bool = False) -> Comparison:
    """Compare two runs, or with `both` the two sides of one."""
    names = list(plan.labels)
    of_base = {side(n, BASE) if both else n: n for n in names}
    of_head = {side(n, HEAD) if both else n: n for n in names}
    measured = _measure(base, of_base, head, of_head, both=both)
    trials = base.trials if both else [*base.trials, *head.trials]
    counts = _count(base, of_base, head, of_head)
    known = {count.contender for count in counts}
    before, after = _tallies(base.trials, of_base), _tallies(head.trials, of_head)
    return Comparison(
        plan=plan,
        run=head.manifest.run,
        findings=[_find(figure, measured.get(figure, {}), plan) for figure in plan.figures],
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


_Measured = dict[Compared, dict[int, Pair]]


def _measure(
    base: Run, of_base: Mapping[str, str], head: Run, of_head: Mapping[str, str], *, both: bool
) -> _Measured:
    """Return each figure's pairs by block, for contenders by their names in the runs."""
    cells = {cell.id: cell for cell in head.manifest.specification.cells}
    before, after = _places(base, of_base), _places(head, of_head)
    found: _Measured = {}
    for place in sorted(before.keys() & after.keys()):
        name, cell, block = place
        if cell in cells:
            pairs = differences(cells[cell], before[place], after[place], in_turns=both)
            for metric, pair in pairs.items():
                found.setdefault(Compared(name, cell, metric.key), {})[block] = pair
    return found


def _places(run: Run, names: Mapping[str, str]) -> dict[tuple[str, str, int], Trial]:
    return {
        (names[trial.contender], trial.cell, trial.block): trial
        for trial in run.trials
        if trial.contender in names
    }


def differences_of(run: Run, plan: Plan) -> dict[Compared, dict[int, Difference]]:
    """Return how a comparison's pairs differ in each of its figures, by block."""
    of_base, of_head = ({side(name, w): name for name in plan.labels} for w in (BASE, HEAD))
    measured = _measure(run, of_base, run, of_head, both=True)
    return {
        figure: {block: pair.difference for block, pair in measured.get(figure, {}).items()}
        for figure in plan.figures
    }


def _find(figure: Compared, measured: Mapping[int, Pair], plan: Plan) -> Finding:
    metric = METRICS[figure.metric]
    pairs = list(measured.values())
    typical = [pair.difference.typical for pair in pairs]
    whole = [pair.difference.whole for pair in pairs]
    judged = plan.rule.judge(typical, whole)
    sign = -1.0 if metric.higher_is_better else 1.0
    low, high = _turned(judged.centre, sign)
    mean_low, mean_high = _turned(judged.mean, sign)
    return Finding(
        contender=figure.contender,
        cell=figure.cell,
        metric=metric.key,
        title=metric.title,
        unit=metric.unit,
        blocks=len(pairs),
        base=statistics.median(pair.base for pair in pairs) if pairs else None,
        head=statistics.median(pair.head for pair in pairs) if pairs else None,
        ratio=math.exp(sign * statistics.median(typical)) if pairs else None,
        low=math.exp(low) if math.isfinite(low) else None,
        high=math.exp(high) if math.isfinite(high) else None,
        verdict=judged.verdict,
        mean=math.exp(sign * statistics.fmean(map(winsorised, whole))) if pairs else None,
        mean_low=math.exp(mean_low),
        mean_high=math.exp(mean_high),
    )


def _turned(interval: Interval, sign: float) -> Interval:
    """Return the interval of a figure from that of its cost, or the reverse."""
    return interval if sign > 0 else Interval(-interval.high, -interval.low)


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
