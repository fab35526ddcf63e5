"""Failover: what clients see when the leader crashes under load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raftmark.bench.analysis.metrics import OUTAGE
from raftmark.bench.design.cells import TCP
from raftmark.bench.design.specification import Cell
from raftmark.bench.runs.results import FailoverResult
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart
from raftmark.report.drawing.series import in_words
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.takeaways import of_outages
from raftmark.report.findings.wording import outstanding, setting, timeouts
from raftmark.report.model import Comparison, Quantity, Section

_BIN_NS = 20_000_000
_AROUND_S = (-0.2, 1.0)  # of the crash


@dataclass(frozen=True, slots=True)
class Failover:
    """A cell's outages, by contender, with the parts of their medians. Times are in ns."""

    title: str
    setting: str
    outages: Mapping[str, Quantity]
    ratios: Mapping[str, Comparison]
    retries: Mapping[str, float]
    unserved: Mapping[str, int]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if a leader was crashed under load."""
    cells = analysis.evidence.cells_of("failover")
    found = [f for f in (_failover(analysis, cell) for cell in cells) if f.retries]
    if not found:
        return None
    drawn = chart(
        "failover",
        "Commands acknowledged around the leader's crash, in per cent of the rate before it. "
        "The table below has how long each contender's clients were without service.",
        analysis.contenders,
        {(None, None): [_panel(analysis, cell) for cell in cells]},
    )
    facts = {
        "cells": found,
        "chart": drawn,
        "takeaway": of_outages(analysis, [(each.title, each.outages) for each in found]),
    }
    return Section("failover", "Failover", facts, ("failover",))


def _failover(analysis: Analysis, cell: Cell) -> Failover:
    estimates = analysis.estimates
    results = {name: _results(analysis, cell, name) for name in analysis.shown}
    measured = {name: found for name, found in results.items() if found}
    outages = estimates.quantities(cell, OUTAGE)
    return Failover(
        title=timeouts(cell),
        setting=f"{setting(cell)}, {outstanding(cell.workload['outstanding'])}",
        outages={name: outages[name] for name in measured if name in outages},
        ratios={
            name: estimates.ratio(cell, OUTAGE, name, analysis.baseline)
            for name in measured
            if analysis.baseline is not None and name != analysis.baseline
        },
        retries={
            name: float(np.median([result.retries for result in found]))
            for name, found in measured.items()
        },
        unserved={
            name: sum(result.first_ns is None for result in found)
            for name, found in measured.items()
        },
    )


def _results(analysis: Analysis, cell: Cell, name: str) -> list[FailoverResult]:
    return [
        trial.result
        for trial in analysis.evidence.of(cell, name)
        if isinstance(trial.result, FailoverResult)
    ]


def _panel(analysis: Analysis, cell: Cell) -> Panel:
    return Panel(
        f"Timeouts of {timeouts(cell).removesuffix(' timeouts')}, {cell.cluster['nodes']} nodes"
        + ", deployed" * (cell.transport == TCP),
        Axis("seconds after the crash", origin=False),
        Axis(suffix=" %"),
        list(_series(analysis, cell)),
    )


def _series(analysis: Analysis, cell: Cell) -> Iterator[Series]:
    """Yield each contender's median rate over its trials, in bins around the crash.

    It is a share of the rate before: an outage looks alike at whatever speed, and on one axis the
    fastest contender would leave the others no height to see it in.
    """
    edges = np.arange(round(_AROUND_S[0] * 1e9), round(_AROUND_S[1] * 1e9) + 1, _BIN_NS)
    for name in analysis.shown:
        rates = [_rates(result, edges) for result in _results(analysis, cell, name)]
        if not rates:
            continue
        rate = np.median(rates, axis=0)
        before = float(np.median(rate[edges[:-1] < 0]))
        if not before:
            continue
        xs = np.repeat(edges, 2)[1:-1] / 1e9
        path = xs.tolist(), np.repeat(100 * rate / before, 2).tolist()
        yield Series(name, _outage(analysis, cell, name), path)


def _outage(analysis: Analysis, cell: Cell, name: str) -> list[Point]:
    quantity = analysis.estimates.quantities(cell, OUTAGE).get(name)
    if quantity is None:
        return []
    label, time = analysis.contenders[name].label, in_words(quantity, "ms", 1e6)
    tip = f"{label}, {timeouts(cell)}: {time} without service"
    return [Point(quantity.value / 1e9, 0, tip)]


def _rates(result: FailoverResult, edges: NDArray[Any]) -> NDArray[Any]:
    """Return commands per second between the edges, which are in ns after the crash."""
    ends = np.array([0, *(end for end, _ in result.slices)], dtype=float)
    counts = np.cumsum([0, *(count for _, count in result.slices)])
    at = np.interp(edges + (result.crash_ns - result.started_ns), ends, counts)
    rates: NDArray[Any] = np.diff(at) / (_BIN_NS / 1e9)
    return rates
