"""The distributions that intervals and tests are made of, in closed form.

Three textbook functions, held to scipy's in the tests. They stand here and not in scipy because
that is a quarter of all that measuring would have to install, and none of it is used elsewhere.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


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
