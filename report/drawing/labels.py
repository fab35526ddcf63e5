"""Where the name of each series goes: beside the line or the points that it names.

Every place near a series is weighed by what the name would lie on there. One that is not close by
is joined to its point by a thin line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEIGHT = 15.0
_CLOSE, _MARKER = 9.0, 6.0
_FARTHER = (0.0, 16.0, 32.0, 48.0, 64.0, 84.0, 104.0)
_ON_TEXT, _ON_MARKER, _ON_LINE, _OUTSIDE = 1000.0, 60.0, 4.0, 2000.0


class Box(NamedTuple):
    """A rectangle, in pixels from the bottom left."""

    left: float
    bottom: float
    right: float
    top: float

    def over(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )


@dataclass(frozen=True, slots=True)
class Named:
    """What is to be named: how long the name is, the points to name it at, the best first, and
    whatever is drawn of it."""

    width: float
    points: Sequence[tuple[float, float]]
    drawn: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name begins, at the middle of its height, and the point that a line leads to."""

    x: float
    y: float
    point: tuple[float, float] | None


def places(
    series: Sequence[Named], bounds: Box, others: Sequence[tuple[float, float]] = ()
) -> list[Place]:
    """Find a place within bounds for the name of each series; `others` are points of nobody."""
    markers = [
        Box(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER)
        for x, y in [*others, *(point for one in series for point in one.points)]
    ]
    lines = np.concatenate([one.drawn for one in series])
    taken: list[Box] = []
    found = []
    for one in series:
        box, point, _ = min(
            _candidates(one),
            key=lambda found: found[2] + _cost(found[0], bounds, taken, markers, lines),
        )
        taken.append(Box(box.left - _MARKER, box.bottom, box.right + _MARKER, box.top))
        leads = _distance(box, point) > _CLOSE + _MARKER
        found.append(Place(box.left, (box.bottom + box.top) / 2, point if leads else None))
    return found


def _candidates(one: Named) -> Iterator[tuple[Box, tuple[float, float], float]]:
    """Yield the boxes that a name may have, with the point it is of and what is against it."""
    for rank, (x, y) in enumerate(one.points):
        for (sideways, upwards), far in product(_WAYS, _FARTHER):
            reach = _CLOSE + far
            middle = x + sideways * (reach + one.width / 2)
            if not sideways:
                middle = x
            height = y + upwards * (reach + HEIGHT / 2)
            box = Box(
                middle - one.width / 2,
                height - HEIGHT / 2,
                middle + one.width / 2,
                height + HEIGHT / 2,
            )
            yield box, (x, y), 1.5 * rank + far / 4 + (0 if sideways > 0 else 1)


_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


def _cost(
    box: Box, bounds: Box, taken: Sequence[Box], markers: Sequence[Box], lines: NDArray[Any]
) -> float:
    outside = (
        max(0.0, bounds.left - box.left)
        + max(0.0, box.right - bounds.right)
        + max(0.0, bounds.bottom - box.bottom)
        + max(0.0, box.top - bounds.top)
    )
    x, y = lines[:, 0], lines[:, 1]
    crossed = (x > box.left) & (x < box.right) & (y > box.bottom) & (y < box.top)
    return (
        _OUTSIDE * (outside > 0)
        + outside
        + _ON_TEXT * sum(box.over(other) for other in taken)
        + _ON_MARKER * sum(box.over(marker) for marker in markers)
        + _ON_LINE * int(np.count_nonzero(crossed))
    )


def _distance(box: Box, point: tuple[float, float]) -> float:
    x, y = point
    return max(box.left - x, x - box.right, box.bottom - y, y - box.top, 0.0)
