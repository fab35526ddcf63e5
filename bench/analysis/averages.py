"""What a user pays on the average, beside what the typical process costs.

The centre of the differences (`sequential.py`) is moved by nothing that happens in fewer than half
of them. A revision that is 30 % slower in one process of five has the centre of the one before, and
costs its users 9 % more. So the mean is judged too, with an interval that holds however often one
looks, as the centre's does.

Nothing can be said of the mean of whatever may be as large as it likes: one block in a thousand
could hold all of it. So a difference counts for no more than a factor of 1.5 (it is *winsorised*):
a process that takes twice as long counts as one that takes half as long again. That is the bias. A
HEAD that is far slower in very few processes is seen as if it were 1.5 times as slow in those; one
in ten of them still is 4 % on the average.

The bets are on a number x between -b and b (b is log 1.5) whose mean is said to be t. Whoever holds
a share s of what there is in x, and the rest in cash, has

    (1 - s) + s (x + b) / (t + b)

times as much after a block, on the average no more than before if the mean is t or less. No
symmetry is needed for that, and no variance: the bound is enough. The wealth is the mean over the
shares s, as in `sequential.py`: it is that of the universal portfolio (Cover, "Universal
portfolios", Mathematical Finance 1991; Orabona and Jun, "Tight concentrations and confidence
sequences from the regret of universal portfolio", IEEE Transactions on Information Theory 2024),
one of the betting methods for bounded means (Waudby-Smith and Ramdas, "Estimating means of bounded
random variables by betting", Journal of the Royal Statistical Society B 2024). It falls as t grows,
so that the interval has no holes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raftmark.bench.analysis.sequential import Array, Interval, mixture

BOUND = math.log(1.5)
"""What a difference, the logarithm of a ratio, counts for at most."""

_PRECISION = 1e-5


def winsorised(difference: float) -> float:
    """Return what a difference counts for."""
    return min(BOUND, max(-BOUND, difference))


def mean_evidence(differences: Array, mean: float | Array) -> Array:
    """Return the logarithm of the bettor's wealth after every block, who bets on more than `mean`.

    The last axis of `differences` is the blocks in their order; they are winsorised here.
    """
    floor = np.maximum(np.asarray(mean, dtype=float) + BOUND, _PRECISION)[..., np.newaxis]
    above = np.clip(differences, -BOUND, BOUND) + BOUND
    return mixture(above / floor - 1)


def mean_sequence(differences: Sequence[float], error: float) -> Interval:
    """Return the interval for the mean of the winsorised differences, in the blocks' order.

    With probability 1 - `error` it contains that mean after every block, now and later.
    """
    sample = np.asarray(differences, dtype=float)
    low = _lower_end(sample, error / 2)
    high = -_lower_end(-sample, error / 2)
    return Interval(low, high) if low <= high else Interval((low + high) / 2, (low + high) / 2)


def _lower_end(sample: Array, error: float) -> float:
    """Return the largest mean that is too low: against which the bets became 1 / `error` rich."""
    low, high = -BOUND, BOUND
    if not len(sample):
        return low
    while high - low > _PRECISION:
        means = np.linspace(low, high, 64)
        wealth = mean_evidence(sample, means).max(axis=-1)
        above = np.flatnonzero(wealth >= math.log(1 / error))  # The wealth falls with the mean.
        last = int(above[-1]) if len(above) else 0
        if last == len(means) - 1:
            return high
        low, high = float(means[last]), float(means[last + 1])
    return low
