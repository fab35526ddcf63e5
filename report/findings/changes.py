"""The changes that a history has seen, as text."""

from __future__ import annotations

from typing import NamedTuple

from raftmark.bench.analysis.sequential import Verdict
from raftmark.bench.tracking.history import Change, Entry, History, Series
from raftmark.report.findings.units import in_unit, three_digits


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


def changes_in_words(history: History) -> list[str]:
    """Return a line for each change, the latest first."""
    return [
        f"{c.at}  {c.commit:<11}  {c.label}, {c.figure}: {c.before} to {c.after} "
        f"({c.ratio}, {'worse' if c.worse else 'better'}) on {c.machine}"
        for c in changes(history)
    ]


def changes(history: History) -> list[Changed]:
    """Return every change as text, the latest first."""
    found = [(change, series) for series in history.series() for change in series.changes()]
    found.sort(key=lambda each: each[0].entry.at, reverse=True)
    return [_change(change, series) for change, series in found]


def _change(change: Change, series: Series) -> Changed:
    before, after = in_unit(series.metric.unit, (change.before, change.after))
    return Changed(
        at=change.entry.at,
        commit=_commit(change.entry),
        machine=series.machine,
        label=series.label,
        figure=f"{series.metric.title} in {series.cell}",
        before=before,
        after=after,
        ratio=three_digits(change.ratio),
        worse=change.verdict is Verdict.SLOWER,
    )


def _commit(entry: Entry) -> str:
    return (entry.commit or "no commit")[:10] + ("*" if entry.dirty else "")
