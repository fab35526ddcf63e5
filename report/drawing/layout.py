"""Where the panels of a chart are, on a page and on a phone; all in CSS pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

LETTER = 7.2
"""About the width of a letter in a tick's label."""

TITLE, BRIEF, FOOT, GAP, EDGE = 34.0, 26.0, 48.0, 26.0, 14.0
"""Above a panel, also where there is little room, below it, between panels, and right of all."""

_LEAST = 84.0  # narrower, a row's bar and its label have no room


@dataclass(frozen=True, slots=True)
class Medium:
    """What a chart is drawn for: how wide, how many panels in a row, and how high they are.

    `abreast` is how many there may be where only the first names its rows. What is higher than a
    `sheet` is drawn in several, of whole rows of panels, so that paper can break between them.
    """

    name: str
    width: int
    columns: int
    abreast: int
    height: int
    sheet: float = math.inf

    @property
    def inner(self) -> float:
        """The height of a panel without rows."""
        return self.height - TITLE - FOOT


WIDE = Medium("wide", 1040, 3, 4, 330, sheet=1250)  # what fits A4, with a legend and a caption
NARROW = Medium("narrow", 350, 1, 2, 270)
MEDIA = (WIDE, NARROW)


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing, and where its panels are from the top left, `columns` in a row."""

    width: float
    height: float
    corners: Sequence[tuple[float, float]]
    panel_width: float
    panel_height: float
    columns: int

    def sheets(self, highest: float) -> Iterator[tuple[int, Frame]]:
        """Cut it into drawings of whole rows of panels; with each, which panel is its first."""
        rows = math.ceil(len(self.corners) / self.columns)
        each = self.height / rows
        fitting = rows if self.height <= highest else max(1, int(highest // each))
        for row in range(0, rows, fitting):
            first = row * self.columns
            among = self.corners[first : first + fitting * self.columns]
            corners = [(x, y - row * each) for x, y in among]
            height = each * min(fitting, rows - row)
            yield first, replace(self, height=height, corners=corners)


def frame(
    medium: Medium,
    panels: int,
    *,
    inner: float,
    left: float,
    right: float = 0.0,
    title: float = TITLE,
    foot: float = FOOT,
    abreast: bool = False,
) -> Frame:
    """Lay panels out, each so high, with so much room on each side.

    `abreast`: only the first panel of a row needs the room on the left.
    """
    most = medium.abreast if abreast else medium.columns
    for columns in range(min(most, panels), 0, -1):
        lefts = left if abreast else columns * left
        room = medium.width - lefts - columns * right - GAP * (columns - 1) - EDGE
        width = room / columns
        # Three in a row, or two: no more than one row may be left with a gap at its end.
        if width >= _LEAST and (abreast or columns != 3 or panels % 3 == 0):
            break
    step = width + right + GAP + (0 if abreast else left)
    each = inner + title + foot
    places = [divmod(number, columns) for number in range(panels)]
    return Frame(
        medium.width,
        math.ceil(panels / columns) * each,
        [(left + x * step, y * each + title) for y, x in places],
        width,
        inner,
        columns,
    )
