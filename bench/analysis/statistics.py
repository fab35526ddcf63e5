"""Estimates over blocks: medians, ratios, quantiles and their intervals.

A process gives one value of a figure, its trial's; a block holds one trial of each contender, run
close together in time. So the values of one contender over the blocks are taken as independent,
and two contenders are compared block by block, which cancels what a block has in common (Kalibera
and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013, on resampling at the level that
is independent and on reporting ratios with intervals).

Intervals are made of order statistics, and nothing is drawn at random: the same values give the
same interval. A percentile bootstrap of the median (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13) has only a few possible ends where blocks are few: those of 7 values
are the second and the sixth, which hold the truth in 87 of 100 cases; the refinement by bias and
acceleration is inconsistent for a median (the same book, section 11.6). The tests check each
interval here against simulated data of known truth: it holds it in 93 to 97 of 100 cases from 6
blocks on.

An interval of a median never reaches beyond the lowest and the highest value, and those enclose the
true median with probability 1 - 2^(1-n), whatever the distribution: 97 % for 6 blocks, 94 % for 5,
75 % for 3. So with fewer than 6 blocks it is as wide as it can be, and not 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raftmark.bench.analysis.distributions import (
    binomial_distribution,
    normal_quantile,
    student_quantile,
)

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value and the ends of its interval, 95 % if not said otherwise, in the value's unit.

    The ends are NaN when there was only one value, which tells nothing of its spread.
    """

    value: float
    low: float
    high: float


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Estimate the median of one value a block; see `median_bounds` for the interval.

    Raises `ValueError` without any value.
    """
    if not values:
        raise ValueError("no values to estimate from")
    sample = np.asarray(values, dtype=float)
    if len(sample) == 1:
        return Estimate(float(sample[0]), math.nan, math.nan)
    low, high = median_bounds(sample, confidence)
    return Estimate(float(np.median(sample)), float(low), float(high))


def median_bounds(
    samples: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the median's interval for each sample along the last axis.

    The k-th lowest and k-th highest of n values enclose the median with probability
    1 - 2 P(B < k), B binomial with n and 1/2, whatever the distribution. Few n have a k that fits
    the confidence asked for, so the ends are interpolated between those of the two next best, with
    the weights of Hettmansperger and Sheather ("Confidence intervals based on interpolated order
    statistics", Statistics & Probability Letters 4, 1986), whose coverage is within about a per
    cent of what was asked for. Where even the extremes enclose the median less often, the interval
    reaches from one to the other.
    """
    ordered = np.sort(np.asarray(samples, dtype=float), axis=-1)
    n = ordered.shape[-1]
    # The innermost pair that encloses the median often enough; the next one inwards does not.
    k = _binomial_quantile((1 - confidence) / 2, n, 0.5)
    if k == 0:
        return ordered[..., 0], ordered[..., -1]
    below = binomial_distribution(n, 0.5)
    outer, inner = 1 - 2 * below[k - 1], 1 - 2 * below[k]
    share = (outer - confidence) / (outer - inner)
    weight = (n - k) * share / (k + (n - 2 * k) * share)
    low = (1 - weight) * ordered[..., k - 1] + weight * ordered[..., k]
    high = (1 - weight) * ordered[..., n - k] + weight * ordered[..., n - k - 1]
    return low, high


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate the ratio of two positive figures, the same index being the same block.

    This is the median over blocks of the ratio within a block, taken on the logarithms: exchanging
    the two gives the reciprocal, so that no verdict depends on which of them is called the base.
    Raises `ValueError` when the lengths differ, without any value, and for values that are not
    positive.
    """
    logarithms = _log_ratios(numerators, denominators)
    return Estimate(*map(math.exp, median_interval(logarithms, confidence)))


def unpaired_ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Estimate the ratio of two positive figures that have no blocks in common: of two runs.

    This is the median of all quotients of a value of the one and a value of the other (Hodges and
    Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34,
    1963), with the 95 % interval that belongs to the Mann-Whitney test, its rank from the normal
    approximation, corrected for continuity (Hollander, Wolfe and Chicken, "Nonparametric
    Statistical Methods", 2014, sections 4.1 and 4.3). What changed on the machine from one run to
    the other is in it. With too few values the interval reaches from the lowest to the highest
    quotient. Raises `ValueError` without any value, and for values that are not positive.
    """
    if not numerators or not denominators:
        raise ValueError("no values to estimate from")
    if not all(value > 0 for value in (*numerators, *denominators)):
        raise ValueError("ratios are of positive values only")
    logarithms = np.subtract.outer(np.log(numerators), np.log(denominators))
    quotients = np.sort(np.exp(logarithms), axis=None)
    m, n = len(numerators), len(denominators)
    if m == n == 1:
        return Estimate(float(quotients[0]), math.nan, math.nan)
    reach = normal_quantile((1 + CONFIDENCE) / 2) * math.sqrt(m * n * (m + n + 1) / 12)
    rank = max(0, math.floor((m * n - 1) / 2 - reach))
    value = float(np.median(quotients))
    return Estimate(value, float(quotients[rank]), float(quotients[-1 - rank]))


def joint_ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], among: int
) -> Estimate:
    """Estimate a ratio as one of `among` many, with an interval that holds along with all others.

    Bonferroni's inequality: of intervals that each miss the truth with 5 % / `among`, all hold at
    once with 95 %, however they hang together. So the best of several may be chosen by them, and
    any pair may be looked at. The interval is the median's, by order statistics, as far as there
    are values enough for such a confidence: 12 blocks for 66 ratios. Where there are fewer it
    reaches from the lowest to the highest ratio, and farther where Student's interval of the mean
    logarithm does: that has the confidence where the logarithms are normal, and more where their
    tails are heavier; the extremes alone enclose any median with 1 - 2^(1-n). Raises `ValueError`
    as `ratio_interval` does, and for `among` below 1.
    """
    if among < 1:
        raise ValueError(f"a ratio is one of 1 or more, not of {among}")
    logarithms = _log_ratios(numerators, denominators)
    confidence = 1 - (1 - CONFIDENCE) / among
    estimate = median_interval(logarithms, confidence)
    n = len(logarithms)
    if n > 1 and 1 - confidence < 2.0 ** (1 - n):
        mean = math.fsum(logarithms) / n
        reach = _student_quantile(n - 1, (1 + confidence) / 2) * float(
            np.std(logarithms, ddof=1) / math.sqrt(n)
        )
        estimate = Estimate(
            estimate.value, min(estimate.low, mean - reach), max(estimate.high, mean + reach)
        )
    # Two blocks alone can reach farther than a number can say.
    with np.errstate(over="ignore"):
        return Estimate(*np.exp(estimate).tolist())


def between_runs(runs: Sequence[Sequence[float]]) -> float:
    """Estimate the standard deviation of a ratio's logarithm from run to run, the noise apart.

    Each run has its ratios, one a block. What their medians vary by is what runs vary by and what
    is left of the noise within them; the latter, from the spread of the blocks, is taken away (the
    method of moments; Hedges, "A random effects model for effect sizes", Psychological Bulletin 93,
    1983). A median of n values varies by pi/2 of what their mean does. Raises `ValueError` with
    fewer than two runs, or a run of fewer than two blocks.
    """
    if len(runs) < 2 or any(len(run) < 2 for run in runs):
        raise ValueError("it takes two runs of two blocks to tell how runs differ")
    logarithms = [np.log(np.asarray(run, dtype=float)) for run in runs]
    medians = np.array([np.median(run) for run in logarithms])
    within = [math.pi / 2 * float(np.var(run, ddof=1)) / len(run) for run in logarithms]
    between = float(np.var(medians, ddof=1)) - math.fsum(within) / len(within)
    return math.sqrt(max(0.0, between))


def noise_floor(base: Sequence[float], twin: Sequence[float]) -> float:
    """Return how far two figures differ, relatively, where nothing does: the A/A pair's.

    That is how far from 1 the interval of the twins' ratio reaches, on the side where it reaches
    farther and as a factor: 0.04 says that a ratio below 1.04, and above 1/1.04, is no evidence.
    NaN for a single block. Raises `ValueError` as `ratio_interval` does.
    """
    ratio = ratio_interval(base, twin)
    return math.exp(max(abs(math.log(ratio.low)), abs(math.log(ratio.high)))) - 1


def quantile_interval(
    values: Sequence[float], q: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate a quantile of independent values, with an interval that holds for any distribution.

    The ends are the order statistics that enclose the quantile with at least the probability
    `confidence`, by the binomial distribution (David and Nagaraja, "Order Statistics", 2003,
    section 7.1). Where the sample is too small to bound the quantile on one side, that end is
    infinite: 20 values say nothing of how high a 99th percentile may be. Raises `ValueError`
    without any value, or for a `q` that does not lie between 0 and 1.
    """
    if not values:
        raise ValueError("no values to estimate from")
    if not 0 < q < 1:
        raise ValueError(f"an inner quantile is between 0 and 1, not {q}")
    ordered, n = sorted(values), len(values)
    value = float(np.quantile(ordered, q, method="inverted_cdf"))
    # Below the l-th value lies the quantile with P(B < l), above the u-th with P(B >= u).
    lower = _binomial_quantile((1 - confidence) / 2, n, q)
    upper = _binomial_quantile((1 + confidence) / 2, n, q) + 1
    low = ordered[lower - 1] if lower >= 1 else -math.inf
    high = ordered[upper - 1] if upper <= n else math.inf
    return Estimate(value, float(low), float(high))


def hierarchical_interval(
    blocks: Sequence[Sequence[float]], q: float = 0.5, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate a quantile of all the values of several blocks: of elections within processes.

    What lies within a block hangs together, so the blocks are what is independent. Each has a share
    of values up to the pooled quantile; how these shares spread from block to block gives, with
    Student's t for so few, the interval of the pooled distribution function there, whose ends are
    carried over to values (Woodruff, "Confidence intervals for medians and other position
    measures", Journal of the American Statistical Association 47, 1952). For a median this holds
    the truth in 94 to 98 of 100 cases from 6 blocks on, where resampling the blocks as wholes
    (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8), its
    percentiles widened, holds it in 91 of 100 with 6.

    An end never lies beyond the lowest and highest value. So for quantiles far from the middle,
    where blocks differ more than what is within them, the interval is too narrow for few blocks:
    for a 90th percentile of blocks that differ as much as their values, 92 % with 6 (normal) or
    89 % (exponential). One block alone gives no interval. Raises `ValueError` without any value.
    """
    samples = [np.asarray(block, dtype=float) for block in blocks if len(block)]
    if not samples:
        raise ValueError("no values to estimate from")
    pooled = np.concatenate(samples)
    value = float(np.quantile(pooled, q))
    n = len(samples)
    if n == 1:
        return Estimate(value, math.nan, math.nan)
    sizes = np.array([len(sample) for sample in samples])
    below = np.array([np.count_nonzero(sample <= value) for sample in samples])
    # The error of a ratio of sums, since blocks may have different numbers of values.
    residuals = (below - sizes * below.sum() / sizes.sum()) / sizes.mean()
    error = math.sqrt(float(residuals @ residuals) / (n * (n - 1)))
    reach = student_quantile(n - 1, (1 + confidence) / 2) * error
    low, high = np.quantile(pooled, [max(0.0, q - reach), min(1.0, q + reach)])
    return Estimate(value, float(low), float(high))


def ecdf(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the values in order, and beside each the share of values up to it.

    This is the empirical distribution function, a step at each value; equal values are one step.
    """
    steps, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    shares = np.cumsum(counts) / len(values) if len(values) else counts
    return steps.tolist(), shares.tolist()


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


@cache
def _student_quantile(freedom: int, probability: float) -> float:
    return student_quantile(freedom, probability)


def _binomial_quantile(probability: float, n: int, q: float) -> int:
    """Return the least k with P(B <= k) >= `probability`, B binomial with n and q."""
    return int(np.searchsorted(binomial_distribution(n, q), probability))


def _log_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    if len(numerators) != len(denominators):
        raise ValueError(
            f"{len(numerators)} numerators cannot be paired with {len(denominators)} denominators"
        )
    if not all(value > 0 for value in (*numerators, *denominators)):
        raise ValueError("ratios are of positive values only")
    return [math.log(a / b) for a, b in zip(numerators, denominators, strict=True)]


def _bucket_width(lowest: int) -> int:
    return 1 << max(0, lowest.bit_length() - 8)
