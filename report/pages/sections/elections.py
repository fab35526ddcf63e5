"""Elections: how long a cluster is without a leader, and the Raft paper's Figure 16."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from raftmark.bench.analysis.metrics import ELECTION_MEDIAN, VOTING_MEDIAN
from raftmark.bench.design.cells import TCP
from raftmark.bench.runs.results import Election, ElectionResult
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart, scales, steps
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.evidence import Measured
from raftmark.report.findings.takeaways import of_elections
from raftmark.report.findings.wording import setting, timeouts
from raftmark.report.model import Quantity, Section

# What the Raft paper reports of its Figure 16 (Ongaro and Ousterhout, "In Search of an
# Understandable Consensus Algorithm", extended version, section 9.3): by timeouts, the share of
# elections over by then in per cent, and ms. "Worst" is of 1000 elections, as the median is.
_PAPER: Mapping[tuple[float, float], tuple[tuple[str, float, float], ...]] = {
    (150, 155): (("median", 50, 287),),
    (150, 200): (("worst", 100, 513),),
    # The paper gives the mean, which is drawn at half of the elections.
    (12, 24): (("mean", 50, 35), ("worst", 100, 152)),
}


@dataclass(frozen=True, slots=True)
class ElectionSample:
    """A contender's elections in one cell, those of all trials together. Times are in ns.

    `times` are from the crash to the new leader, in order, of the decided elections. `median` and
    `voting` (from the first candidacy to the new leader) are medians over blocks of each trial's
    median, in which an undecided election counts as lasting to its cap.
    """

    times: tuple[float, ...]
    undecided: int
    several_terms: int
    median: Quantity
    voting: Quantity

    @property
    def held(self) -> int:
        """How many elections were held, undecided ones included."""
        return len(self.times) + self.undecided

    @property
    def mean(self) -> float | None:
        """The mean time, None where an undecided election leaves it open."""
        return None if self.undecided else math.fsum(self.times) / len(self.times)

    @property
    def worst(self) -> float | None:
        """The longest time, None where an undecided election was longer."""
        return None if self.undecided else self.times[-1]


@dataclass(frozen=True, slots=True)
class Elections:
    """The election workload in one cell; `as_in_paper` with the Raft paper's logs and delays.

    An election is given up as undecided after `cap` ns.
    """

    title: str
    as_in_paper: bool
    condition: str
    timeout_ms: tuple[float, float]
    cap: float
    samples: Mapping[str, ElectionSample]

    @property
    def paper(self) -> tuple[tuple[str, float, float], ...]:
        """What the Raft paper reports of the same: name, per cent and ms."""
        return _PAPER.get(self.timeout_ms, ()) if self.as_in_paper else ()


def section(analysis: Analysis) -> Section | None:
    """Return the section, if any election was held."""
    cells = list(elections(analysis))
    if not cells:
        return None

    def panels(log: bool) -> list[Panel]:
        return [_panel(cell, analysis, log) for cell in cells]

    drawn = chart(
        "elections",
        "Share of elections over by a time after the crash, by timeouts. "
        "The table has their medians and worst.",
        analysis.contenders,
        scales(panels),
    )
    facts = {"cells": cells, "chart": drawn, "paper": any(cell.paper for cell in cells)}
    facts["takeaway"] = of_elections(analysis)
    facts["as_in_paper"] = any(cell.as_in_paper for cell in cells)
    return Section("elections", "Elections", facts, ("election",))


def elections(analysis: Analysis) -> Iterator[Elections]:
    """Gather the elections of each cell in which any was held."""
    evidence, estimates = analysis.evidence, analysis.estimates
    for cell in evidence.cells_of("election"):
        medians = estimates.quantities(cell, ELECTION_MEDIAN)
        voting = estimates.quantities(cell, VOTING_MEDIAN)
        samples = {}
        for name in analysis.shown:
            if name not in medians or name not in voting:
                continue
            held = [e for trial in evidence.of(cell, name) for e in _held(trial)]
            samples[name] = ElectionSample(
                times=tuple(sorted(e.leader_ns - e.crash_ns for e in held if e.leader_ns)),
                undecided=sum(e.leader_ns is None for e in held),
                several_terms=sum(e.leader_term - e.term > 1 for e in held if e.leader_term),
                median=medians[name],
                voting=voting[name],
            )
        if not samples:
            continue
        low, high = cell.cluster["election_timeout_ms"]
        yield Elections(
            title=f"{low:g} to {high:g} ms{', deployed' * (cell.transport == TCP)}",
            as_in_paper=bool(cell.workload.get("lagging")),
            condition=f"{timeouts(cell)}, {setting(cell)}",
            timeout_ms=(low, high),
            cap=1e9 * cell.workload["cap_s"],
            samples=samples,
        )


def _held(trial: Measured) -> list[Election]:
    assert isinstance(trial.result, ElectionResult)
    return trial.result.elections


def _panel(cell: Elections, analysis: Analysis, log: bool) -> Panel:
    series = []
    for name, sample in cell.samples.items():
        if not sample.times:
            continue
        times = [time / 1e6 for time in sample.times]
        label = analysis.contenders[name].label
        points = [
            Point(
                times[max(0, round(share * sample.held) - 1)],
                100 * max(1, round(share * sample.held)) / sample.held,
                f"{label}: {100 * share:.0f} % of {sample.held} elections over within "
                f"{times[max(0, round(share * sample.held) - 1)]:.0f} ms",
            )
            for share in _SHARES
            if round(share * sample.held) <= len(times)
        ]
        series.append(Series(name, points, steps(times, sample.held)))
    marks = [
        Point(ms, per_cent, f"The Raft paper, {cell.title}: {what} {ms:g} ms")
        for what, per_cent, ms in cell.paper
    ]
    return Panel(
        f"{'As in the paper:' if cell.as_in_paper else 'Timeouts of'} {cell.title}",
        Axis("ms from the crash to a new leader", log),
        Axis(suffix=" %"),
        series,
        marks=marks,
        band=cell.timeout_ms if cell.timeout_ms[0] < cell.timeout_ms[1] else None,
    )


_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
