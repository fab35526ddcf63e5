"""Draws charts: each gives the figure for a page and for a phone.

A chart is drawn twice, because a wide one shrunk to a phone's width cannot be read; the page
shows the one that fits. Contenders keep their colour and marker everywhere; the legend is the
page's, where one without data is named with the reason, so that no chart hides an absence. What
a chart shows is drawn by the module of its section.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from report.svg import to_svg

# Stand-ins, replaced by the page's CSS colours when a figure becomes SVG.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
_CSS = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 13,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 13,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
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


def chart(
    name: str, description: str, panels: Sequence[Panel], *, same_scale: bool = False
) -> Chart:
    """Draw some panels as one chart; `name` must be unique in the page."""
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


def shifts(series: int) -> list[float]:
    """Factors that set series apart on a logarithmic axis, a few per cent around their place."""
    return [1.06 ** (place - (series - 1) / 2) for place in range(series)]


def short(number: float) -> str:
    """A tick's label: 300, 3k, 3M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
