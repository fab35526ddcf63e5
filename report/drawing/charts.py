"""Draws charts of what they show: panels of series, each of one contender.

A chart is drawn wide and narrow, because a wide one shrunk to a phone's width cannot be read, and
once for each view that the page can switch to; the style shows the one that fits. Contenders keep
their colour, marker and line everywhere, and have their name beside it. The legend is the page's,
where one without data is named with the reason, so that no chart hides an absence. Every marker
carries its exact figures as text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis as DrawnAxis
from matplotlib.axis import XAxis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import NDArray

from raftmark.bench.analysis.tables import to_csv
from raftmark.bench.contenders.registry import NOT_SYNCED
from raftmark.report.drawing.labels import Box, Named, places
from raftmark.report.drawing.layout import BRIEF, FOOT, LETTER, MEDIA, TITLE, Frame, Medium, frame
from raftmark.report.drawing.svg import Tips, to_svg
from raftmark.report.model import Contender, Interval

# Stand-ins, replaced by the page's CSS colours when a figure becomes SVG.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
_CSS = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    # A label says what it says, dollars too.
    "text.parse_math": False,
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
}

_PER_INCH = 72  # a unit of the SVG is a CSS pixel
_LINE = 17.0  # the height of a title's further line
_LONGEST = 15  # letters of a contender's name beside its line

Scale = Literal["log", "linear"]
View = Literal["absolute", "relative"]


@dataclass(frozen=True, slots=True)
class Point:
    """A marker: where it is, the ends of its intervals, and its figures as text.

    `label` is a word or two to stand beside it; `shade`, from 0 to 1, how dark its tile is.
    """

    x: float
    y: float
    tip: str
    y_interval: Interval | None = None
    x_interval: Interval | None = None
    label: str = ""
    shade: float = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """What a panel shows of one contender.

    A line goes through `path`, or through the points if that is None; there is none if it is empty.
    """

    contender: str
    points: Sequence[Point]
    path: tuple[Sequence[float], Sequence[float]] | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: what it says, whether it is logarithmic, and its ticks if they are given.

    `origin`: a linear axis begins at 0. `suffix` follows each tick's label.
    """

    label: str = ""
    log: bool = False
    ticks: Sequence[float] | None = None
    suffix: str = ""
    origin: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes.

    `rows` makes the vertical axis a list of names, from the top, at 0, 1, 2, …; `marks` are points
    of nobody in the run, such as another publication's; `band` is a range of x to shade, `level` a
    value of y, or of x where there are rows, to draw a line at. `bars`: each row is a bar from 0,
    with its label at the end, and the axis needs no ticks. With `columns`, names from the left at
    0, 1, 2, …, a point is a tile of a row and a column.
    """

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    rows: Sequence[str] = ()
    marks: Sequence[Point] = ()
    band: Interval | None = None
    level: float | None = None
    bars: bool = False
    columns: Sequence[str] = ()


class Drawing(NamedTuple):
    """One view of a chart, as inline SVG; `scale` and `view` are None where there is no choice.

    One that is higher than a page is several of them, one below the other.
    """

    scale: Scale | None
    view: View | None
    wide: Markup
    narrow: Markup


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure for the page: all its views, whom it shows, and the panels of its first view.

    The views are drawn when they are asked for, which takes long; the appendix draws the panels.
    `description` is what a screen reader says; `extent` is the vertical one that the panels share,
    if they share it.
    """

    name: str
    draw: Callable[[], Iterator[Drawing]]
    description: str
    panels: tuple[Panel, ...]
    extent: Interval | None = None
    shown: frozenset[str] = field(default=frozenset())

    def csv(self) -> str:
        """Return the figures of the first view as a data URI: a row for each marker."""
        rows = [
            (
                *(panel.title, one.contender),
                panel.rows[round(p.y)] if panel.rows else p.y,
                panel.columns[round(p.x)] if panel.columns else p.x,
                *(p.x_interval or ("", "")),
                *(p.y_interval or ("", "")),
                p.tip,
            )
            for panel in self.panels
            for one in panel.series
            for p in one.points
        ]
        header = ("panel", "contender", "y", "x", "x_low", "x_high", "y_low", "y_high", "figures")
        encoded = base64.b64encode(to_csv(header, rows).encode()).decode()
        return f"data:text/csv;base64,{encoded}"


def chart(
    name: str,
    description: str,
    contenders: Mapping[str, Contender],
    views: Mapping[tuple[Scale | None, View | None], Sequence[Panel]],
    *,
    same_y: bool = False,
    row_height: int = 0,
    foot: float = FOOT,
    abreast: bool = False,
) -> Chart:
    """Return a chart of some views; `name` must be unique in the page.

    `description` is what a screen reader says. `same_y` lets all panels share their vertical
    extent; `row_height`, in CSS pixels, sets the height of panels with rows, and `foot` what is
    below them. With `abreast` all panels have the same rows, which the first in a line names.
    """

    def drawn(medium: Medium, tag: str, panels: Sequence[Panel], extent: Interval | None) -> Markup:
        laid = _frame(medium, panels, contenders, row_height, foot, abreast)
        painters = [
            partial(
                paint,
                replace(panel, rows=[""] * len(panel.rows))
                if abreast and number % laid.columns
                else panel,
                contenders,
                extent,
                room=_room([panel], contenders),
            )
            for number, panel in enumerate(panels)
        ]
        sheets = list(laid.sheets(medium.sheet))
        drawings = []
        for number, (first, sheet) in enumerate(sheets, 1):
            own = slice(first, first + len(sheet.corners))
            name, said = f"{tag}-{medium.name}", description
            if len(sheets) > 1:
                name, said = f"{name}-{number}", f"{said} Part {number} of {len(sheets)}."
            drawings.append(_draw(name, said, sheet, painters[own], _tips(panels[own])))
        return Markup("").join(drawings)

    def draw() -> Iterator[Drawing]:
        for (scale, view), panels in views.items():
            tag = "-".join(part for part in (name, scale, view) if part)
            extent = _extent(_values(panels)) if same_y else None
            wide, narrow = (drawn(medium, tag, panels, extent) for medium in MEDIA)
            yield Drawing(scale, view, wide, narrow)

    shown = {s.contender for panels in views.values() for panel in panels for s in panel.series}
    first = tuple(next(iter(views.values())))
    shared = _extent(_values(first)) if same_y else None
    return Chart(name, draw, description, first, shared, frozenset(shown))


def scales(make: Callable[[bool], Sequence[Panel]]) -> dict[tuple[Scale | None, View | None], Any]:
    """Return the views of a chart that can be logarithmic; `make` is given whether it is."""
    return {("log", None): make(True), ("linear", None): make(False)}


def shifted(series: Sequence[Series]) -> list[Series]:
    """Set series apart on a logarithmic axis by a little, so that their bars can be seen."""
    xs = [point.x for one in series for point in one.points]
    step = (max(xs) / min(xs)) ** 0.008 if xs else 1.0
    return [
        replace(
            one,
            points=[replace(p, x=p.x * step ** (i - (len(series) - 1) / 2)) for p in one.points],
        )
        for i, one in enumerate(series)
    ]


def short(number: float) -> str:
    """Spell a tick's label: 300, 3k, 3M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size and float(f"{number:.3g}") == number:
            return f"{number / size:g}{letter}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:g}"


def sketch(name: str, description: str, painters: Sequence[Callable[[Axes], None]]) -> Drawing:
    """Draw what the painters paint, one set of axes each, for what `Panel` has no words for."""
    wide, narrow = (
        _draw(
            f"{name}-{medium.name}",
            description,
            frame(medium, len(painters), inner=medium.inner, left=_TICKS),
            [partial(_ignoring_width, paint) for paint in painters],
        )
        for medium in MEDIA
    )
    return Drawing(None, None, wide, narrow)


def _ignoring_width(paint: Callable[[Axes], None], axes: Axes, _: float) -> None:
    paint(axes)


_TICKS = 52.0  # what the labels of a vertical axis need


def _frame(
    medium: Medium,
    panels: Sequence[Panel],
    contenders: Mapping[str, Contender],
    row_height: int,
    foot: float,
    abreast: bool,
) -> Frame:
    """Lay panels out, with room for the names of their rows or series."""
    named = max((len(row) for panel in panels for row in panel.rows), default=0)
    rows = max((len(panel.rows) for panel in panels), default=0)
    lines = max(panel.title.count("\n") for panel in panels)
    return frame(
        medium,
        len(panels),
        inner=row_height * rows or medium.inner,
        left=max(_TICKS, 14 + LETTER * named),
        right=_room(panels, contenders),
        title=(BRIEF if abreast else TITLE) + _LINE * lines,
        foot=foot,
        abreast=abreast,
    )


def _room(panels: Sequence[Panel], contenders: Mapping[str, Contender]) -> float:
    """Return how much room the names of the series need right of the panels: none for rows."""
    names = {s.contender for panel in panels if not panel.rows for s in panel.series}
    return LETTER * max((len(_brief(contenders[name])) for name in names), default=0)


def _brief(contender: Contender) -> str:
    """Shorten a long name, but never the word that it does not sync."""
    label, mark, _ = contender.brief.partition(f", {NOT_SYNCED}")
    return (label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…") + mark


def _draw(
    name: str,
    description: str,
    laid: Frame,
    painters: Sequence[Callable[[Axes, float], None]],
    tips: Tips = (),
) -> Markup:
    with mpl.rc_context(_STYLE):
        size = laid.width / _PER_INCH, laid.height / _PER_INCH
        figure = Figure(figsize=size, dpi=_PER_INCH)
        for (left, top), paint in zip(laid.corners, painters, strict=True):
            axes = figure.add_axes(
                (
                    left / laid.width,
                    1 - (top + laid.panel_height) / laid.height,
                    laid.panel_width / laid.width,
                    laid.panel_height / laid.height,
                )
            )
            paint(axes, laid.panel_width)
            # Nothing is in its way, so matplotlib need not look for a place.
            axes.set_title(axes.get_title("left"), y=1.0)
        return to_svg(figure, name=name, description=description, colours=_CSS, tips=tips)


def paint(
    panel: Panel,
    contenders: Mapping[str, Contender],
    extent: Interval | None,
    axes: Axes,
    width: float,
    *,
    room: float | None = None,
) -> None:
    """Paint a panel on axes of so many pixels' width; `extent` is its vertical one, if given.

    With so much `room` right of the axes, which must have their place, the series are named there.
    """
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x.label)
    if panel.band:
        axes.axvspan(*panel.band, color=GRID, alpha=0.45, linewidth=0)
    for series in panel.series:
        _series(axes, series, contenders[series.contender])
    if panel.marks:
        axes.plot(
            [p.x for p in panel.marks],
            [p.y for p in panel.marks],
            linestyle="none",
            marker="x",
            markersize=9,
            markeredgewidth=2.5,
            color=INK,
            zorder=5,
            gid="tips:",
        )
    everything = [*panel.marks, *(p for s in panel.series for p in s.points)]
    xs = [x for p in everything for x in (p.x, *(p.x_interval or ()))]
    xs += [x for s in panel.series if s.path for x in s.path[0]]
    xs += [*(panel.band or ())] + ([panel.level] if panel.rows and panel.level is not None else [])
    _scale(axes.xaxis, panel.x, _extent(xs), width / 55)
    if panel.bars:
        _bar_rows(axes, panel, contenders, width)
    if panel.columns:
        _tiles(axes, panel)
    if panel.rows:
        axes.set_yticks(range(len(panel.rows)), list(panel.rows))
        axes.set_ylim(len(panel.rows) - 0.5, -0.5)
        axes.set_yticks([row - 0.5 for row in range(1, len(panel.rows))], minor=True)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="y", which="minor", visible=True)
        axes.tick_params(axis="y", which="minor", length=0)
        if panel.level is not None:
            axes.axvline(panel.level, color=MUTED, linewidth=1.2)
    else:
        ys = [*_values([panel]), *([panel.level] if panel.level is not None else [])]
        _scale(axes.yaxis, panel.y, extent or _extent(ys), 7)
        if panel.level is not None:
            axes.axhline(panel.level, color=MUTED, linewidth=1.2)
        if room is not None:
            _name_series(axes, panel, contenders, room)


def _name_series(
    axes: Axes, panel: Panel, contenders: Mapping[str, Contender], room: float
) -> None:
    """Write each series' name beside it."""
    series = [one for one in panel.series if one.points]
    if not series:
        return
    frame = axes.get_window_extent()
    bounds = Box(frame.x0 + 2, frame.y0 + 2, frame.x1 + room + 12, frame.y1 + 8)
    named = [
        Named(
            LETTER * len(_brief(contenders[one.contender])),
            _pixels(axes, one.points)[::-1],
            _drawn(axes, one),
        )
        for one in series
    ]
    marks = _pixels(axes, panel.marks)
    for one, place in zip(series, places(named, bounds, marks), strict=True):
        look = contenders[one.contender]
        if place.point is not None:
            end = place.x - 2 if place.x > place.point[0] else place.point[0]
            axes.annotate(
                "",
                place.point,
                (end, place.y),
                xycoords="figure pixels",
                arrowprops={
                    "arrowstyle": "-",
                    "color": look.colour,
                    "linewidth": 0.8,
                    "gid": f"series:{look.name}",
                },
                annotation_clip=False,
            )
        axes.annotate(
            _brief(look),
            (place.x, place.y),
            xycoords="figure pixels",
            va="center_baseline",
            fontsize=12,
            color=INK,
            gid=f"label:{look.name}",
            annotation_clip=False,
        )


def _pixels(axes: Axes, points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return where points are on the drawing, in pixels from its bottom left."""
    if not points:
        return []
    return [(x, y) for x, y in axes.transData.transform([(p.x, p.y) for p in points])]


def _drawn(axes: Axes, series: Series) -> NDArray[Any]:
    """Return points of all that is drawn of a series, close to each other, in pixels."""
    lines = []
    for one, other in _strokes(series):
        ends = axes.transData.transform([one, other])
        steps = max(2, int(np.abs(ends[1] - ends[0]).max() / 3))
        lines.append(np.linspace(ends[0], ends[1], steps))
    return np.concatenate(lines) if lines else np.empty((0, 2))


def _strokes(series: Series) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Yield the straight lines that a series is drawn with."""
    xs, ys = series.path or ([p.x for p in series.points], [p.y for p in series.points])
    yield from pairwise(zip(xs, ys, strict=True))
    bars = [*_bars(series.points)]
    yield from zip(bars[::3], bars[1::3], strict=True)


def _bar_rows(axes: Axes, panel: Panel, contenders: Mapping[str, Contender], width: float) -> None:
    """Draw each point as a bar from 0, and leave as much room as the longest label needs."""
    ends = [_end(p) for s in panel.series for p in s.points]
    letters = max((len(p.label) for s in panel.series for p in s.points), default=0)
    room = min(0.6, (LETTER * letters + 14) / width)
    axes.set_xlim(0, max(ends, default=1.0) / (1 - room))
    axes.xaxis.set_major_locator(NullLocator())
    for series in panel.series:
        look = contenders[series.contender]
        for p in series.points:
            axes.barh(p.y, p.x, 0.62, color=look.colour, alpha=0.35, gid=f"series:{look.name}")
            axes.annotate(
                p.label,
                (_end(p), p.y),
                (9, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                gid=f"series:{look.name}",
                annotation_clip=False,
            )


def _tiles(axes: Axes, panel: Panel) -> None:
    """Draw a tile behind each point, with the point's label beside its marker."""
    axes.set_xticks(range(len(panel.columns)), list(panel.columns))
    axes.set_xlim(-0.5, len(panel.columns) - 0.5)
    axes.grid(axis="x", visible=False)
    for series in panel.series:
        for p in series.points:
            corner = round(p.x) - 0.5, round(p.y) - 0.5
            axes.add_patch(
                Rectangle(corner, 1, 1, facecolor=INK, alpha=_DARKEST * p.shade, linewidth=0)
            )
            axes.annotate(
                p.label,
                (p.x, p.y),
                (8, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                gid=f"series:{series.contender}",
                annotation_clip=False,
            )


_DARKEST = 0.32
"""How much of the ink the darkest tile has: what is written on it can still be read."""


def _end(point: Point) -> float:
    return point.x if point.x_interval is None else max(point.x, point.x_interval[1])


def _series(axes: Axes, series: Series, look: Contender) -> None:
    gid = f"series:{look.name}"
    path = series.path
    if path is None:
        path = [p.x for p in series.points], [p.y for p in series.points]
    if len(path[0]) > 1:
        axes.plot(*path, color=look.colour, linestyle=look.line, gid=gid)
    bars = [*_bars(series.points)]
    if bars:
        xs, ys = zip(*bars, strict=True)
        axes.plot(xs, ys, color=look.colour, linewidth=1.4, gid=gid)
    if series.points:
        axes.plot(
            [p.x for p in series.points],
            [p.y for p in series.points],
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markerfacecolor=look.colour if look.filled else PAPER,
            markeredgewidth=1.6,
            clip_on=False,
            gid=f"tips:{look.name}",
        )


def _bars(points: Sequence[Point]) -> Iterator[tuple[float, float]]:
    """Yield the intervals as one broken line, which is one path."""
    nowhere = (math.nan, math.nan)
    for point in points:
        if point.y_interval:
            yield from ((point.x, point.y_interval[0]), (point.x, point.y_interval[1]), nowhere)
        if point.x_interval:
            yield from ((point.x_interval[0], point.y), (point.x_interval[1], point.y), nowhere)


def _values(panels: Sequence[Panel]) -> list[float]:
    """Return every y that has to be seen."""
    points = [
        p for panel in panels for p in (*panel.marks, *(q for s in panel.series for q in s.points))
    ]
    ys = [y for p in points for y in (p.y, *(p.y_interval or ()))]
    return ys + [y for panel in panels for s in panel.series if s.path for y in s.path[1]]


def _extent(values: Sequence[float]) -> Interval:
    return (min(values), max(values)) if values else (1.0, 10.0)


def _scale(axis: DrawnAxis, wanted: Axis, extent: Interval, labels: float) -> None:
    """Set an axis's scale, its limits, and about as many ticks as it has room to label."""
    low, high = extent
    horizontal = isinstance(axis, XAxis)
    limit = axis.axes.set_xlim if horizontal else axis.axes.set_ylim
    if wanted.log:
        (axis.axes.set_xscale if horizontal else axis.axes.set_yscale)("log")
        margin = max(1.12, (high / low) ** 0.04)
        limit(low / margin, high * margin)
        axis.set_minor_formatter(NullFormatter())
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(log_ticks(low / margin, high * margin, labels))
    else:
        margin = 0.05 * (high - low or abs(high) or 1)
        limit(0 if wanted.origin and low >= 0 else low - margin, high + margin)
        axis.set_major_locator(
            MaxNLocator(max(2, min(6, int(labels) - 1)), steps=[1, 2, 2.5, 5, 10])
        )
    if wanted.ticks is not None:
        axis.set_major_locator(FixedLocator(list(wanted.ticks)))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: short(float(f"{value:.6g}")) + wanted.suffix)
    )
    if horizontal and wanted.ticks is not None:
        axis.grid(visible=False)


_DIVISIONS = (
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1, 3),
    (1,),
)


def log_ticks(low: float, high: float, labels: float) -> FixedLocator | LogLocator:
    """Choose the finest of the usual divisions of a decade that has room for its labels."""
    for digits in _DIVISIONS:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [d * 10.0**power for power in powers for d in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= labels:
            return FixedLocator(inside)
    return LogLocator(numticks=max(2, int(labels)))


def _tips(panels: Sequence[Panel]) -> list[tuple[str, list[str]]]:
    """List the texts of all markers in the order in which they are drawn, with whose they are."""
    return [
        group
        for panel in panels
        for group in (
            *((s.contender, [p.tip for p in s.points]) for s in panel.series if s.points),
            *([("", [p.tip for p in panel.marks])] if panel.marks else []),
        )
    ]


def steps(values: Sequence[float], of: int, most: int = 240) -> tuple[list[float], list[float]]:
    """Return the path of an empirical distribution: the share, in per cent, reached by each value.

    `values` are in order, `of` is how many there would be were none missing. Only as many
    vertices are kept as can be told apart.
    """
    ranks = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    xs, ys, share = [], [], 0.0
    for rank in ranks.tolist():
        xs += [values[rank], values[rank]]
        ys += [share, share := 100 * (rank + 1) / of]
    return xs, ys
