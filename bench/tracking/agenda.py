"""Which pair is measured next: what is decided no more, and what is nearest to a decision first.

What is measured next may depend on what was found, for a coin still says which of the two of a pair
is which: the bets of `bench.analysis.verdicts` are fair, one by one, in whatever order they come.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.analysis.verdicts import NEVER, Rule
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.forms import Trial
from raftmark.bench.tracking.counting import COUNTED_CELL, count_commands
from raftmark.bench.tracking.differences import Difference, differences
from raftmark.bench.tracking.plans import BASE, HEAD, METRICS, Compared, Plan

# A pair that so many trials in a row were lost of is given up: it would take the others' time.
_MOST_FAILURES = 3
# From so few pairs nothing is foretold.
_TELLING = 3
# What a pair takes beside its load: two programs start, and each is looked at.
_OVERHEAD_S = 2.0


class Pair(NamedTuple):
    """A cell and a contender, by its name in the tables."""

    cell: str
    contender: str


class _Expected(NamedTuple):
    """After how many blocks a figure is decided, as it seems, and whether as the same."""

    blocks: int
    same: bool


class Agenda:
    """What a comparison has found of each pair so far, and what it is to measure next."""

    def __init__(
        self, plan: Plan, cells: Iterable[Cell], blocks: int, chance: random.Random
    ) -> None:
        """No pair is measured more than `blocks` times."""
        self._plan = plan
        self._rule: Rule = plan.rule
        self._cells = {cell.id: cell for cell in cells}
        self._blocks = blocks
        self._chance = chance
        self._differences: dict[Compared, list[Difference]] = {f: [] for f in plan.figures}
        self._verdicts = dict.fromkeys(plan.figures, Verdict.UNDECIDED)
        self._expected = dict.fromkeys(plan.figures, _Expected(self._rule.fewest, False))
        self._uncounted = {Pair(COUNTED_CELL.id, name) for name in plan.counted}
        self._seconds: dict[Pair, list[float]] = {}
        self._tried: Counter[Pair] = Counter()
        self._lost: Counter[Pair] = Counter()

    @property
    def decided(self) -> bool:
        """Whether nothing is left to be told."""
        return not self._uncounted and Verdict.UNDECIDED not in self._verdicts.values()

    @property
    def verdicts(self) -> Mapping[Compared, Verdict]:
        """What is said of each figure so far."""
        return self._verdicts

    def tried(self, pair: Pair) -> int:
        """Return how often a pair was measured."""
        return self._tried[pair]

    def wanted(self) -> list[Pair]:
        """Return what can still tell something, whether or not it was measured often enough."""
        open_ = [Pair(f.cell, f.contender) for f, v in self._verdicts.items() if not _told(v)]
        pairs = dict.fromkeys([*sorted(self._uncounted), *open_])
        return [pair for pair in pairs if self._lost[pair] < _MOST_FAILURES]

    def next(self, left_s: float) -> Pair | None:
        """Return the pair to measure now, with so many seconds left; None if there is none.

        What is counted comes first: one pair decides it, however little time there is. Then each
        pair once, so that what is broken is soon found. Then, of what can be decided in the time
        left, what is nearest to a difference, and after that what is nearest to there being none;
        where nothing can, whatever was measured least often.
        """
        wanted = [pair for pair in self.wanted() if self._tried[pair] < self._blocks]
        self._chance.shuffle(wanted)
        counted = [pair for pair in wanted if pair in self._uncounted]
        if counted or not wanted:
            return min(counted, key=lambda pair: self._tried[pair], default=None)
        least = min(wanted, key=lambda pair: self._tried[pair])
        if not self._tried[least]:
            return least
        decidable = [pair for pair in wanted if self._least_s(pair) <= left_s]
        nearest = min(decidable, key=self._distance, default=least)
        return nearest if math.isfinite(self._distance(nearest)[1]) else least

    def take(self, pair: Pair, trials: Sequence[Trial], seconds: float) -> None:
        """Take in what a pair has brought, which took so long."""
        self._tried[pair] += 1
        self._seconds.setdefault(pair, []).append(seconds)
        lost = sum(trial.failure is not None for trial in trials)
        self._lost[pair] = self._lost[pair] + lost if lost else 0
        sides = {trial.contender.rpartition("@")[2]: trial for trial in trials}
        if pair in self._uncounted:
            if all(count_commands(trial) for trial in sides.values()):
                self._uncounted.discard(pair)
            return
        found = differences(self._cells[pair.cell], sides[BASE], sides[HEAD])
        for figure in self._verdicts:
            its = found.get(METRICS[figure.metric])
            if Pair(figure.cell, figure.contender) == pair and its is not None:
                self._note(figure, its.difference)

    def _note(self, figure: Compared, difference: Difference) -> None:
        its = self._differences[figure]
        its.append(difference)
        self._verdicts[figure] = self._rule.judge(
            [each.typical for each in its], [each.whole for each in its]
        ).verdict
        self._expected[figure] = self._foretell(its)

    def _foretell(self, its: Sequence[Difference]) -> _Expected:
        """Return how it would be decided, if the pairs went on as they have begun."""
        if len(its) < _TELLING:
            return _Expected(self._rule.fewest, False)
        typical, whole = np.resize(its, (self._blocks, 2)).T
        told = self._rule.first_told(typical, whole)
        return _Expected(int(told.first), told.first in (told.same, NEVER))

    def _seconds_each(self, pair: Pair) -> float:
        if pair in self._seconds:
            return statistics.median(self._seconds[pair])
        cell = self._cells[pair.cell]
        return cell.usual_s * (1 if cell.turns_ms else 2) + _OVERHEAD_S

    def _least_s(self, pair: Pair) -> float:
        """Return how long it takes at the least until anything of a pair is decided."""
        had = [len(self._differences[figure]) for figure in self._open(pair)]
        return max(1, self._rule.fewest - max(had)) * self._seconds_each(pair)

    def _distance(self, pair: Pair) -> tuple[int, float]:
        """Return how near a pair is to a decision: first by what it seems to be, then by its time.

        A difference is nearest; then whatever has not as many pairs as a difference takes at the
        least; and then that there is none.
        """
        return min(self._distance_of(figure, pair) for figure in self._open(pair))

    def _distance_of(self, figure: Compared, pair: Pair) -> tuple[int, float]:
        had, expected = len(self._differences[figure]), self._expected[figure]
        if not expected.same:
            return 0, max(1, expected.blocks - had) * self._seconds_each(pair)
        if had < self._rule.fewest:
            return 1, (self._rule.fewest - had) * self._seconds_each(pair)
        if expected.blocks >= NEVER:
            return 2, math.inf
        return 2, max(1, expected.blocks - had) * self._seconds_each(pair)

    def _open(self, pair: Pair) -> list[Compared]:
        return [
            figure
            for figure, verdict in self._verdicts.items()
            if Pair(figure.cell, figure.contender) == pair and not _told(verdict)
        ]

    def outlook(self, budget_s: float) -> str:
        """Say what it takes, before the first pair, and what there is no time for."""
        pairs = {Pair(figure.cell, figure.contender) for figure in self._verdicts}
        each_s = {pair: self._rule.fewest * self._seconds_each(pair) for pair in pairs}
        sentence = (
            f"with {_spell(len(self._verdicts), 'figure')} a difference takes at least "
            f"{self._rule.fewest} pairs of each ({_minutes(sum(each_s.values()))} for all), "
            f"and that there is none {self._rule.fewest_same}"
        )
        room, left_s = 0, budget_s
        for seconds in sorted(each_s.values()):
            room += seconds <= left_s
            left_s -= seconds
        if room == len(pairs):
            return sentence
        return f"{sentence}; in {_minutes(budget_s)} {room} of {len(pairs)} can be decided"

    def progress(self, left_s: float) -> str:
        """Say how far it has come."""
        verdicts = list(self._verdicts.values())
        slower = verdicts.count(Verdict.SLOWER)
        minutes, seconds = divmod(max(0, round(left_s)), 60)
        return (
            f"{_spell(sum(self._tried.values()), 'pair')}: "
            f"{sum(map(_told, verdicts))} of {len(verdicts)} figures decided"
            + (f", {slower} slower" if slower else "")
            + f"; at most {minutes}:{seconds:02} left"
        )


def _told(verdict: Verdict) -> bool:
    return verdict is not Verdict.UNDECIDED


def _spell(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min" if seconds >= 60 else f"{round(seconds)} s"
