"""Elections: the Raft paper's Figure 16, for each contender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from bench.metrics import ELECTION_MEDIAN, VOTING_MEDIAN
from bench.results import Election, ElectionResult
from report.charts import GRID, Chart, Panel, chart
from report.evidence import Evidence, Measured
from report.model import Analysis, Quantity, Section
from report.wording import figure, setting, timeouts


@dataclass(frozen=True, slots=True)
class ElectionSample:
    """A contender's elections in one cell, those of all trials together. Times are in ns.

    `times` are from the crash to the new leader, in order. `median` and `voting` (from the first
    candidacy to the new leader) are medians over blocks of each trial's median.
    """

    times: tuple[float, ...]
    several_terms: int
    median: Quantity
    voting: Quantity


@dataclass(frozen=True, slots=True)
class Elections:
    """The election workload in one cell."""

    condition: str
    timeout_ms: tuple[float, float]
    samples: Mapping[str, ElectionSample]


def section(analysis: Analysis) -> Section | None:
    """Return the section, if any election was held."""
    cells = list(elections(analysis.evidence))
    elected = {name for cell in cells for name in cell.samples}
    if not elected:
        return None
    return Section(
        "elections",
        "Elections",
        {"cells": cells, "elected": elected, "chart": _chart(cells, analysis, "elections")},
    )


def elections(evidence: Evidence) -> Iterator[Elections]:
    """Gather the elections of each cell."""
    for cell in evidence.cells_of("election"):
        medians = evidence.quantities(cell, ELECTION_MEDIAN)
        voting = evidence.quantities(cell, VOTING_MEDIAN)
        samples = {}
        for name in medians.keys() & voting.keys():
            held = [e for trial in evidence.of(cell, name) for e in _held(trial)]
            samples[name] = ElectionSample(
                times=tuple(sorted(e.leader_ns - e.crash_ns for e in held if e.leader_ns)),
                several_terms=sum(e.leader_term - e.term > 1 for e in held if e.leader_term),
                median=medians[name],
                voting=voting[name],
            )
        low, high = cell.cluster["election_timeout_ms"]
        yield Elections(
            condition=f"{timeouts(cell)}, {setting(cell)}",
            timeout_ms=(low, high),
            samples={name: samples[name] for name in evidence.names if name in samples},
        )


def _held(trial: Measured) -> list[Election]:
    assert isinstance(trial.result, ElectionResult)
    return trial.result.elections


def _chart(cells: Sequence[Elections], analysis: Analysis, name: str) -> Chart:
    """The share of elections decided by each time after the crash, a panel a timeout range."""

    def panel(cell: Elections) -> Panel:
        def draw(axes: Axes) -> None:
            _decided(axes, cell, analysis)
            low, high = cell.timeout_ms
            axes.set_title(f"Timeouts of {low:g} to {high:g} ms")

        return draw

    words = "; ".join(_elections_in_words(cell, analysis) for cell in cells)
    return chart(name, words, [panel(cell) for cell in cells])


def _decided(axes: Axes, cell: Elections, analysis: Analysis) -> None:
    low, high = cell.timeout_ms
    axes.axvspan(low, high, color=GRID, alpha=0.45, linewidth=0)
    latest = high
    for place, (contender, sample) in enumerate(cell.samples.items()):
        if not sample.times:
            continue
        look = analysis.contenders[contender]
        times = np.array(sample.times) / 1e6
        latest = max(latest, times[-1])
        every = max(1, len(times) // 5)
        shares = 100 * np.arange(1, len(times) + 1) / len(times)
        axes.step(
            [times[0], *times],
            [0, *shares],
            where="post",
            color=look.colour,
            marker=look.marker,
            # Each line's markers at its own heights, so that none hides another.
            markevery=(1 + place * every // len(cell.samples), every),
            label=look.label,
        )
    axes.set_xlim(0, latest * 1.05)
    axes.set_ylim(0, 103)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.0f} %"))
    axes.set_xlabel("ms from the crash to a new leader")


def _elections_in_words(cell: Elections, analysis: Analysis) -> str:
    medians = ", ".join(
        f"{analysis.contenders[contender].label} median {figure(sample.median, 1e6).value} ms"
        for contender, sample in cell.samples.items()
    )
    return f"Elections with {cell.condition}: {medians or 'none measured'}"
