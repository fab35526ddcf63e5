"""Beside other Rafts: our contenders as deployed, held against what could be deployed instead.

A peer is somebody else's library, in a node program of ours (see `peers/`). Each contender is
compared with each peer in every measure, block by block, and all these comparisons of a run hold
together at 95 %; one that is no further from 1 than the noise floor tells nothing. A gain is how
many times as good ours is, whichever way the measure runs: 2 is twice the throughput, or half the
time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from raftmark.bench.analysis.metrics import (
    CPU_PER_COMMAND,
    ELECTION_MEDIAN,
    LATENCY_P99,
    OUTAGE,
    THROUGHPUT,
    Metric,
)
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import Cell
from raftmark.report.findings.analysis import EVENT_LOOP, Analysis
from raftmark.report.findings.comparison import above, compare
from raftmark.report.findings.headlines import noise_of
from raftmark.report.findings.units import readable_unit
from raftmark.report.findings.wording import from_one_up, listed, outstanding, timeouts
from raftmark.report.model import Comparison, Outcome, Quantity

_METRICS = {"replicate": THROUGHPUT, "election": ELECTION_MEDIAN, "failover": OUTAGE}
"""In what a workload's contenders and peers are compared."""

_EVENTS = {"election": "an election", "failover": "an outage"}

_STORAGES = {"memory": "in memory", "disk": "on disk"}


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """What is compared in a cell; there is one of each."""

    cell: Cell
    metric: Metric

    @property
    def storage(self) -> str:
        """Where the logs are, in words; nothing for a time, in which that plays no part."""
        stored = self.metric is THROUGHPUT
        return _STORAGES[self.cell.cluster["storage"]] if stored else ""

    @property
    def title(self) -> str:
        """What it is, in few words."""
        workload, nodes = self.cell.workload, f"{self.cell.cluster['nodes']} nodes"
        if self.metric is THROUGHPUT:
            return f"{outstanding(int(workload['outstanding']))}, {self.storage}, {nodes}"
        what = "Outage" if workload["name"] == "failover" else "Election"
        return f"{what}, {timeouts(self.cell)}, {nodes}"


class Gain(NamedTuple):
    """How many times as good a contender is as a peer."""

    contender: str
    peer: str
    measure: Measure
    gain: Comparison


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's or a peer's figure in a measure, and its gain over each peer, if it is ours.

    The figure is in a unit of that `symbol` and size; `beside` are its tail of latency (ns) and CPU
    time (s) for each command, where commands are counted.
    """

    name: str
    condition: str
    symbol: str
    size: float
    figure: Quantity
    beside: tuple[Quantity | None, ...]
    gains: tuple[Comparison | None, ...]


BESIDE = (LATENCY_P99, CPU_PER_COMMAND)
"""What is shown beside the throughput, in the order of `Row.beside`."""


def measures(analysis: Analysis) -> list[Measure]:
    """Return what contenders and peers are compared in: memory first, then disk, then times."""
    found = [
        Measure(cell, metric)
        for name, metric in _METRICS.items()
        for cell in analysis.evidence.cells_of(name, lambda cell: cell.transport == TCP)
    ]
    known = [each for each in found if _has_peer(analysis, each)]
    return sorted(known, key=_place)


def _place(measure: Measure) -> tuple[int, int, int]:
    cell = measure.cell
    return (
        list(_METRICS).index(cell.workload["name"]),
        list(_STORAGES).index(cell.cluster["storage"]),
        int(cell.workload.get("outstanding", 0)),
    )


def _has_peer(analysis: Analysis, measure: Measure) -> bool:
    samples = analysis.evidence.samples(measure.cell, measure.metric)
    return any(samples.get(name) for name in analysis.peers)


def gains(analysis: Analysis, found: Sequence[Measure]) -> list[Gain]:
    """Compare each contender with each peer in each measure that both have figures of."""
    samples = {
        measure: analysis.evidence.samples(measure.cell, measure.metric) for measure in found
    }
    wanted = [
        (ours, peer, measure)
        for measure, peer, ours in product(found, analysis.peers, _ours(analysis))
        if samples[measure].get(ours) and samples[measure].get(peer)
    ]
    twins = {name: one.base for name, one in analysis.contenders.items() if one.twin}
    gained = []
    for ours, peer, measure in wanted:
        better = measure.metric.higher_is_better
        one, other = samples[measure][ours], samples[measure][peer]
        ratio = compare(
            one if better else other,
            other if better else one,
            higher_is_better=True,
            among=len(wanted),
        )
        noise = noise_of(samples[measure], twins, better)
        gained.append(Gain(ours, peer, measure, above(noise, ratio)))
    return gained


def _ours(analysis: Analysis) -> list[str]:
    return [name for name in analysis.shown if name not in analysis.peers]


def rows(analysis: Analysis, found: Sequence[Measure], gained: Sequence[Gain]) -> Iterator[Row]:
    """Yield all figures, and beside ours the gains over each peer."""
    known = {(each.contender, each.peer, each.measure): each.gain for each in gained}
    for measure in found:
        figures = analysis.estimates.quantities(measure.cell, measure.metric)
        beside = [
            analysis.estimates.quantities(measure.cell, metric) if measure.storage else {}
            for metric in BESIDE
        ]
        symbol, size = readable_unit(measure.metric.unit, [q.value for q in figures.values()])
        for name in analysis.shown:
            if name in figures:
                yield Row(
                    name,
                    measure.title,
                    symbol,
                    size,
                    figures[name],
                    tuple(each.get(name) for each in beside),
                    tuple(known.get((name, peer, measure)) for peer in analysis.peers),
                )


def sentences(analysis: Analysis, gained: Sequence[Gain]) -> list[str]:
    """Say by rule how the best of ours in a peer's language does beside it.

    Nothing is said that no interval supports. Where none of ours is in that language, the best of
    all is meant.
    """
    return [said for peer in analysis.peers for said in _sentence(analysis, gained, peer)]


def _sentence(analysis: Analysis, gained: Sequence[Gain], peer: str) -> Iterator[str]:
    mine = [gain for gain in gained if gain.peer == peer]
    rivals = _rivals(analysis, peer)
    alone = analysis.contenders[rivals[0]].brief if len(rivals) == 1 else ""
    told: dict[str, list[str]] = {}
    for measure in dict.fromkeys(gain.measure for gain in mine):
        here = [gain for gain in mine if gain.measure is measure and gain.contender in rivals]
        among = {gain.contender: gain.gain for gain in here}
        best = _best(analysis, measure, among)
        if best is not None and among[best].outcome is not Outcome.UNKNOWN:
            whose = "" if alone else f" ({analysis.contenders[best].brief})"
            said = _said(measure, among[best]) + whose
            told.setdefault(measure.storage, []).append(said)
    times = told.pop("", [])
    who = alone or "the best of ours"
    parts = [f"{storage} {who} commits {listed(said)}" for storage, said in told.items()]
    if parts or times:
        yield f"Beside {analysis.contenders[peer].label}: {'; '.join([*parts, *times])}."


def _rivals(analysis: Analysis, peer: str) -> list[str]:
    """Return ours in a peer's language, each model as it is written; all such where none is."""
    known = [
        name
        for name in _ours(analysis)
        if analysis.contenders[name].base == name and name != EVENT_LOOP
    ]
    language = analysis.contenders[peer].language
    return [n for n in known if analysis.contenders[n].language == language] or known


def _best(analysis: Analysis, measure: Measure, among: dict[str, Comparison]) -> str | None:
    figures = analysis.estimates.quantities(measure.cell, measure.metric)
    choose = max if measure.metric.higher_is_better else min
    known = [name for name in among if name in figures]
    return choose(known, key=lambda name: figures[name].value, default=None)


def _said(measure: Measure, gain: Comparison) -> str:
    """Say how one of ours does: how much it commits, or how long it takes."""
    assert gain.ratio is not None, "a verdict has a ratio"
    times = f"{float(f'{from_one_up(gain.ratio).value:.2g}'):g}"
    more = (gain.outcome is Outcome.BETTER) == measure.metric.higher_is_better
    share = f"{times} times" if more else f"1/{times}"
    alike = gain.outcome is Outcome.ALIKE
    workload = measure.cell.workload
    if measure.metric is THROUGHPUT:
        commands = int(workload["outstanding"])
        where = "with one command at a time" if commands == 1 else f"with {commands} outstanding"
        return f"{'what cannot be told apart' if alike else f'{share} as much'} {where}"
    what = f"{_EVENTS[workload['name']]} with {timeouts(measure.cell)} takes"
    return f"{what} {'what cannot be told apart' if alike else f'{share} as long'}"
