"""Puts what a study of growth found into docs/growth.md: `python docs/growth.py DIRECTORY`.

DIRECTORY is one of `python -m raftmark.bench.studies.growth`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from raftmark.bench.contenders.registry import load_contenders
from raftmark.bench.runs.store import Run
from raftmark.bench.studies.costs import DIMENSIONS, Dimension, costs_of
from raftmark.bench.studies.growth import Curve, curves, table
from raftmark.report.drawing.charts import Axis, Panel, Point, Series, chart
from raftmark.report.drawing.printed import picture
from raftmark.report.findings.analysis import analyse

_DOCS = Path(__file__).resolve().parent
_PAGE, _PICTURE = _DOCS / "growth.md", _DOCS / "growth.png"
_BEGIN, _END = "<!-- made by docs/growth.py -->\n", "<!-- end of what is made -->\n"


def main() -> None:
    """Draw the picture, and write the table beneath it."""
    put(Run.open(Path(sys.argv[1])), _PAGE, _PICTURE)


def put(run: Run, page: Path, drawing: Path) -> None:
    """Draw a run's costs, and write their exponents where the page has room for them."""
    contenders = analyse(run, load_contenders(), {}).contenders
    found = list(curves(costs_of(run), list(contenders)))
    panels = [
        _panel(each, mine)
        for each in DIMENSIONS
        if (mine := [curve for curve in found if curve.dimension == each.key])
    ]
    drawn = chart("growth", "How cost grows with work.", contenders, {(None, None): panels})
    drawing.write_bytes(picture(drawn, contenders))
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    made = "".join(f"{line}\n" for line in table(found))
    page.write_text(f"{before}{_BEGIN}{made}{_END}{after}", encoding="utf-8")


def _panel(dimension: Dimension, found: list[Curve]) -> Panel:
    series = [
        Series(
            each.contender,
            [Point(x, 1e6 * point.value, "") for x, point in sorted(each.points.items())],
        )
        for each in found
    ]
    return Panel(f"{dimension.cost}, µs", Axis(dimension.axis, log=True), Axis(log=True), series)


if __name__ == "__main__":
    main()
