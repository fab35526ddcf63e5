"""Charts for paper: the panels of a chart of the page, in the colours and sizes of print."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raftmark.bench.files import replace_file
from raftmark.report.drawing.charts import GRID, INK, MUTED, PAPER, Chart, paint
from raftmark.report.drawing.latex import escape
from raftmark.report.model import Contender

WIDTH_IN = 6.3
"""The width of a figure: that of the text on A4 paper."""

HEIGHT_IN = 8.6
"""The greatest height of a figure: that of the text, less a caption."""

_COLUMNS = 2
_PANEL_IN, _ROW_IN, _LEGEND_IN = 2.3, 0.55, 0.35
_COLOURS = {INK: "#000000", MUTED: "#444444", GRID: "#dddddd", PAPER: "#ffffff"}
_STYLE: dict[Any, Any] = {
    "font.family": "serif",
    # A label says what it says; for LaTeX, it is escaped already.
    "text.parse_math": False,
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "pgf.texsystem": "pdflatex",
    "pgf.rcfonts": False,
}


def draw(chart: Chart, contenders: Mapping[str, Contender]) -> Figure:
    """Draw a chart's panels for paper, two to a row, with a legend on top."""
    columns = min(_COLUMNS, len(chart.panels))
    lines = math.ceil(len(chart.panels) / columns)
    rows = max((len(panel.rows) for panel in chart.panels), default=0)
    each = max(_PANEL_IN, _ROW_IN * rows)
    height = min(lines * each + _LEGEND_IN, HEIGHT_IN)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number < len(chart.panels):
            paint(chart.panels[number], contenders, chart.extent, axes, 72 * WIDTH_IN / columns)
        else:
            axes.set_axis_off()
    shown = [contender for name, contender in contenders.items() if name in chart.shown]
    figure.legend(
        handles=[
            *(_key(contender) for contender in shown),
            *([_PUBLISHED] if any(panel.marks for panel in chart.panels) else []),
        ],
        loc="outside upper left",
        ncols=4,
    )
    for artist in figure.findobj():
        _recolour(artist)
    return figure


def write(chart: Chart, contenders: Mapping[str, Contender], stem: Path) -> list[Path]:
    """Write a chart as `stem`.pdf, and as `stem`.pgf where there is a LaTeX to measure text with.

    Returns the files that were written.
    """
    written = [stem.with_suffix(".pdf")]
    with mpl.rc_context(_STYLE):
        # A date would make the same run's figures differ from day to day.
        page = io.BytesIO()
        draw(chart, contenders).savefig(page, format="pdf", metadata={"CreationDate": None})
        replace_file(written[0], page.getvalue())
        if shutil.which("pdflatex"):
            written.append(stem.with_suffix(".pgf"))
            source = io.StringIO()
            _in_latex(chart, contenders).savefig(source, format="pgf")
            replace_file(written[1], source.getvalue())
    return written


def picture(chart: Chart, contenders: Mapping[str, Contender]) -> bytes:
    """Return a chart as a PNG, for a document that is no page of ours."""
    with mpl.rc_context(_STYLE):
        page = io.BytesIO()
        draw(chart, contenders).savefig(page, format="png", dpi=150, metadata={"Software": None})
        return page.getvalue()


_PUBLISHED = Line2D(
    [], [], linestyle="none", marker="x", color="#000000", label="published in the Raft paper"
)


def _in_latex(chart: Chart, contenders: Mapping[str, Contender]) -> Figure:
    """Draw a chart whose text is read by LaTeX."""
    panels = tuple(
        replace(
            panel,
            title=escape(panel.title),
            x=replace(panel.x, label=escape(panel.x.label), suffix=escape(panel.x.suffix)),
            y=replace(panel.y, label=escape(panel.y.label), suffix=escape(panel.y.suffix)),
            rows=[escape(row) for row in panel.rows],
            columns=[escape(column) for column in panel.columns],
        )
        for panel in chart.panels
    )
    labelled = {name: replace(one, label=escape(one.label)) for name, one in contenders.items()}
    return draw(replace(chart, panels=panels), labelled)


def _key(contender: Contender) -> Line2D:
    return Line2D(
        [],
        [],
        color=contender.colour,
        linestyle=cast(Any, contender.line),
        marker=contender.marker,
        markerfacecolor=contender.colour if contender.filled else PAPER,
        label=contender.label,
    )


def _recolour(artist: Artist) -> None:
    """Replace the stand-ins for the page's colours by those of paper."""
    for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
        get = getattr(artist, f"get_{part}", None)
        if get is None:
            continue
        colour = get()
        if isinstance(colour, str) or (isinstance(colour, tuple) and len(colour) in {3, 4}):
            name = colour if isinstance(colour, str) else to_hex(colour)
            if name in _COLOURS:
                getattr(artist, f"set_{part}")(_COLOURS[name])
