"""Where a series of figures changed for good: change points.

The method is E-divisive of Matteson and James ("A nonparametric approach for multiple change point
analysis of multivariate data", Journal of the American Statistical Association 2014): a series is
cut where the two sides differ most in the energy of their distances, if a permutation test finds
that difference to be more than chance, and then each side again. It asks for no distribution and is
what MongoDB finds regressions with (Daly et al., "The use of change point detection to identify
software performance regressions in a continuous integration system", ICPE 2020). As there, the
second side of a cut always reaches to the end of its segment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.01
"""How often, at most, a series that does not change is said to, looked at once."""
FEWEST = 4
"""How many figures there must be on each side of a change."""

_RANKS = 5
"""Of so many times 1 / significance orders, fewer than these may differ as much by chance."""
_AT_ONCE = 1 << 20
"""So many distances are looked at together."""

Array = NDArray[np.float64]


def change_points(series: Sequence[float], significance: float = SIGNIFICANCE) -> list[int]:
    """Return the indices, in order, at which something new begins.

    Where many series are looked at, each gets its share of the `significance`. The permutations
    follow from the series: the same one changes at the same places, and no two share their luck.
    """
    values = np.asarray(series, dtype=float)
    rng = np.random.default_rng(np.frombuffer(values.tobytes(), dtype=np.uint32))
    found: list[int] = []
    segments = [(0, len(values))]
    while segments:
        start, end = segments.pop()
        cut = _cut(values[start:end], significance, rng)
        if cut is not None:
            found.append(start + cut)
            segments += [(start, start + cut), (start + cut, end)]
    return sorted(found)


def _cut(segment: Array, significance: float, rng: np.random.Generator) -> int | None:
    """Return where a segment is best cut, or None where that is no more than chance."""
    if len(segment) < 2 * FEWEST:
        return None
    distances = np.abs(segment[:, np.newaxis] - segment)
    energies = _energies(distances[np.newaxis])[0]
    best = int(np.argmax(energies))
    # Besag and Clifford 1991: no more orders are tried once too many were as great.
    as_great, left = 1, math.ceil(_RANKS / significance) - 1
    most = max(1, _AT_ONCE // len(segment) ** 2)
    batch = _RANKS
    while left and as_great <= _RANKS:
        orders = np.array([rng.permutation(len(segment)) for _ in range(min(left, batch, most))])
        drawn = distances[orders[:, :, np.newaxis], orders[:, np.newaxis, :]]
        as_great += int((_energies(drawn).max(axis=1) >= energies[best]).sum())
        left -= len(orders)
        batch *= 2
    return FEWEST + best if as_great <= _RANKS else None


def _energies(distances: Array) -> Array:
    """Return the scaled energy distance of the two sides of every cut, for each of some matrices.

    Sums of blocks of a matrix of distances come from its cumulative sums.
    """
    many, size, _ = distances.shape
    sums = np.zeros((many, size + 1, size + 1))
    sums[:, 1:, 1:] = distances.cumsum(axis=1).cumsum(axis=2)
    left = np.arange(FEWEST, size - FEWEST + 1)
    right = size - left
    within_left = sums[:, left, left]
    between = sums[:, left, size] - within_left
    within_right = sums[:, size, size, np.newaxis] - within_left - 2 * between
    energy = (
        2 * between / (left * right)
        - within_left / (left * (left - 1))
        - within_right / (right * (right - 1))
    )
    return np.asarray(left * right / size * energy)
