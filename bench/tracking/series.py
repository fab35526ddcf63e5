"""What is kept in a history, as series over time, and where each changed for good.

A series has only what was measured alike: on one machine, on one build of the contender's runtime,
asked in the same way, and counted by Raftmark in the same way. Where any of these changes, another
series begins, and `breaks` says what it was.

There are three kinds. *Counts* of a comparison are exact, so a change is told by the first run that
has it. *Ratios* of a comparison, and *figures* of a run of `raftmark bench`, scatter from run to
run, so where they changed is for `bench.analysis.changepoints` to find; all series of a history
share the 5 % of histories without a change in which one may be told.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from raftmark.bench.analysis.changepoints import FEWEST, change_points
from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.runs.meanings import meaning, recounted
from raftmark.bench.tracking.history import Entry, History
from raftmark.bench.tracking.plans import METRICS

ERROR = 0.05
"""Of histories in which nothing changes, so many say that something did, looked at once."""

# A lasting change halfway through 20 runs is found in nine of ten histories where it is three times
# what the runs scatter by: see `bench.studies.lasting`.
_SEEN = 3.0 * math.sqrt(20)
# The median size of the difference of two draws from one normal distribution, in its deviations.
_MEDIAN_DIFFERENCE = 0.9539


class Kind(Enum):
    """What a series is of."""

    COUNT = "counted"
    RATIO = "compared with one commit"
    FIGURE = "measured alone"


class Conditions(NamedTuple):
    """What all points of a series share. `asked`, `counting`, `against`: see `history.Entry`."""

    machine: str
    runtime: str
    asked: str
    counting: int
    against: str


class Point(NamedTuple):
    """A value of a run, with the ends of its interval where it has one."""

    entry: Entry
    value: float
    low: float | None = None
    high: float | None = None


class Subject(NamedTuple):
    """What a series is of, whatever it was measured with: `where` is a cell, if it is of one."""

    kind: Kind
    machine: str
    where: str
    metric: str
    contender: str


class Change(NamedTuple):
    """A series that changed with an entry: its level before it and since."""

    entry: Entry
    before: float
    after: float
    verdict: Verdict

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before if self.before else math.inf


class Series(NamedTuple):
    """A figure over time. `share` is its part of the error, `margin` that of a count."""

    subject: Subject
    conditions: Conditions
    label: str
    points: list[Point]
    margin: float
    share: float

    @property
    def title(self) -> str:
        """What it is of, in words."""
        subject = self.subject
        if subject.kind is Kind.COUNT:
            return subject.metric
        title = f"{METRICS[subject.metric].title} in {subject.where}"
        return f"{title}, ratio" if subject.kind is Kind.RATIO else title

    @property
    def unit(self) -> str:
        """The unit of its values."""
        return METRICS[self.subject.metric].unit if self.subject.kind is Kind.FIGURE else ""

    @property
    def scatter(self) -> float | None:
        """By what share it moves from run to run, changes apart; None where that is not known."""
        values = [point.value for point in self.points]
        if self.subject.kind is Kind.COUNT or len(values) < 2 * FEWEST or min(values) <= 0:
            return None
        steps = np.abs(np.diff(np.log(values)))
        return float(np.median(steps) / _MEDIAN_DIFFERENCE)

    @property
    def visible(self) -> float | None:
        """About the least lasting change halfway through that would be found, as a share.

        None where no change would be, because there are too few runs.
        """
        if self.subject.kind is Kind.COUNT:
            return self.margin if len(self.points) > 1 else None
        scatter = self.scatter
        return (
            None if scatter is None else math.expm1(_SEEN * scatter / math.sqrt(len(self.points)))
        )

    def changes(self) -> list[Change]:
        """Return where it changed for good."""
        values = [point.value for point in self.points]
        if self.subject.kind is Kind.COUNT:
            cuts = _steps(values, self.margin)
        else:
            positive = min(values) > 0
            cuts = change_points(np.log(values).tolist() if positive else values, self.share)
        levels = [
            float(np.median(values[start:end])) for start, end in pairwise([0, *cuts, len(values)])
        ]
        return [
            Change(self.points[cut].entry, before, after, self._verdict(before, after))
            for cut, (before, after) in zip(cuts, pairwise(levels), strict=True)
        ]

    def _verdict(self, before: float, after: float) -> Verdict:
        counted = self.subject.kind is Kind.COUNT
        higher_is_better = not counted and METRICS[self.subject.metric].higher_is_better
        return Verdict.FASTER if (after > before) == higher_is_better else Verdict.SLOWER


def _steps(counts: list[float], margin: float) -> list[int]:
    """Return where an exact count went away from what it was by more than the margin."""
    found, level = [], counts[0]
    for place, count in enumerate(counts):
        if abs(count - level) > margin * abs(level):
            found.append(place)
            level = count
    return found


class Break(NamedTuple):
    """A series that begins where another of the same subject was before, and why it is another."""

    entry: Entry
    subject: Subject
    why: list[str]


def series_of(history: History) -> list[Series]:
    """Return every figure and count over time, those of one subject in the order they began."""
    found: defaultdict[tuple[Subject, Conditions], list[Point]] = defaultdict(list)
    labels: dict[Subject, str] = {}
    margins: defaultdict[Subject, float] = defaultdict(float)
    for entry in history.entries:
        for subject, conditions, point, label, margin in _points(entry):
            found[subject, conditions].append(point)
            labels[subject], margins[subject] = label, margin
    judged = sum(
        subject.kind is not Kind.COUNT and len(points) >= 2 * FEWEST
        for (subject, _), points in found.items()
    )
    share = ERROR / max(1, judged)
    made = [
        Series(subject, conditions, labels[subject], points, margins[subject], share)
        for (subject, conditions), points in found.items()
    ]
    return sorted(made, key=_order)


def _order(series: Series) -> tuple[object, ...]:
    kind, *rest = series.subject
    return [*Kind].index(kind), *rest, series.points[0].entry.at


def _points(entry: Entry) -> Iterator[tuple[Subject, Conditions, Point, str, float]]:
    against = entry.against or ""
    kind = Kind.FIGURE if entry.against is None else Kind.RATIO

    def measured(name: str, asked: str, counting: int, against: str) -> Conditions:
        return Conditions(entry.machine, entry.runtimes.get(name, ""), asked, counting, against)

    for figure in entry.figures:
        name, metric = figure.contender, figure.metric
        yield (
            Subject(kind, entry.machine, figure.cell, metric, name),
            measured(
                name, entry.cells.get(figure.cell, ""), meaning(metric, entry.counting), against
            ),
            Point(entry, figure.value, figure.low, figure.high),
            figure.label,
            0.0,
        )
    for count in entry.counts:
        name = count.contender
        yield (
            # What a revision costs is the same whatever it is compared with.
            Subject(Kind.COUNT, entry.machine, "", count.what, name),
            measured(name, "", meaning(count.what, entry.counting), ""),
            Point(entry, count.number),
            count.label,
            count.margin,
        )


def breaks(series: Iterable[Series]) -> list[Break]:
    """Return where a subject has a series after another, in the order of time."""
    latest: dict[Subject, Series] = {}
    found = []
    for each in series:
        before = latest.get(each.subject)
        if before is not None:
            why = list(_differences(each.subject, before.conditions, each.conditions))
            found.append(Break(each.points[0].entry, each.subject, why))
        latest[each.subject] = each
    return sorted(found, key=lambda each: each.entry.at)


def _differences(subject: Subject, before: Conditions, since: Conditions) -> Iterator[str]:
    name, cell = subject.contender, subject.where
    if before.runtime != since.runtime:
        yield f"{name} ran on {_known(before.runtime)} before, on {_known(since.runtime)} since"
    if before.asked != since.asked:
        known = before.asked and since.asked
        yield f"{cell} {'is another load' if known else 'may be another load'} under the same name"
    if before.counting != since.counting:
        yield from recounted(subject.metric, before.counting, since.counting)
    if before.against != since.against:
        yield f"compared with {before.against[:10]} before, with {since.against[:10]} since"


def _known(runtime: str) -> str:
    return runtime or "something that was not kept"
