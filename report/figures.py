"""Draws the analysis: one function a question, each giving the figure for a page and for a phone.

A chart is drawn twice, because a wide one shrunk to a phone's width cannot be read; the page
shows the one that fits. Contenders keep their colour and marker everywhere; the legend is the
page's, where one without data is named with the reason, so that no chart hides an absence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.codemetrics import SourceMetrics
from report.model import Analysis, Code, Elections, Load, Quantity, Replication
from report.svg import to_svg
from report.wording import figure

# Stand-ins, replaced by the page's CSS colours when a figure becomes SVG.
_INK, _MUTED, _GRID, _PAPER = "#010101", "#020202", "#030303", "#040404"
_CSS = {_INK: "var(--ink)", _MUTED: "var(--muted)", _GRID: "var(--grid)", _PAPER: "var(--paper)"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 13,
    "text.color": _INK,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": 13,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.major.size": 4,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "legend.frameon": False,
    "legend.fontsize": 13,
}

_PER_INCH = 72  # a unit of the SVG is a CSS pixel


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure for the page: the same data drawn wide and narrow, as inline SVG."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True, slots=True)
class _Medium:
    """What a chart is drawn for; widths and heights in CSS pixels."""

    name: str
    width: int
    columns: int
    panel_height: int


_WIDE = _Medium("wide", 1040, 2, 340)
_NARROW = _Medium("narrow", 350, 1, 260)

Panel = Callable[[Axes], None]


def throughput(replication: Replication, analysis: Analysis, name: str) -> Chart:
    """Commands per second by outstanding commands, both axes logarithmic."""

    def panel(axes: Axes) -> None:
        _loads(axes, replication, analysis, lambda load: load.throughput, 1.0)
        axes.set_title("Commands committed per second")

    return _chart(name, _throughput_in_words(replication, analysis), [panel])


def latency(replication: Replication, analysis: Analysis, name: str) -> Chart:
    """Latency by outstanding commands: its median and its 99th percentile."""

    def panel(title: str, of: Callable[[Load], Quantity]) -> Panel:
        def draw(axes: Axes) -> None:
            _loads(axes, replication, analysis, of, 1e3)
            axes.set_title(title)

        return draw

    panels = [
        panel("Median latency, µs", lambda load: load.p50),
        panel("99th percentile, µs", lambda load: load.p99),
    ]
    return _chart(name, _latency_in_words(replication, analysis), panels, same_scale=True)


def elections(cells: Sequence[Elections], analysis: Analysis, name: str) -> Chart:
    """The share of elections decided by each time after the crash, a panel a timeout range."""

    def panel(cell: Elections) -> Panel:
        def draw(axes: Axes) -> None:
            _decided(axes, cell, analysis)
            low, high = cell.timeout_ms
            axes.set_title(f"Timeouts of {low:g} to {high:g} ms")

        return draw

    words = "; ".join(_elections_in_words(cell, analysis) for cell in cells)
    return _chart(name, words, [panel(cell) for cell in cells])


def code(analysis: Analysis, name: str) -> Chart | None:
    """Lines and complexity of the runtimes' components; None if nothing could be counted."""
    runtimes = {
        contender: measured.runtime
        for contender, measured in analysis.code.items()
        if isinstance(measured, Code)
    }
    components = list(dict.fromkeys(c for runtime in runtimes.values() for c in runtime))
    if not components:
        return None

    def panel(title: str, of: Callable[[SourceMetrics], int]) -> Panel:
        def draw(axes: Axes) -> None:
            for place, (contender, runtime) in enumerate(runtimes.items(), 1):
                look = analysis.contenders[contender]
                present = [row for row, c in enumerate(components) if c in runtime]
                counts = [of(runtime[components[row]]) for row in present]
                heights = [row - 0.5 + place / (len(runtimes) + 1) for row in present]
                axes.hlines(heights, 0, counts, color=look.colour)
                axes.plot(counts, heights, look.marker, color=look.colour, label=look.label)
            axes.set_yticks(range(len(components)), components)
            axes.set_ylim(len(components) - 0.5, -0.5)
            axes.set_yticks([row - 0.5 for row in range(1, len(components))], minor=True)
            axes.grid(axis="y", visible=False)
            axes.grid(axis="y", which="minor", visible=True)
            axes.tick_params(axis="y", which="minor", length=0)
            axes.set_xlim(left=0)
            axes.set_title(title)

        return draw

    words = "Lines and cyclomatic complexity of each component: " + "; ".join(
        f"{analysis.contenders[contender].label} {sum(m.lines for m in runtime.values())} lines, "
        f"complexity {sum(m.complexity for m in runtime.values())}"
        for contender, runtime in runtimes.items()
    )
    panels = [
        panel("Lines of code", lambda metrics: metrics.lines),
        panel("Cyclomatic complexity", lambda metrics: metrics.complexity),
    ]
    return _chart(name, words, panels)


def _loads(
    axes: Axes,
    replication: Replication,
    analysis: Analysis,
    of: Callable[[Load], Quantity],
    divisor: float,
) -> None:
    for shift, (contender, loads) in zip(
        _shifts(len(replication.loads)), replication.loads.items(), strict=True
    ):
        look = analysis.contenders[contender]
        figures = [of(load) for load in loads]
        values = np.array([figure.value for figure in figures]) / divisor
        ends = [figure.interval or (figure.value, figure.value) for figure in figures]
        bars = np.abs(np.array(ends).T / divisor - values)
        axes.errorbar(
            [load.outstanding * shift for load in loads],
            values,
            yerr=bars,
            color=look.colour,
            marker=look.marker,
            label=look.label,
            capsize=3,
        )
    axes.set_xscale("log")
    axes.set_xlim(min(replication.outstanding) / 1.4, max(replication.outstanding) * 1.4)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(replication.outstanding)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _short(y)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("commands outstanding")


def _shifts(series: int) -> list[float]:
    """Factors that set series apart on a logarithmic axis, a few per cent around their place."""
    return [1.06 ** (place - (series - 1) / 2) for place in range(series)]


def _decided(axes: Axes, cell: Elections, analysis: Analysis) -> None:
    low, high = cell.timeout_ms
    axes.axvspan(low, high, color=_GRID, alpha=0.45, linewidth=0)
    latest = high
    for place, (contender, sample) in enumerate(cell.samples.items()):
        if not sample.times:
            continue
        look = analysis.contenders[contender]
        times = np.array(sample.times) / 1e6
        latest = max(latest, times[-1])
        every = max(1, len(times) // 5)
        shares = 100 * np.arange(1, len(times) + 1) / sample.held
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


def _short(number: float) -> str:
    """A tick's label: 300, 3k, 3M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def _throughput_in_words(replication: Replication, analysis: Analysis) -> str:
    return "Throughput by commands outstanding: " + "; ".join(
        f"{analysis.contenders[contender].label} "
        + ", ".join(
            f"{figure(load.throughput).value} commands/s at {load.outstanding}" for load in loads
        )
        for contender, loads in replication.loads.items()
    )


def _latency_in_words(replication: Replication, analysis: Analysis) -> str:
    return "Median latency by commands outstanding: " + "; ".join(
        f"{analysis.contenders[contender].label} "
        + ", ".join(f"{figure(load.p50, 1e3).value} µs at {load.outstanding}" for load in loads)
        for contender, loads in replication.loads.items()
    )


def _elections_in_words(cell: Elections, analysis: Analysis) -> str:
    medians = ", ".join(
        f"{analysis.contenders[contender].label} median {figure(sample.median, 1e6).value} ms"
        for contender, sample in cell.samples.items()
    )
    return f"Elections with {cell.condition}: {medians or 'none measured'}"


def _chart(
    name: str, description: str, panels: Sequence[Panel], *, same_scale: bool = False
) -> Chart:
    wide, narrow = (
        _draw(medium, f"{name}-{medium.name}", description, panels, same_scale=same_scale)
        for medium in (_WIDE, _NARROW)
    )
    return Chart(wide, narrow)


def _draw(
    medium: _Medium, name: str, description: str, panels: Sequence[Panel], *, same_scale: bool
) -> Markup:
    columns = min(medium.columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context(_STYLE):
        drawn = Figure(
            figsize=(medium.width / _PER_INCH, rows * medium.panel_height / _PER_INCH),
            layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
        )
        grid = drawn.subplots(rows, columns, squeeze=False, sharey=same_scale)
        every = list(grid.flat)
        for axes, panel in zip(every, panels, strict=False):
            panel(axes)
        for axes in every[len(panels) :]:
            axes.remove()
        return to_svg(drawn, name=name, description=description, colours=_CSS)
