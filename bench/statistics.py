"""Estimates over blocks: medians, ratios and their intervals.

A trial is one fresh process and gives one value; a block holds one trial of each contender, run
close together in time. So the values of one contender over the blocks are taken as independent,
and two contenders are compared block by block, which cancels what a block has in common (Kalibera
and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013, on resampling at the level that
is independent and on reporting ratios with intervals).

Intervals are percentile bootstrap intervals (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13). The refinement by bias and acceleration is not used: its jackknife
estimate is inconsistent for a median (the same book, section 11.6). An interval of a median never
reaches beyond the lowest and the highest value, and those enclose the true median with
probability 1 - 2^(1-n): 94 % for 5 blocks, but 75 % for 3, whatever the method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
_RESAMPLES = 9999


class Estimate(NamedTuple):
    """A value and the ends of its 95 % interval, in the unit of what was estimated.

    The ends are NaN when there was only one value, which tells nothing of its spread.
    """

    value: float
    low: float
    high: float


def median_interval(values: Sequence[float], rng: np.random.Generator) -> Estimate:
    """Estimate the median of one value a block. Raises `ValueError` without any value."""
    if not values:
        raise ValueError("no values to estimate from")
    sample = np.asarray(values, dtype=float)
    if len(sample) == 1:
        return Estimate(float(sample[0]), math.nan, math.nan)
    interval = bootstrap(
        (sample,),
        np.median,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=rng,
    ).confidence_interval
    return Estimate(float(np.median(sample)), float(interval.low), float(interval.high))


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], rng: np.random.Generator
) -> Estimate:
    """Estimate the ratio of two positive figures, the same index being the same block.

    This is the median over blocks of the ratio within a block, taken on the logarithms: exchanging
    the two gives the reciprocal, so that no verdict depends on which of them is called the base.
    Raises `ValueError` when the lengths differ, without any value, and for values that are not
    positive.
    """
    if len(numerators) != len(denominators):
        raise ValueError(
            f"{len(numerators)} numerators cannot be paired with {len(denominators)} denominators"
        )
    if not all(value > 0 for value in (*numerators, *denominators)):
        raise ValueError("ratios are of positive values only")
    logarithms = [math.log(a / b) for a, b in zip(numerators, denominators, strict=True)]
    return Estimate(*map(math.exp, median_interval(logarithms, rng)))


def quantile_of_histogram(buckets: Sequence[Sequence[int]], q: float) -> float:
    """Return the `q` quantile (0 to 1) of the protocol's log-linear latency buckets.

    `buckets` are pairs of a bucket's lowest value and its count. The quantile is the middle of
    the first bucket, in order of value, by which at least `q` of all counts are reached, so its
    error is under 0.4 %. Raises `ValueError` when nothing was counted or `q` is out of range.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile is between 0 and 1, not {q}")
    total = sum(count for _, count in buckets)
    if total == 0:
        raise ValueError("an empty histogram has no quantile")
    rank = max(1, math.ceil(q * total))
    reached = 0
    for lowest, count in sorted(buckets, key=lambda bucket: bucket[0]):
        reached += count
        if reached >= rank:
            return lowest + (_bucket_width(lowest) - 1) / 2
    raise AssertionError("the counts do not reach their own sum")


def _bucket_width(lowest: int) -> int:
    return 1 << max(0, lowest.bit_length() - 8)
