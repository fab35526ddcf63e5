"""The changes that a history has seen, what is no one series, and what could be seen, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raftmark.bench.analysis.changepoints import FEWEST
from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.tracking.history import Entry
from raftmark.bench.tracking.series import Change, Kind, Series, breaks
from raftmark.report.findings.units import in_unit, three_digits

KINDS = {
    Kind.COUNT: "Counts of a command",
    Kind.RATIO: "Ratios to one commit",
    Kind.FIGURE: "Figures of a run by itself",
}
"""What the kinds of series are called."""


class Changed(NamedTuple):
    """A change as text."""

    at: str
    commit: str
    machine: str
    label: str
    figure: str
    before: str
    after: str
    ratio: str
    worse: bool


class Sight(NamedTuple):
    """What of a series could be seen, as text."""

    kind: str
    label: str
    figure: str
    machine: str
    runs: int
    scatter: str
    visible: str


def changes_in_words(series: Sequence[Series]) -> list[str]:
    """Return a line for each change, the latest first."""
    return [
        f"{c.at}  {c.commit:<11}  {c.label}, {c.figure}: {c.before} to {c.after} "
        f"({c.ratio}, {'worse' if c.worse else 'better'}) on {c.machine}"
        for c in changes(series)
    ]


def changes(series: Sequence[Series]) -> list[Changed]:
    """Return every change as text, the latest first."""
    found = [(change, each) for each in series for change in each.changes()]
    found.sort(key=lambda each: each[0].entry.at, reverse=True)
    return [_change(change, each) for change, each in found]


def _change(change: Change, series: Series) -> Changed:
    before, after = in_unit(series.unit, (change.before, change.after))
    return Changed(
        at=change.entry.at,
        commit=commit_of(change.entry),
        machine=series.subject.machine,
        label=series.label,
        figure=series.title,
        before=before,
        after=after,
        ratio=three_digits(change.ratio),
        worse=change.verdict is Verdict.SLOWER,
    )


def breaks_in_words(series: Sequence[Series]) -> list[str]:
    """Return a sentence for each time at which a series ended because another one began."""
    sentences = [f"{b.entry.at}: {why}" for b in breaks(series) for why in b.why]
    return [*dict.fromkeys(sentences), *_machines(series)]


def _machines(series: Sequence[Series]) -> Iterator[str]:
    """Say from when on runs are of another machine, whose figures are series of their own."""
    firsts: dict[str, str] = {}
    for each in series:
        machine, at = each.subject.machine, each.points[0].entry.at
        firsts[machine] = min(at, firsts.get(machine, at))
    for machine, at in sorted(firsts.items(), key=lambda each: each[1])[1:]:
        yield f"{at}: first run on {machine}, whose figures are series of their own"


def sights(series: Sequence[Series]) -> list[Sight]:
    """Return how much each series scatters, and what lasting change would be found in it."""
    return [
        Sight(
            kind=KINDS[each.subject.kind],
            label=each.label,
            figure=each.title,
            machine=each.subject.machine,
            runs=len(each.points),
            scatter="" if each.scatter is None else _per_cent(each.scatter),
            visible="none yet" if each.visible is None else f"above {_per_cent(each.visible)}",
        )
        for each in series
    ]


def outlook(series: Sequence[Series]) -> list[str]:
    """Say, for each kind of series, what lasting change would have been found."""
    return [
        f"{KINDS[kind]}: {_outlook(kind, found)}"
        for kind in Kind
        if (found := [each for each in series if each.subject.kind is kind])
    ]


def _outlook(kind: Kind, series: Sequence[Series]) -> str:
    visible = [each.visible for each in series if each.visible is not None]
    if not visible:
        fewest = 2 if kind is Kind.COUNT else 2 * FEWEST
        return f"no change would be seen, since no series has {fewest} runs yet."
    if kind is Kind.COUNT:
        return "exact, so that a change is seen in the first run that has it, above the margin."
    low, high = (_per_cent(end) for end in (min(visible), max(visible)))
    reach = f"about {low}" if low == high else f"about {low} to {high}, as the figure scatters"
    short = len(series) - len(visible)
    rest = f" {short} of {len(series)} have too few runs." if short else ""
    return f"a lasting change halfway through would be seen if it is larger than {reach}.{rest}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def commit_of(entry: Entry) -> str:
    """Return an entry's commit, with a star where files differed from it."""
    return (entry.commit or "no commit")[:10] + ("*" if entry.dirty else "")
