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

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.01
FEWEST = 4
"""How many figures there must be on each side of a change."""

_PERMUTATIONS = 499

Array = NDArray[np.float64]


def change_points(series: Sequence[float], seed: int = 1) -> list[int]:
    """Return the indices, in order, at which something new begins.

    The permutations follow from the seed, so that the same series changes at the same places.
    """
    values = np.asarray(series, dtype=float)
    rng = np.random.default_rng(seed)
    found: list[int] = []
    segments = [(0, len(values))]
    while segments:
        start, end = segments.pop()
        cut = _cut(values[start:end], rng)
        if cut is not None:
            found.append(start + cut)
            segments += [(start, start + cut), (start + cut, end)]
    return sorted(found)


def _cut(segment: Array, rng: np.random.Generator) -> int | None:
    """Return where a segment is best cut, or None where that is no more than chance."""
    if len(segment) < 2 * FEWEST:
        return None
    distances = np.abs(segment[:, np.newaxis] - segment)
    energies = _energies(distances)
    best = int(np.argmax(energies))
    as_great = 1
    for _ in range(_PERMUTATIONS):
        order = rng.permutation(len(segment))
        as_great += bool(_energies(distances[np.ix_(order, order)]).max() >= energies[best])
    significant = as_great / (1 + _PERMUTATIONS) <= SIGNIFICANCE
    return FEWEST + best if significant else None


def _energies(distances: Array) -> Array:
    """Return the scaled energy distance of the two sides of every cut that may be made.

    Sums of blocks of the matrix of distances come from its cumulative sums.
    """
    size = len(distances)
    sums = np.zeros((size + 1, size + 1))
    sums[1:, 1:] = distances.cumsum(axis=0).cumsum(axis=1)
    left = np.arange(FEWEST, size - FEWEST + 1)
    right = size - left
    within_left = sums[left, left]
    between = sums[left, size] - within_left
    within_right = sums[size, size] - within_left - 2 * between
    energy = (
        2 * between / (left * right)
        - within_left / (left * (left - 1))
        - within_right / (right * (right - 1))
    )
    return np.asarray(left * right / size * energy)
