"""The distributions that intervals and tests are made of, in closed form.

Four textbook functions, held to scipy's in the tests. They stand here and not in scipy because that
is a quarter of all that measuring would have to install, and none of it is used elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_EXACT_UP_TO = 50
"""So many differences have at most 2^50 signs: their counts are exact in floating point."""


def normal_quantile(probability: float) -> float:
    """Return the value below which a standard normal variable lies with this probability."""
    return NormalDist().inv_cdf(probability)


def binomial_distribution(n: int, q: float) -> NDArray[np.float64]:
    """Return P(B <= k) for k from 0 to n, B being the successes in n trials of chance q.

    `q` lies between 0 and 1, both excluded. The terms are made by their logarithms, so that none
    overflows.
    """
    whole = math.lgamma(n + 1)
    terms = [
        whole
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(q)
        + (n - k) * math.log1p(-q)
        for k in range(n + 1)
    ]
    reached: NDArray[np.float64] = np.cumsum(np.exp(terms))
    return np.minimum(1.0, reached)


def student_quantile(freedom: int, probability: float) -> float:
    """Return the quantile of Student's t with a whole number of degrees of freedom.

    `probability` lies between 1/2 and 1, the latter excluded. Found by bisection of the
    distribution's finite series (Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964,
    26.7.3 and 26.7.4).
    """
    central = 2 * probability - 1
    low, high = 0.0, 1.0
    while _within(high, freedom) < central:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        if _within(middle, freedom) < central:
            low = middle
        else:
            high = middle
    return high


def _within(t: float, freedom: int) -> float:
    """Return the probability that Student's t lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = total = (cosine if freedom > 1 else 0.0) if odd else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= (step - 1) / step * cosine * cosine
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def signed_rank_p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test (Biometrics Bulletin 1, 1945).

    Differences of zero tell nothing and are left out; equal ones share their ranks. All signs are
    counted for up to 50 differences; beyond, the rank sum is taken as normal, with its variance
    corrected for ties (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 2014,
    section 3.1). It is 1 without any difference.
    """
    values = np.asarray([each for each in differences if each], dtype=float)
    if not len(values):
        return 1.0
    _, inverse, counts = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    # Twice the ranks, since those that are shared may be halves.
    doubled = (2 * np.cumsum(counts) - counts + 1)[inverse]
    positive, total = int(doubled[values > 0].sum()), int(doubled.sum())
    least = min(positive, total - positive)
    if len(values) <= _EXACT_UP_TO:
        ways = np.zeros(total + 1)
        ways[0] = 1
        for rank in doubled:
            ways[rank:] += ways[:-rank].copy()
        return min(1.0, 2 * float(ways[: least + 1].sum()) / 2.0 ** len(values))
    deviation = math.sqrt(float(np.square(doubled).sum())) / 2
    return 2 * NormalDist().cdf((least - total / 2) / deviation)
