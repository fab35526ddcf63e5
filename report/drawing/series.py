"""From estimates to what a chart shows of them: the same words for a figure in every chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftmark.bench.analysis.metrics import Metric
from raftmark.bench.design.specification import Cell
from raftmark.report.drawing.charts import Point, Series
from raftmark.report.findings.analysis import Analysis
from raftmark.report.findings.wording import figure, ratio
from raftmark.report.model import Interval, Quantity


def over_cells(
    analysis: Analysis,
    cells: Sequence[Cell],
    metric: Metric,
    *,
    x: Callable[[Cell], float],
    said: Callable[[Cell], str],
    unit: tuple[str, float],
    relative: bool = False,
) -> list[Series]:
    """Return each contender's line of a metric over some cells, of which `x` gives the place.

    `said` names a cell, `unit` is the symbol and size of the unit. `relative` gives the ratios to
    the baseline instead.
    """
    found = []
    for name, contender in analysis.shown.items():
        points = []
        for cell in sorted(cells, key=x):
            where = f"{contender.label}, {said(cell)}: "
            if relative:
                point = _ratio(analysis, cell, metric, name, x(cell), where)
            else:
                point = _figure(analysis, cell, metric, name, x(cell), where, unit)
            if point is not None:
                points.append(point)
        if points:
            found.append(Series(name, points, unjoined(len(cells))))
    return found


FEWEST_JOINED = 5
"""Fewer loads are not joined by a line: nobody has measured what lies between two."""


def unjoined(loads: int) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return the path of a series over so many loads: none, if they are too few for a line."""
    return ((), ()) if loads < FEWEST_JOINED else None


def scaled(quantity: Quantity, size: float) -> tuple[float, Interval | None]:
    """Return a quantity's value and interval in a unit of that size."""
    interval = quantity.interval
    return quantity.value / size, interval and (interval[0] / size, interval[1] / size)


def _figure(
    analysis: Analysis,
    cell: Cell,
    metric: Metric,
    name: str,
    x: float,
    where: str,
    unit: tuple[str, float],
) -> Point | None:
    quantity = analysis.estimates.quantities(cell, metric).get(name)
    if quantity is None:
        return None
    symbol, size = unit
    value, interval = scaled(quantity, size)
    tip = f"{where}{in_words(quantity, symbol, size)}"
    return Point(x, value, tip, y_interval=interval)


def in_words(quantity: Quantity, symbol: str, size: float = 1.0) -> str:
    """Spell a quantity with its unit and its interval."""
    spelled = figure(quantity, size)
    interval = f" ({spelled.interval})" if spelled.interval else ""
    return f"{spelled.value} {symbol}".strip() + interval


def _ratio(
    analysis: Analysis, cell: Cell, metric: Metric, name: str, x: float, where: str
) -> Point | None:
    if analysis.baseline is None:
        return None
    if name == analysis.baseline:
        here = analysis.estimates.quantities(cell, metric)
        return Point(x, 1.0, f"{where}the reference") if name in here else None
    compared = analysis.estimates.ratio(cell, metric, name, analysis.baseline)
    if compared.ratio is None:
        return None
    spelled = ratio(compared.ratio)
    label = analysis.contenders[analysis.baseline].label
    interval = f" ({spelled.interval})" if spelled.interval else ""
    tip = f"{where}{spelled.value}{interval} times {label}"
    return Point(x, compared.ratio.value, tip, y_interval=compared.ratio.interval)
